package wire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtrigger/connection/connectiontest/rigtest"
)

// dovecot connects to the rig's server and logs u3 in, whose mailbox it selects.
func dovecot(t testing.TB, mailbox string) (*Link, Known) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testWait)
	defer cancel()
	pem, err := os.ReadFile(rigtest.Setting(t, "RIG_CA"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	cfg := &tls.Config{RootCAs: roots, ServerName: "localhost"}
	tcp, err := net.Dial("tcp", net.JoinHostPort(rigtest.Setting(t, "RIG_MAIN_REMOTE_HOST"), rigtest.Setting(t, "RIG_MAIN_IMAP")))
	if err != nil {
		t.Fatal(err)
	}
	c, err := StartTLS(ctx, Raw(tcp), cfg)
	if err != nil {
		t.Fatal(err)
	}
	l := NewLink(c, nil)
	t.Cleanup(func() { l.Close() })
	l.SetProgressTimeout(testWait)
	cl := imapclient.New(l.Lend("* OK ready"), nil)
	if err := cl.Login("u3", "pw").Wait(); err != nil {
		t.Fatal(err, l.Err())
	}
	cl.Create(mailbox, nil).Wait() // it may be there
	data, err := cl.Select(mailbox, nil).Wait()
	if err != nil {
		t.Fatal(err, l.Err())
	}
	if cl.Caps() == nil {
		t.Fatal(l.Err())
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Fatal(err)
	}
	return l, Known{data.UIDValidity, uint32(data.UIDNext), data.NumMessages}
}

// look fetches the bodies of what is new.
func look(t testing.TB, l *Link, known *Known) (bodies []string) {
	t.Helper()
	cl := imapclient.New(l.Lend("* PREAUTH [CAPABILITY IMAP4rev1 IDLE] back"), nil)
	news := imap.UIDSet{}
	news.AddRange(imap.UID(known.UIDNext), 0)
	msgs, err := cl.Fetch(news, &imap.FetchOptions{UID: true, Flags: true, InternalDate: true, RFC822Size: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil {
		t.Fatal(err, l.Err())
	}
	for _, m := range msgs {
		if uint32(m.UID) < known.UIDNext { // n:* gives the last one always
			continue
		}
		known.UIDNext = uint32(m.UID) + 1
		known.Exists++
		body := m.BodySection[0].Bytes
		if int64(len(body)) != m.RFC822Size || m.InternalDate.IsZero() {
			t.Errorf("UID %d: %d of %d bytes, %v", m.UID, len(body), m.RFC822Size, m.InternalDate)
		}
		bodies = append(bodies, string(body))
	}
	if err := l.Reclaim(cl.Close); err != nil {
		t.Fatal(err)
	}
	return bodies
}

// Put on and off, and woken by mail, many times over.
func TestDovecotPush(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		mailbox := "wire-" + strings.ReplaceAll(t.Name(), "/", "-")
		l, known := dovecot(t, mailbox)
		for i := range 3 {
			woken := make(chan Wake, 1)
			proof := make(chan struct{}, 100)
			o := idleOptions
			o.Select, o.Known, o.Refresh = mailbox, known, 100*time.Millisecond
			o.OnProof = func(time.Time, time.Duration) { proof <- struct{}{} }
			p := k.Park(l, o, func(w Wake) { woken <- w })
			for range 3 * i {
				<-proof // it renews IDLE, and rechecks
			}
			rigtest.Run(t, "deliver", "-u", "u3", "-m", mailbox, "-S", "wire test")
			w := await(t, p, woken)
			if w.Reason != Pushed && w.Reason != Rechecked {
				t.Fatal(w.Reason, w.Err)
			}
			if bodies := look(t, l, &known); len(bodies) != 1 || !strings.Contains(bodies[0], "wire test") {
				t.Fatalf("woken %v: %d new messages", w.Reason, len(bodies))
			}
		}
	})
}

// A recreated mailbox: Dovecot may say nothing in IDLE ever again. The recheck
// finds it, or the server ends the session.
func TestDovecotRecreated(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		mailbox := "wire-" + strings.ReplaceAll(t.Name(), "/", "-")
		l, known := dovecot(t, mailbox)
		o := idleOptions
		o.Select, o.Known, o.Recheck = mailbox, known, 300*time.Millisecond
		proof := make(chan struct{}, 100)
		o.OnProof = func(time.Time, time.Duration) { proof <- struct{}{} }
		woken := make(chan Wake, 1)
		p := k.Park(l, o, func(w Wake) { woken <- w })
		<-proof
		rigtest.Run(t, "fault", "recreate", "main", "u3", mailbox)
		w := await(t, p, woken)
		t.Logf("woken: %v, seen %v, known %v, %v", w.Reason, w.Seen, known, w.Err)
		if w.Reason == Interrupted || w.Reason == Rechecked && w.Seen.UIDValidity == known.UIDValidity {
			t.Error("not noticed")
		}
	})
}

// A frozen server is noticed within the refresh and the timeout.
func TestDovecotFrozen(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		l, _ := dovecot(t, "INBOX")
		rigtest.Run(t, "fault", "freeze", "main")
		defer rigtest.Run(t, "fault", "thaw", "main")
		start := time.Now()
		w := park(t, k, l, ParkOptions{Idle: true, Refresh: 200 * time.Millisecond, Timeout: 300 * time.Millisecond})
		expect(t, w, Ended)
		if e := (*TimeoutError)(nil); !errors.As(w.Err, &e) || time.Since(start) > 3*time.Second {
			t.Errorf("%v after %v", w.Err, time.Since(start))
		}
	})
}

// A server that is killed is noticed at once.
func TestDovecotKicked(t *testing.T) {
	loops(t, func(t *testing.T, k *Parker) {
		l, _ := dovecot(t, "INBOX")
		proof := make(chan struct{}, 100)
		o := idleOptions
		o.OnProof = func(time.Time, time.Duration) { proof <- struct{}{} }
		woken := make(chan Wake, 1)
		p := k.Park(l, o, func(w Wake) { woken <- w })
		<-proof
		rigtest.Run(t, "fault", "kick", "main", "u3")
		w := await(t, p, woken)
		expect(t, w, Ended)
		t.Log(w.Err)
	})
}
