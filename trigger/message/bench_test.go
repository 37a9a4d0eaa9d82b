package message

import (
	"bytes"
	"encoding/base64"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// encode64 encodes in lines of 76 characters.
func encode64(s string) string {
	var b strings.Builder
	e := base64.StdEncoding.EncodeToString([]byte(s))
	for ; len(e) > 76; e = e[76:] {
		b.WriteString(e[:76] + "\r\n")
	}
	b.WriteString(e + "\r\n")
	return b.String()
}

// noise returns n bytes that no compression would shrink.
func noise(n int) string {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

func bigMail() []byte {
	return []byte(strings.Replace(string(crlf(ordinary)), "SGVsbG8gd29ybGQ=\r\n", encode64(noise(5<<20)), 1))
}

func smallMail() []byte { return crlf(ordinary) }

// readGoMessage reads a message as a user of go-message would: the header's
// usual fields, every part's bytes.
func readGoMessage(raw []byte) (int64, error) {
	e, err := gomessage.Read(bytes.NewReader(raw))
	if err != nil && !gomessage.IsUnknownCharset(err) {
		return 0, err
	}
	h := mail.Header{Header: e.Header}
	h.Subject()
	h.Date()
	h.AddressList("From")
	h.AddressList("To")
	h.MessageID()
	var n int64
	err = e.Walk(func(_ []int, p *gomessage.Entity, err error) error {
		if p.MultipartReader() == nil {
			k, err := io.Copy(io.Discard, p.Body)
			n += k
			return err
		}
		return nil
	})
	return n, err
}

func benchmark(b *testing.B, raw []byte, read func([]byte)) {
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		read(raw)
	}
}

func BenchmarkParse(b *testing.B) {
	b.Run("small", func(b *testing.B) { benchmark(b, smallMail(), func(raw []byte) { Parse(raw, Options{}) }) })
	b.Run("5MB", func(b *testing.B) { benchmark(b, bigMail(), func(raw []byte) { Parse(raw, Options{}) }) })
}

func BenchmarkGoMessage(b *testing.B) {
	read := func(raw []byte) {
		if _, err := readGoMessage(raw); err != nil {
			b.Fatal(err)
		}
	}
	b.Run("small", func(b *testing.B) { benchmark(b, smallMail(), read) })
	b.Run("5MB", func(b *testing.B) { benchmark(b, bigMail(), read) })
}
