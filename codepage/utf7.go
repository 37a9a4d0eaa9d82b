package codepage

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// utf7 is UTF-7 (RFC 2152): ASCII, and runs of UTF-16 in base64 between + and -.
type utf7 struct{}

func (utf7) String() string { return "UTF-7" }

// NewDecoder implements encoding.Encoding.
func (utf7) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: decoder{new(utf7Stepper)}}
}

// NewEncoder implements encoding.Encoding.
func (utf7) NewEncoder() *encoding.Encoder {
	return &encoding.Encoder{Transformer: encoder{new(utf7Speller), '?'}}
}

const base64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// sextets has the value of each base64 letter, 0xFF for other bytes.
var sextets = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xFF
	}
	for i, c := range []byte(base64) {
		t[c] = byte(i)
	}
	return t
}()

type utf7Stepper struct {
	slow
	in    bool   // in a run
	empty bool   // nothing of the run has been read
	bits  uint32 // read of the run, but not used
	n     uint   // how many
	high  rune   // a surrogate that waits for its other half, or 0
}

func (u *utf7Stepper) Reset() { *u = utf7Stepper{} }

// leave ends a run. It returns U+FFFD if what is left of it is no padding, else none.
func (u *utf7Stepper) leave() rune {
	broken := u.high != 0 || u.n >= 6 || u.bits&(1<<u.n-1) != 0
	*u = utf7Stepper{}
	if broken {
		return utf8.RuneError
	}
	return none
}

func (u *utf7Stepper) end() rune { return u.leave() }

func (u *utf7Stepper) step(src []byte, _ bool) (rune, int) {
	c := src[0]
	switch {
	case !u.in && c == '+':
		*u = utf7Stepper{in: true, empty: true}
		return none, 1
	case !u.in && c >= utf8.RuneSelf:
		return utf8.RuneError, 1
	case !u.in:
		return rune(c), 1
	case u.empty && c == '-': // +- is a plus sign
		u.in = false
		return '+', 1
	case u.empty && sextets[c] == 0xFF: // nothing in the run at all
		u.in = false
		return utf8.RuneError, 0
	case c == '-':
		return u.leave(), 1
	case sextets[c] == 0xFF:
		return u.leave(), 0
	}
	u.empty = false
	u.bits = u.bits<<6 | uint32(sextets[c])
	if u.n += 6; u.n < 16 {
		return none, 1
	}
	u.n -= 16
	unit := rune(u.bits >> u.n & 0xFFFF)
	high := u.high
	u.high = 0
	switch {
	case high != 0 && unit>>10 == 0xDC00>>10:
		return utf16.DecodeRune(high, unit), 1
	case high != 0: // not its other half: this unit is read again
		u.n += 16 - 6
		u.bits >>= 6
		return utf8.RuneError, 0
	case unit>>10 == 0xD800>>10:
		u.high = unit
		return none, 1
	case unit>>10 == 0xDC00>>10:
		return utf8.RuneError, 1
	}
	return unit, 1
}

// direct are the characters that stand for themselves, besides letters and digits:
// set D and white space. Those of set O may be taken for something else on the way.
const direct = "'(),-./:? \t\r\n"

type utf7Speller struct {
	in   bool
	bits uint32
	n    uint
}

func (u *utf7Speller) Reset() { *u = utf7Speller{} }

func (u *utf7Speller) spell(dst []byte, r rune) ([]byte, bool) {
	isBase64 := r < utf8.RuneSelf && sextets[r] != 0xFF
	if r != '+' && r != '/' && isBase64 || strings.ContainsRune(direct, r) {
		explicit := isBase64 || r == '-' || r == '/'
		return append(u.leave(dst, explicit), byte(r)), true
	}
	if r == '+' && !u.in {
		return append(dst, "+-"...), true
	}
	if !u.in {
		u.in = true
		dst = append(dst, '+')
	}
	if high, low := utf16.EncodeRune(r); high != utf8.RuneError {
		return u.unit(u.unit(dst, high), low), true
	}
	return u.unit(dst, r), true
}

// unit writes 16 bits to the run.
func (u *utf7Speller) unit(dst []byte, unit rune) []byte {
	u.bits = u.bits<<16 | uint32(unit)
	for u.n += 16; u.n >= 6; {
		u.n -= 6
		dst = append(dst, base64[u.bits>>u.n&0x3F])
	}
	return dst
}

// leave ends a run, with a hyphen if what follows could be taken for a part of it.
func (u *utf7Speller) leave(dst []byte, explicit bool) []byte {
	if !u.in {
		return dst
	}
	if u.n > 0 {
		dst = append(dst, base64[u.bits<<(6-u.n)&0x3F])
	}
	if explicit {
		dst = append(dst, '-')
	}
	*u = utf7Speller{}
	return dst
}

func (u *utf7Speller) finish(dst []byte) []byte { return u.leave(dst, true) }
