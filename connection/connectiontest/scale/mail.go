package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"time"
)

// letters is mail that looks alike: a text and an attachment, of a given size in
// all. Only the header tells one from another, and all have the same length, so
// that ten thousand mailboxes of mail take no memory to speak of.
type letters struct {
	size int
	body []byte // all after the first header fields
}

// headerSize is the length of what differs; see header.
var headerSize = len(header(0, 0))

// header returns the header fields that tell one message from all others.
func header(account int, uid uint32) []byte {
	return fmt.Appendf(nil, "Message-ID: <%08d.%010d@scale.example>\r\nSubject: Order %010d of customer %08d\r\n", account, uid, uid, account)
}

// newLetters makes mail of size bytes.
func newLetters(size int) *letters {
	var b bytes.Buffer
	b.WriteString("From: Orders <orders@shop.example>\r\nTo: Customer <customer@scale.example>\r\n" +
		"Date: Mon, 05 Jan 2026 09:30:00 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=edge\r\n\r\n" +
		"--edge\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	const line = "Zwölf Boxkämpfer jagen Viktor quer über den großen Deich, jeden Tag.\r\n"
	const attachment = "--edge\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=order.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n"
	const end = "--edge--\r\n"
	for range min(size/4, 2000) / len(line) {
		b.WriteString(line)
	}
	b.WriteString(attachment)
	const raw = 57 // bytes a line of base64
	data := make([]byte, raw)
	for i := range data {
		data[i] = byte(i*7 + 3)
	}
	encoded := base64.StdEncoding.EncodeToString(data) + "\r\n"
	for headerSize+b.Len()+len(encoded)+len(end) <= size {
		b.WriteString(encoded)
	}
	b.WriteString(end)
	return &letters{size: headerSize + b.Len(), body: b.Bytes()}
}

// internalDate is when all mail came.
var internalDate = time.Date(2026, 1, 5, 9, 30, 0, 0, time.UTC).Format(`"_2-Jan-2006 15:04:05 -0700"`)

// writeFetch writes the FETCH response (RFC 9051, section 7.5.2) for one message; of the
// whole message at most so many bytes, if most is not 0.
func (l *letters) writeFetch(w io.Writer, account int, uid uint32, section string, most int) {
	fmt.Fprintf(w, "* %d FETCH (UID %d FLAGS () INTERNALDATE %s RFC822.SIZE %d", uid, uid, internalDate, l.size)
	switch section {
	case "":
	case "[]":
		if most > 0 {
			body := l.body[:min(len(l.body), max(0, most-headerSize))]
			fmt.Fprintf(w, " BODY[]<0> {%d}\r\n", headerSize+len(body))
			w.Write(header(account, uid))
			w.Write(body)
			break
		}
		fmt.Fprintf(w, " BODY[] {%d}\r\n", l.size)
		w.Write(header(account, uid))
		w.Write(l.body)
	default: // the whole header, whatever fields of it were asked for
		h := append(header(account, uid), l.body[:bytes.Index(l.body, []byte("\r\n\r\n"))+4]...)
		fmt.Fprintf(w, " BODY%s {%d}\r\n", section, len(h))
		w.Write(h)
	}
	io.WriteString(w, ")\r\n")
}
