// Package compose writes mail: a Letter becomes the bytes of a message (RFC 5322,
// RFC 2045) that every server takes and no stranger's text can change the form of.
//
// Header fields are one line each, whatever is in them: control characters become
// spaces, what is not plain ASCII becomes encoded words (RFC 2047), and so does what
// only looks like one. Texts are UTF-8; every part of our own making is ASCII on the
// wire, in lines of at most 998 bytes. An original message that is attached keeps its
// bytes: as message/rfc822 where they can travel as they are, else in base64 as a file,
// since RFC 2046, section 5.2.1, lets message/rfc822 have no encoding.
package compose

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"strings"
	"time"

	"mailtrigger/trigger/message"
)

// The limits of a Letter.
const (
	MaxSubject    = 1000 // characters; more is cut
	maxName       = 200  // characters of a name beside an address; more is cut
	maxReferences = 20   // message ids that an answer refers to; the first and the last are kept
)

// A Letter is a message to be written. Fields that are empty are left out.
type Letter struct {
	ID        string // what makes MessageID and boundaries: the same for the same letter
	Date      time.Time
	From      message.Address
	To, Cc    []message.Address
	ReplyTo   []message.Address
	Subject   string
	Auto      string // Auto-Submitted (RFC 3834, section 5)
	Loops     []string
	InReplyTo string // message ids with their angle brackets, as a stranger wrote them
	Answered  string // the References of what is answered, likewise

	Text  string
	HTML  string // the same once more
	Files []File
}

// A File is a part beside the text.
type File struct {
	Name       string
	Type       string            // lower-case type/subtype
	Parameters map[string]string // of Type: charset and the like; left out if they are none
	ContentID  string            // without its angle brackets; with HTML it is a part of that
	Open       func() io.Reader
}

// MessageID returns the letter's, with its angle brackets.
func (l *Letter) MessageID() string {
	domain := "mailtriggerd.invalid"
	if i := strings.LastIndexByte(l.From.Address, '@'); i >= 0 && isASCII(l.From.Address[i+1:]) && !strings.ContainsAny(l.From.Address[i+1:], "[]") {
		domain = l.From.Address[i+1:]
	}
	return "<" + l.hash("id") + "@" + domain + ">"
}

func (l *Letter) hash(of string) string {
	sum := sha256.Sum256([]byte(of + "\x00" + l.ID))
	return hex.EncodeToString(sum[:16])
}

// header returns the fields of the letter's header, without those of its content.
// text and address say how text and addresses are written.
func (l *Letter) header(text func(string) string, address func(message.Address) string) [][2]string {
	addresses := func(list []message.Address) string {
		all := make([]string, len(list))
		for i, a := range list {
			all[i] = address(a)
		}
		return strings.Join(all, ", ")
	}

	fields := [][2]string{
		{"Date", l.Date.Format(time.RFC1123Z)},
		{"From", address(l.From)},
		{"To", addresses(l.To)},
		{"Cc", addresses(l.Cc)},
		{"Reply-To", addresses(l.ReplyTo)},
		{"Message-ID", l.MessageID()},
	}
	if ids := messageIDs(l.InReplyTo, 1); len(ids) > 0 {
		fields = append(fields, [2]string{"In-Reply-To", ids[0]},
			[2]string{"References", strings.Join(messageIDs(l.Answered+" "+ids[0], maxReferences), " ")})
	}
	fields = append(fields, [2]string{"Subject", text(cut(l.Subject, MaxSubject))}, [2]string{"Auto-Submitted", l.Auto})
	for _, loop := range l.Loops {
		fields = append(fields, [2]string{"X-Loop", loop})
	}
	return append(fields, [2]string{"MIME-Version", "1.0"})
}

// String returns the letter as a person reads it: header, text and the names of its files.
func (l *Letter) String() string {
	var b strings.Builder
	named := func(a message.Address) string {
		return strings.TrimSpace(oneLine(a.Name) + " <" + oneLine(a.Address) + ">")
	}
	for _, f := range l.header(oneLine, named) {
		if f[1] != "" && f[0] != "MIME-Version" {
			fmt.Fprintf(&b, "%s: %s\n", f[0], f[1])
		}
	}
	fmt.Fprintf(&b, "\n%s", strings.TrimRight(l.Text, "\r\n"))
	for i := range l.Files {
		fmt.Fprintf(&b, "\n[%s, %s]", l.Files[i].Name, l.Files[i].Type)
	}
	return b.String()
}

// Write writes the message, its lines ended by CRLF. Where eightBit is false it is of
// ASCII only.
func (l *Letter) Write(w io.Writer, eightBit bool) error {
	var related, files []*part
	for i := range l.Files {
		p, err := filePart(&l.Files[i], eightBit)
		if err != nil {
			return fmt.Errorf("file %q: %w", l.Files[i].Name, err)
		}
		if l.HTML != "" && l.Files[i].ContentID != "" {
			related = append(related, p)
		} else {
			files = append(files, p)
		}
	}
	body := textPart("plain", l.Text)
	if l.HTML != "" {
		html := multipart(l.hash("related"), "related", append([]*part{textPart("html", l.HTML)}, related...))
		body = multipart(l.hash("alternative"), "alternative", []*part{body, html})
	}
	return multipart(l.hash("mixed"), "mixed", append([]*part{body}, files...)).write(w, l.header(encodeText, formatAddress))
}

// formatAddress returns an address as it stands in a header field.
func formatAddress(a message.Address) string {
	name := strings.TrimSpace(cut(oneLine(a.Name), maxName))
	path := oneLine(a.Address)
	switch {
	case path == "":
		return ""
	case name == "":
		return path
	case isASCII(name) && !strings.Contains(name, "=?"):
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name) + `" <` + path + ">"
	}
	return encodeWords(name) + " <" + path + ">"
}

// messageIDs returns the message ids in a field's value, at most max: the first, which
// began the thread, and the last ones.
func messageIDs(s string, max int) []string {
	var ids []string
	for len(s) > 0 {
		begin := strings.IndexByte(s, '<')
		if begin < 0 {
			break
		}
		s = s[begin:]
		end := strings.IndexByte(s, '>')
		if end < 0 {
			break
		}
		id := s[:end+1]
		s = s[end+1:]
		if isID(id[1 : len(id)-1]) {
			ids = append(ids, id)
		}
	}
	if len(ids) > max {
		ids = append(ids[:1:1], ids[len(ids)-max+1:]...)
	}
	return ids
}

// disposition returns a Content-Disposition with the name of a file (RFC 2183, RFC 2231).
func disposition(kind, name string) string {
	if name == "" {
		return kind
	}
	if s := mime.FormatMediaType(kind, map[string]string{"filename": message.SafeName(name)}); s != "" {
		return s
	}
	return kind
}
