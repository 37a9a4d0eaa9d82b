package codepage

import (
	"bytes"
	"compress/flate"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
)

// The tables of the pages that x/text lacks, compressed. Each is unpacked when
// a page that needs it is first used.
//
//go:generate go run ./internal/gen
//go:embed tables/*.z
var tables embed.FS

// unpack reads a file of tables. It panics if the program was built wrong.
func unpack(name string) []byte {
	data, err := tables.ReadFile("tables/" + name + ".z")
	if err == nil {
		data, err = io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	}
	if err != nil {
		panic(fmt.Sprintf("codepage: table %s: %v", name, err))
	}
	return data
}

// singles has the tables of single bytes by name, 256 runes of 16 bits each.
var singles = sync.OnceValue(func() map[string][]byte {
	data := unpack("single")
	m := map[string][]byte{}
	for len(data) > 0 {
		name := data[1 : 1+data[0]]
		data = data[1+len(name):]
		m[string(name)], data = data[:512], data[512:]
	}
	return m
})

// single returns a table of single bytes; a byte without a meaning is U+FFFD.
func single(name string) (t [256]rune) {
	data := singles()[name]
	for b := range t {
		t[b] = rune(binary.LittleEndian.Uint16(data[2*b:]))
	}
	return t
}

// generated is the page with a table of single bytes of its own.
func generated(name string) *singleByte {
	return newSingleByte(name, func() [256]rune { return single(name) })
}

// A doubleSet is a set of characters of two bytes each.
type doubleSet struct {
	first, second [2]byte // least and most value of each byte
	runes         []rune  // by first byte, then second; 0 for none
}

// rune is what two bytes mean, U+FFFD if nothing.
func (s *doubleSet) rune(a, b byte) rune {
	if a < s.first[0] || a > s.first[1] || b < s.second[0] || b > s.second[1] {
		return utf8.RuneError
	}
	if r := s.runes[int(a-s.first[0])*(int(s.second[1]-s.second[0])+1)+int(b-s.second[0])]; r != 0 {
		return r
	}
	return utf8.RuneError
}

// all calls f for every code of the set, in order.
func (s *doubleSet) all(f func(a, b byte, r rune)) {
	i := 0
	for a := int(s.first[0]); a <= int(s.first[1]); a++ {
		for b := int(s.second[0]); b <= int(s.second[1]); b++ {
			if s.runes[i] != 0 {
				f(byte(a), byte(b), s.runes[i])
			}
			i++
		}
	}
}

// doubles returns a generated set.
func doubles(name string) func() *doubleSet {
	return sync.OnceValue(func() *doubleSet {
		data := unpack(name)
		s := &doubleSet{first: [2]byte(data[:2]), second: [2]byte(data[2:4])}
		data = data[4:]
		n := len(data) / 3
		s.runes = make([]rune, n)
		for i := range s.runes {
			s.runes[i] = rune(data[i])<<16 | rune(data[n+i])<<8 | rune(data[2*n+i])
		}
		return s
	})
}

// part is the 94x94 set, at 0x21, that an encoding of x/text has at 0xA1 after prefix.
func part(e encoding.Encoding, prefix string) func() *doubleSet {
	return sync.OnceValue(func() *doubleSet {
		s := &doubleSet{[2]byte{0x21, 0x7E}, [2]byte{0x21, 0x7E}, make([]rune, 0, 94*94)}
		d := e.NewDecoder()
		for a := byte(0xA1); a <= 0xFE; a++ {
			for b := byte(0xA1); b <= 0xFE; b++ {
				text, err := d.Bytes(append([]byte(prefix), a, b))
				r, n := utf8.DecodeRune(text)
				if err != nil || r == utf8.RuneError || n != len(text) {
					r = 0
				}
				s.runes = append(s.runes, r)
			}
		}
		return s
	})
}

// An inverse finds the code of a rune: in one of 256 for each block of 256 runes. 0 is none.
type inverse [0x110000 >> 8]*[256]uint32

// add sets the code of r, unless it has one.
func (v *inverse) add(r rune, code uint32) {
	block := &v[r>>8]
	if *block == nil {
		*block = new([256]uint32)
	}
	if c := &(*block)[r&0xFF]; *c == 0 {
		*c = code
	}
}

// code is the code of r, 0 if none.
func (v *inverse) code(r rune) uint32 {
	if block := v[r>>8]; block != nil {
		return block[r&0xFF]
	}
	return 0
}
