package message

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailtrigger/codepage"
)

// hostile are shapes of mail that are made to hurt: each grows to about size bytes.
var hostile = []struct {
	name string
	make func(size int) []byte
}{
	{"multiparts nested", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=0\n\n")
		for i := 0; b.Len() < size && i < 5000; i++ {
			fmt.Fprintf(&b, "--%d\nContent-Type: multipart/mixed; boundary=%d\n\n", i, i+1)
		}
		return fill(&b, size, "text\n")
	}},
	{"multiparts nested without end", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=0\n\n")
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(&b, "--%d\nContent-Type: multipart/mixed; boundary=%d\n\n", i, i+1)
		}
		return b.Bytes()
	}},
	{"messages nested", func(size int) []byte {
		return fill(&bytes.Buffer{}, size, "Content-Type: message/rfc822\n\n")
	}},
	{"messages nested above a body", func(size int) []byte {
		var b bytes.Buffer
		fill(&b, 1000, "Content-Type: message/rfc822\n\n")
		return fill(&b, size, "text\n")
	}},
	{"messages in base64 in multiparts", func(size int) []byte {
		part := "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + encode64("Subject: x\n\n"+strings.Repeat("text\n", 2000)) + "\n"
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=b\n\n")
		return fill(&b, size, part)
	}},
	{"message in base64 within itself", func(size int) []byte {
		s := strings.Repeat("text\n", size/12)
		for range 3 {
			s = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n" + encode64(s)
		}
		return []byte(s)
	}},
	{"parts", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=b\n\n")
		return fill(&b, size, "--b\nContent-Type: image/png; name=a\n\nx\n")
	}},
	{"parts of nothing", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=b\n\n")
		return fill(&b, size, "--b\n")
	}},
	{"parts of text", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/alternative; boundary=b\n\n")
		return fill(&b, size, "--b\nContent-Type: text/html\n\n<p>x\n--b\n\nabc\n")
	}},
	{"lines that look like boundaries", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=bb\n\n--bb\n\n")
		return fill(&b, size, "--b\n")
	}},
	{"multiparts with wrong boundaries", func(size int) []byte {
		var b bytes.Buffer
		b.WriteString("Content-Type: multipart/mixed; boundary=b\n\n")
		return fill(&b, size, "--b\nContent-Type: multipart/mixed; boundary=wrong\n\n")
	}},
	{"header fields", func(size int) []byte { return fill(&bytes.Buffer{}, size, "a: b\n") }},
	{"header fields known", func(size int) []byte { return fill(&bytes.Buffer{}, size, "To: a\nSubject: x\n") }},
	{"header without end", func(size int) []byte { return fill(bytes.NewBufferString("Subject: "), size, "x") }},
	{"header folds", func(size int) []byte { return fill(bytes.NewBufferString("Subject: "), size, "x\n ") }},
	{"header junk", func(size int) []byte { return fill(bytes.NewBufferString("Subject: x\n"), size, "junk\n\njunk\n") }},
	{"header junk and fields", func(size int) []byte {
		return fill(bytes.NewBufferString("Subject: x\n"), size, strings.Repeat("x\n", 49)+"To: b\n")
	}},
	{"header blank lines", func(size int) []byte { return fill(&bytes.Buffer{}, size, "\n") }},
	{"bare CR", func(size int) []byte { return fill(bytes.NewBufferString("Subject: x\n\n"), size, "\r") }},
	{"bare CR only", func(size int) []byte { return fill(bytes.NewBufferString("Subject: x\r\r"), size, "x\r") }},
	{"parameters", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain"), size, ";a=b")
	}},
	{"parameters unquoted", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain"), size, `;a="\"`)
	}},
	{"parameters of nothing", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain"), size, ";a")
	}},
	{"continuations", func(size int) []byte {
		b := bytes.NewBufferString("Content-Type: application/pdf")
		for i := 0; b.Len() < size; i++ {
			fmt.Fprintf(b, "; name*%d*=%%41", i)
		}
		return b.Bytes()
	}},
	{"continuations, one index", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: application/pdf"), size, "; name*1*=utf-8''%41")
	}},
	{"encoded word", func(size int) []byte {
		b := bytes.NewBufferString("Subject: =?utf-8?Q?")
		fill(b, size, "=C3=BC")
		b.WriteString("?=\n\n")
		return b.Bytes()
	}},
	{"encoded words", func(size int) []byte {
		return fill(bytes.NewBufferString("Subject: "), size, "=?utf-8?Q?a?= =?koi8-r?B?8NLJ?=")
	}},
	{"encoded words without end", func(size int) []byte {
		return fill(bytes.NewBufferString("Subject: "), size, "=?utf-8?Q?")
	}},
	{"encoded words without end in addresses", func(size int) []byte {
		return fill(bytes.NewBufferString("To: "), size, "=?a?Q?")
	}},
	{"encoded word in an encoded word", func(size int) []byte {
		return fill(bytes.NewBufferString("From: "), size, "=?utf-8?Q?=3D=3Futf-8=3FQ=3Fa@b=3F=3D?=,")
	}},
	{"addresses", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, "a,") }},
	{"addresses in groups", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, "a:b,c;") }},
	{"addresses in brackets", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, "<") }},
	{"addresses in comments", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, "(") }},
	{"addresses, comments unbalanced", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, "(a)(") }},
	{"addresses in quotes", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, `"\"`) }},
	{"addresses, names with commas", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, `a,b <c>,`) }},
	{"addresses, names in halves", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, `a b,`) }},
	{"addresses, at signs", func(size int) []byte { return fill(bytes.NewBufferString("To: "), size, "@ ") }},
	{"base64 of junk", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"), size, "!=A\n")
	}},
	{"base64 on one line", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"), size, "A")
	}},
	{"base64 of padding", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: image/png\nContent-Transfer-Encoding: base64\n\n"), size, "QQ==\n")
	}},
	{"quoted-printable of nothing", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: image/png\nContent-Transfer-Encoding: quoted-printable\n\n"), size, "=\n")
	}},
	{"quoted-printable of blanks", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Transfer-Encoding: quoted-printable\n\n"), size, " ")
	}},
	{"quoted-printable of escapes", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Transfer-Encoding: quoted-printable\n\n"), size, "=")
	}},
	{"text of one character that becomes three bytes", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain; charset=windows-1252\n\n"), size, "\x80")
	}},
	{"HTML of one character that becomes three bytes", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/html; charset=windows-1252\n\n"), size, "\x80")
	}},
	{"text of bytes that mean nothing", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain; charset=utf-8\n\n"), size, "\xff")
	}},
	{"text flowed", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain; format=flowed\n\n"), size, ">>>> a \n> b \n")
	}},
	{"text quoted deep, flowed", func(size int) []byte {
		return fill(bytes.NewBufferString("Content-Type: text/plain; format=flowed\n\n"), size, ">")
	}},
	{"text with uuencode", func(size int) []byte {
		return fill(bytes.NewBufferString("\n"), size, "begin 644 a\n#86)C\n`\nend\n")
	}},
	{"text with uuencode without end", func(size int) []byte {
		return fill(bytes.NewBufferString("\n"), size, "begin 644 a\n")
	}},
	{"text with uuencode without end and data", func(size int) []byte {
		return fill(bytes.NewBufferString("\n"), size, "begin 644 a\n#86)C\n")
	}},
	htmlOf("tags", "<a>"), htmlOf("tags open", "<a "), htmlOf("tags without end", "<"), htmlOf("attributes", " a"), htmlOf("quotes", `<a b="`),
	htmlOf("both quotes", `<a b="><a b='>`), htmlOf("comments", "<!--"), htmlOf("declarations", "<!x>"), htmlOf("styles", "<style>"),
	htmlOf("styles closed by others", "<style></p>"), htmlOf("templates of two kinds", "<svg><xml>"), htmlOf("line breaks", "<br>"),
	htmlOf("line breaks and text", "<br>x"), htmlOf("quotes nested", "<blockquote>x"), htmlOf("list items", "<li>"), htmlOf("rules", "<hr>"),
	htmlOf("preformatted", "<pre>\n\n\nx"), htmlOf("entities", "&amp;"), htmlOf("entities open", "&a"), htmlOf("longest entities", "&nGt;"),
	htmlOf("images", `<img alt="x">`), htmlOf("images with a bad attribute", `<img alt alt alt alt alt alt>`), htmlOf("cids", "cid:"), htmlOf("meta", "<meta charset "),
	{"TNEF of compressed RTF, many", func(size int) []byte {
		rtf := []byte("\x00\x00\x00\x00\xff\xff\xff\x7fLZFu\x00\x00\x00\x00")
		for len(rtf) < size/500 {
			rtf = append(rtf, "\xff\x00\x0f\x00\x0f\x00\x0f\x00\x0f\x00\x0f\x00\x0f\x00\x0f\x00\x0f"...)
		}
		props := append([]byte("\x01\x00\x00\x00\x02\x01\x09\x10\x01\x00\x00\x00"), binary.LittleEndian.AppendUint32(nil, uint32(len(rtf)))...)
		props = append(append(props, rtf...), 0, 0, 0)
		tnef := append([]byte("\x78\x9f\x3e\x22\x01\x00\x01\x03\x90\x06\x00"), binary.LittleEndian.AppendUint32(nil, uint32(len(props)))...)
		tnef = append(append(tnef, props...), 0, 0)
		b := bytes.NewBufferString("Content-Type: multipart/mixed; boundary=b\n\n")
		return fill(b, size, "--b\nContent-Type: application/ms-tnef\nContent-Transfer-Encoding: base64\n\n"+encode64(string(tnef)))
	}},
	{"TNEF of nothing", func(size int) []byte {
		var b bytes.Buffer
		b.Write([]byte{0x78, 0x9f, 0x3e, 0x22, 1, 0})
		fill(&b, size*3/4, "\x02\x02\x90\x06\x00\x00\x00\x00\x00\x00\x00")
		return append([]byte("Content-Type: application/ms-tnef\nContent-Transfer-Encoding: base64\n\n"), encode64(b.String())...)
	}},
}

func htmlOf(name, unit string) struct {
	name string
	make func(size int) []byte
} {
	return struct {
		name string
		make func(size int) []byte
	}{"HTML of " + name, func(size int) []byte {
		b := bytes.NewBufferString("Content-Type: text/html\n\n")
		if unit == " a" {
			b.WriteString("<p")
		}
		return fill(b, size, unit)
	}}
}

// fill appends unit until b has size bytes.
func fill(b *bytes.Buffer, size int, unit string) []byte {
	b.Grow(size + len(unit))
	for b.Len() < size {
		b.WriteString(unit)
	}
	return b.Bytes()
}

// hostileSize is small by default, for the time all shapes take; the promise is for all sizes.
var hostileSize = flag.Int("hostile-size", 2, "MiB of each hostile message")

// TestHostile holds reading to its promise: at most 2 s, four times the
// message's size and 8 MiB of memory, no panic, no lost message. Memory is
// counted as all that is allocated, freed or not.
func TestHostile(t *testing.T) {
	size := *hostileSize << 20
	for _, h := range hostile {
		t.Run(h.name, func(t *testing.T) {
			raw := h.make(size)
			for _, policy := range []codepage.Policy{{}, {Mode: codepage.Override}} {
				runtime.GC()
				var before, after runtime.MemStats
				runtime.ReadMemStats(&before)
				begin := time.Now()
				m := Parse(raw, Options{Policy: policy})
				took := time.Since(begin)
				runtime.ReadMemStats(&after)
				bytes := after.TotalAlloc - before.TotalAlloc
				t.Logf("%v, %.1f times the size, %d allocations, defects %q", took.Round(time.Millisecond), float64(bytes)/float64(len(raw)), after.Mallocs-before.Mallocs, m.Defects)
				if took > maxTime {
					t.Errorf("took %v", took)
				}
				if bytes > 4*uint64(len(raw))+(8<<20) {
					t.Errorf("took %d bytes for %d", bytes, len(raw))
				}
				for _, d := range m.Defects {
					if d == DefectRaw {
						t.Error("gave up")
					}
				}
			}
		})
	}
}
