package connection

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestRetry(t *testing.T) {
	transient, permanent, refused := &Error{Text: "a"}, &Error{Text: "b", Permanent: true}, &Error{Text: "c", Permanent: true, refused: true}
	r := retry{longest: 5 * time.Minute}
	for i, bound := range []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300} {
		if wait := r.next(transient, 0); wait <= 0 || wait > bound*time.Second+1 {
			t.Errorf("%d: %s", i, wait)
		}
	}
	if wait := r.next(transient, time.Hour); wait > time.Second+1 {
		t.Errorf("after a healthy session: %s", wait)
	}
	r = retry{longest: 5 * time.Minute}
	for range 20 {
		if wait := r.next(permanent, 0); wait < permanentBackoff/2 || wait > permanentLongest {
			t.Errorf("permanent: %s", wait)
		}
	}
	r = retry{longest: 5 * time.Minute}
	total := time.Duration(0)
	for range 3 {
		total += r.next(refused, 0)
	}
	if total < time.Hour {
		t.Errorf("three refused logins in %s", total)
	}
	r = retry{longest: 5 * time.Minute}
	if wait := r.next(&Error{Retry: 10 * time.Minute}, 0); wait < 10*time.Minute || wait > 12*time.Minute {
		t.Errorf("the server's wish: %s", wait)
	}
	// Full jitter: a thousand first waits are spread over the whole range.
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		r = retry{longest: 5 * time.Minute}
		wait := r.next(transient, 0)
		low, high = min(low, wait), max(high, wait)
	}
	if low > 100*time.Millisecond || high < 900*time.Millisecond {
		t.Errorf("from %s to %s", low, high)
	}
	if r.said(transient) || !r.said(transient) || r.said(permanent) {
		t.Error("what was said")
	}
}

func TestSuggestedBackoff(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"Request is throttled. Suggested Backoff Time: 297498 milliseconds": 297498 * time.Millisecond,
		"suggested backoff time: 20 seconds":                                20 * time.Second,
		"Suggested Backoff Time: 99999999999999 milliseconds":               time.Hour,
		"Suggested Backoff Time: -5 milliseconds":                           0,
		"Suggested Backoff Time:":                                           0,
		"":                                                                  0,
	} {
		if got := suggestedBackoff(text); got != want {
			t.Errorf("%q: %s", text, got)
		}
	}
}

func TestEncodeUTF7(t *testing.T) {
	for in, want := range map[string]string{
		"INBOX": "INBOX", "Entwürfe": "Entw&APw-rfe", "A&B": "A&-B", "台北": "&U,BTFw-", "~peter/mail/日本語": "~peter/mail/&ZeVnLIqe-", "😀": "&2D3eAA-", "": "",
	} {
		if got := encodeUTF7(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	if got := selectArgument(`a"b\c`, false); got != `"a\"b\\c"` {
		t.Error(got)
	}
	if got := selectArgument("Ü", true); got != `"Ü"` {
		t.Error(got)
	}
	if got := selectArgument("inbox", false); got != "INBOX" {
		t.Error(got)
	}
}

func TestErrorText(t *testing.T) {
	e := &Error{Connection: "office", Stage: StageLogin, Text: "no", Hint: "say yes", Err: ErrGone}
	if e.Error() != `connection "office": login: no; say yes` || !errors.Is(e, ErrGone) {
		t.Error(e)
	}
	if got := oneLine("a\r\nb\x00\xff" + strings.Repeat("x", 1000)); strings.ContainsAny(got, "\r\n\x00") || len(got) > 310 {
		t.Error(got)
	}
}

// shortLiteral announces more than it has, as go-imap's does if the connection ends.
type shortLiteral struct{ *strings.Reader }

func (shortLiteral) Size() int64 { return 100 }

func TestShortLiteral(t *testing.T) {
	if b, err := readLiteral(shortLiteral{strings.NewReader("abc")}); err == nil {
		t.Errorf("%q is taken for all of 100 bytes", b)
	}
}
