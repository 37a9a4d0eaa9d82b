package connection

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-sasl"
)

// A dialogue speaks the lines of a session up to the login: greeting,
// CAPABILITY, AUTHENTICATE or LOGIN, ID. It is line by line and owns its
// connection, so that after the last reply no command is outstanding and no
// goroutine runs; go-imap would ask for capabilities behind our back and reads on
// its own. After the login it speaks what session.converse is for; all else is go-imap's.
//
// The connection's deadlines are the caller's. A dialogue is for one goroutine.
type dialogue struct {
	w      io.Writer
	r      *bufio.Reader
	prefix string
	count  int

	heard        func(line string) // told of untagged lines; may be nil
	kept         func([]byte)      // is given the literals of up to maxLine bytes, others are passed over; nil: they are limited to that
	untagged     int               // lines before a tagged reply that are taken; 0: maxUntagged
	capabilities string            // as last heard, upper case, separated by spaces; "" if unknown
	bye          *reply            // an untagged BYE, if one came
}

// The limits of a dialogue.
const (
	maxLine     = 64 << 10 // bytes of a line
	maxUntagged = 500      // lines before a tagged reply
	maxInitial  = 900      // bytes of an initial response on the command line; Yahoo takes commands of 1,000
)

// A reply is a status response (RFC 9051 section 7.1).
type reply struct {
	kind string // OK, NO, BAD, BYE, PREAUTH
	code string // what is in brackets, without them
	text string
}

func (r *reply) err(stage string) *Error { return serverError(stage, r.kind, r.code, r.text) }

// status is the reply as go-imap has one that is not OK.
func (r *reply) status() *imap.Error {
	return &imap.Error{Type: imap.StatusResponseType(r.kind), Code: imap.ResponseCode(strings.ToUpper(firstWord(r.code))), Text: r.text}
}

func newDialogue(rw io.ReadWriter) *dialogue {
	b := make([]byte, 4)
	_, _ = rand.Read(b)
	return &dialogue{w: rw, r: bufio.NewReaderSize(rw, 512), prefix: hex.EncodeToString(b)}
}

var errLongLine = errors.New("the server sent a line of more than 64 KiB")

// line reads one line without its end, and without the literals in it.
func (d *dialogue) line() (string, error) {
	var long []byte // what came so far of a line that the buffer does not hold as a whole
	for {
		line, err := d.r.ReadSlice('\n')
		if long != nil || err != nil {
			long = append(long, line...)
			line = long
		}
		if len(line) > maxLine {
			return "", errLongLine
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return "", err
		}
		line = bytes.TrimRight(line, "\r\n")
		n, found := literalLength(line)
		if !found {
			return string(line), nil
		}
		long = bytes.Clone(line)
		if err := d.literal(n); err != nil {
			return "", err
		}
	}
}

// literal passes over a literal, or keeps it.
func (d *dialogue) literal(n int) error {
	switch {
	case d.kept == nil && n > maxLine:
		return errLongLine
	case d.kept != nil && n <= maxLine:
		b := make([]byte, n)
		if _, err := io.ReadFull(d.r, b); err != nil {
			return err
		}
		d.kept(b)
		return nil
	}
	_, err := d.r.Discard(n)
	return err
}

// literalLength returns the length of the literal that a line announces at its end.
func literalLength(line []byte) (int, bool) {
	if !bytes.HasSuffix(line, []byte("}")) || !bytes.HasPrefix(line, []byte("* ")) {
		return 0, false
	}
	i := bytes.LastIndexByte(line, '{')
	if i < 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSuffix(string(line[i+1:len(line)-1]), "+"), 10, 31)
	return int(n), err == nil
}

// parseReply reads "OK [CODE args] text".
func parseReply(s string) *reply {
	kind, rest, _ := strings.Cut(s, " ")
	r := &reply{kind: strings.ToUpper(kind), text: strings.TrimSpace(rest)}
	if strings.HasPrefix(r.text, "[") {
		if code, text, found := strings.Cut(r.text[1:], "]"); found {
			r.code, r.text = code, strings.TrimSpace(text)
		}
	}
	return r
}

// note keeps what is of use in an untagged line.
func (d *dialogue) note(line string) {
	rest := strings.TrimSpace(strings.TrimPrefix(line, "*"))
	word, list, _ := strings.Cut(rest, " ")
	switch strings.ToUpper(word) {
	case "CAPABILITY":
		d.capabilities = strings.ToUpper(strings.Join(strings.Fields(list), " "))
	case "OK", "NO", "BAD", "PREAUTH":
		d.noteCode(parseReply(rest))
	case "BYE":
		d.bye = parseReply(rest)
	}
}

func (d *dialogue) noteCode(r *reply) {
	if word, list, found := strings.Cut(r.code, " "); found && strings.EqualFold(word, "CAPABILITY") {
		d.capabilities = strings.ToUpper(strings.Join(strings.Fields(list), " "))
	}
}

// greeting reads the server's first line.
func (d *dialogue) greeting() (*reply, error) {
	line, err := d.line()
	if err != nil {
		return nil, err
	}
	rest, found := strings.CutPrefix(line, "*")
	if !found {
		return nil, fmt.Errorf("what answers does not speak IMAP: it says %q", oneLine(line))
	}
	r := parseReply(strings.TrimSpace(rest))
	switch r.kind {
	case "OK", "PREAUTH", "BYE":
		d.noteCode(r)
		return r, nil
	}
	return nil, fmt.Errorf("what answers does not speak IMAP: it says %q", oneLine(line))
}

// command sends a command and reads up to its tagged reply. answer is called with
// the text of each continuation request and returns what to send; nil refuses them.
func (d *dialogue) command(command string, answer func(challenge string) (string, error)) (*reply, error) {
	d.count++
	tag := d.prefix + strconv.Itoa(d.count)
	if _, err := io.WriteString(d.w, tag+" "+command+"\r\n"); err != nil {
		return nil, err
	}
	var failed error
	most := d.untagged
	if most == 0 {
		most = maxUntagged
	}
	for range most {
		line, err := d.line()
		if err != nil {
			return nil, err
		}
		switch {
		case strings.HasPrefix(line, "*"):
			d.note(line)
			if d.heard != nil {
				d.heard(line)
			}
		case strings.HasPrefix(line, "+"):
			if answer == nil || failed != nil {
				return nil, errors.New("the server asks for more where there is no more")
			}
			text, err := answer(strings.TrimSpace(line[1:]))
			if err != nil {
				failed, text = err, "*" // cancels (RFC 9051 section 6.2.2)
			}
			if _, err := io.WriteString(d.w, text+"\r\n"); err != nil {
				return nil, err
			}
		case len(line) > len(tag) && strings.EqualFold(line[:len(tag)], tag) && line[len(tag)] == ' ':
			r := parseReply(line[len(tag)+1:])
			d.noteCode(r)
			if failed != nil {
				return r, failed
			}
			return r, nil
		}
	}
	return nil, errors.New("the server talks on and on without answering")
}

// authenticate runs a SASL exchange (RFC 9051 section 6.2.2, RFC 4959). The
// connection must be closed if it fails: after some errors the next command would
// be taken for SASL data.
func (d *dialogue) authenticate(client sasl.Client, initialResponse bool) (*reply, error) {
	mechanism, initial, err := client.Start()
	if err != nil {
		return nil, err
	}
	pending := initial != nil
	command := "AUTHENTICATE " + mechanism
	if encoded := encodeSASL(initial); pending && initialResponse && len(encoded) <= maxInitial {
		if encoded == "" {
			encoded = "="
		}
		command += " " + encoded
		pending = false
	}
	return d.command(command, func(challenge string) (string, error) {
		if pending {
			pending = false
			return encodeSASL(initial), nil
		}
		b, err := base64.StdEncoding.DecodeString(challenge)
		if err != nil {
			return "", fmt.Errorf("the server's challenge is not base64")
		}
		answer, err := client.Next(b)
		if err != nil {
			return "", err
		}
		return encodeSASL(answer), nil
	})
}

func encodeSASL(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// login sends LOGIN. What cannot be in a quoted string goes as a literal.
func (d *dialogue) login(username, password string) (*reply, error) {
	var lines []string // each is sent once the one before was asked for
	command := "LOGIN"
	for _, s := range []string{username, password} {
		if strings.ContainsAny(s, "\r\n\x00") {
			return nil, &Error{Stage: StageLogin, Permanent: true, Text: "the user name or the password contains a line end or NUL", Hint: "check the file or variable it comes from"}
		}
		if isASCII(s) {
			command += " " + quote(s)
			continue
		}
		lines = append(lines, fmt.Sprintf("%s {%d}", command, len(s)))
		command = s
	}
	lines = append(lines, command)
	next := 1
	return d.command(lines[0], func(string) (string, error) {
		if next == len(lines) {
			return "", errors.New("the server asks for more than was announced")
		}
		next++
		return lines[next-1], nil
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

// id sends ID (RFC 2971). Some servers refuse SELECT without it.
func (d *dialogue) id(name, version string) (*reply, error) {
	clean := func(s string) string {
		return strings.Map(func(r rune) rune {
			if r < ' ' || r >= 0x7F {
				return -1
			}
			return r
		}, s[:min(len(s), 100)])
	}
	return d.command(fmt.Sprintf("ID (%q %s %q %s)", "name", quote(clean(name)), "version", quote(clean(version))), nil)
}
