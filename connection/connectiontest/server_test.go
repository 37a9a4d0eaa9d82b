package connectiontest_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"

	"mailtrigger/connection/connectiontest"
)

func TestServer(t *testing.T) {
	srv, err := connectiontest.NewServer(connectiontest.Options{Hide: []string{"MOVE"}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	srv.AddUser("alice", "secret")
	first := srv.Append("alice", "inbox", []byte("From bad\r\nSubject: a\r\n\r\nbody\r\n"), []string{`\Flagged`}, time.Time{})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(srv.CACert())
	exists := make(chan uint32, 10)
	c, err := imapclient.DialTLS(srv.Addr(), &imapclient.Options{
		TLSConfig: &tls.Config{RootCAs: roots},
		UnilateralDataHandler: &imapclient.UnilateralDataHandler{Mailbox: func(d *imapclient.UnilateralDataMailbox) {
			if d.NumMessages != nil {
				exists <- *d.NumMessages
			}
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Login("alice", "wrong").Wait(); err == nil {
		t.Fatal("a wrong password is good")
	}
	if err := c.Login("alice", "secret").Wait(); err != nil {
		t.Fatal(err)
	}
	if c.Caps().Has(imap.CapMove) || !c.Caps().Has(imap.CapIdle) {
		t.Errorf("capabilities: %v", c.Caps())
	}
	d, err := c.Select("INBOX", nil).Wait()
	if err != nil || d.NumMessages != 1 {
		t.Fatal(d, err)
	}
	l, err := c.Fetch(imap.UIDSetNum(imap.UID(first)), &imap.FetchOptions{RFC822Size: true, BodySection: []*imap.FetchItemBodySection{{Peek: true}}}).Collect()
	if err != nil || len(l) != 1 || string(l[0].BodySection[0].Bytes) != "From bad\r\nSubject: a\r\n\r\nbody\r\n" {
		t.Fatal(l, err)
	}
	// A message that came after the last command and before IDLE is told.
	srv.Append("alice", "INBOX", []byte("x"), nil, time.Time{})
	idle, err := c.Idle()
	if err != nil {
		t.Fatal(err)
	}
	if n := <-exists; n != 2 {
		t.Fatalf("%d EXISTS", n)
	}
	srv.Append("alice", "INBOX", []byte("y"), nil, time.Time{})
	if n := <-exists; n != 3 {
		t.Fatalf("%d EXISTS", n)
	}
	if err := idle.Close(); err != nil {
		t.Fatal(err)
	}
	if err := idle.Wait(); err != nil {
		t.Fatal(err)
	}
	srv.Fail("COPY", "NO [OVERQUOTA] full", 1)
	if _, err := c.Copy(imap.UIDSetNum(1), "Archive").Wait(); err == nil {
		t.Error("COPY worked")
	}
	if d, err := c.Copy(imap.UIDSetNum(1), "Archive").Wait(); err != nil || d.DestUIDs.String() != "1" {
		t.Error(d, err)
	}
	found, err := c.UIDSearch(&imap.SearchCriteria{NotFlag: []imap.Flag{imap.FlagFlagged}}, nil).Wait()
	if err != nil || len(found.AllUIDs()) != 2 {
		t.Error(found, err)
	}
	if got := srv.Messages("alice", "Archive"); len(got) != 1 || got[0].Flags[0] != `\Flagged` {
		t.Error(got)
	}
	srv.Drop()
	<-c.Closed()
}
