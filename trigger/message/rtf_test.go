package message

import (
	"encoding/hex"
	"strings"
	"testing"
)

func TestDecompressRTF(t *testing.T) {
	// The examples of MS-OXRTFCP, section 4.
	for want, compressed := range map[string]string{
		"{\\rtf1\\ansi\\ansicpg1252\\pard hello world}\r\n": "2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0",
		`{\rtf1 WXYZWXYZWXYZWXYZWXYZ}`:                      "1a0000001c0000004c5a4675e2d44b51410004205758595a0d6e7d010eb0",
	} {
		b, err := hex.DecodeString(compressed)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(decompressRTF(b, MaxText)); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		if got := string(decompressRTF(b, 10)); len(got) > 30 || !strings.HasPrefix(want, got[:10]) {
			t.Errorf("cut: %q", got)
		}
		for n := range b { // cut data
			if got := string(decompressRTF(b[:n], MaxText)); !strings.HasPrefix(want, got) {
				t.Errorf("%d bytes: %q", n, got)
			}
		}
	}
}

func TestRTFText(t *testing.T) {
	for rtf, want := range map[string]string{
		`{\rtf1\ansi\ansicpg1252\deff0{\fonttbl{\f0 Arial;}}{\*\generator X;}\pard Gr\'fc\'dfe\par two\tab\u8364?\par}`:                                        "Grüße\ntwo\t€\n",
		`{\rtf1\ansi\ansicpg1251\uc1 \'cf\'f0\'e8 \u1071\'df\{\}\\}`:                                                                                           "При Я{}\\",
		`{\rtf1\ansi\ansicpg932 \'89\'ef\'8b\'63 {\b bold}}`:                                                                                                   "会議 bold",
		`{\rtf1\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 Hello{\*\htmltag84 &nbsp;}\htmlrtf\~\htmlrtf0 you}\htmlrtf }\htmlrtf0\par{\*\htmltag72 </p>}}`: "<p>Hello&nbsp;you\n</p>",
		`{\rtf1 \u-10179?\u-8704? \emdash\'zz\bin3 abcx}`:                                                                                                      "😀 —x",
		strings.Repeat("{", 100000) + "deep" + strings.Repeat("}", 100000):                                                                                     "deep",
		`}}}\`: "",
	} {
		if got, html := rtfText([]byte(rtf)); got != want || html != strings.Contains(rtf, "fromhtml") {
			t.Errorf("%.100q\n got %.100q\nwant %.100q", rtf, got, want)
		}
	}
}
