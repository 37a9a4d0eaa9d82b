package main

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
)

// SIGHUP reloads: a burst that is under way loses nothing and repeats nothing, a
// bad file leaves the old one running, and the new trigger works.
func TestReload(t *testing.T) {
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	srv.AddUser("alice", "pw")
	host, port, _ := strings.Cut(srv.Addr(), ":")
	config := func(trigger string) string {
		return rigHead + fmt.Sprintf("[connection.office]\naddress = %q\nport = %s\ntimeout = 5\nauthentication = {username = \"alice\", password = \"pw\"}\nencryption.pin_sha256 = [%q]\n", host, port, srv.Pin()) + trigger
	}
	d := newDaemonUnderTest(t, config(recordTrigger(`"office"`)))
	d.write("record.sh", recordScript)
	d.start()
	d.says(1, 20*time.Second, "watching from now on")
	const burst = 60
	for i := range burst {
		srv.Append("alice", "INBOX", fmt.Appendf(nil, "From: a@example.com\r\nSubject: mail %d\r\n\r\ntext\r\n", i), nil, time.Now())
		if i == burst/2 {
			d.says(5, 20*time.Second, "action done")
			d.signal(syscall.SIGHUP)
		}
	}
	d.says(1, 20*time.Second, "the configuration was reloaded")
	d.says(burst, time.Minute, "action done")

	d.write("config.toml", "nonsense = 1\n")
	d.signal(syscall.SIGHUP)
	d.says(1, 20*time.Second, "was not reloaded", "nonsense")
	d.write("config.toml", "")
	d.signal(syscall.SIGHUP)
	d.says(1, 20*time.Second, "was not reloaded", "has no trigger")
	srv.Append("alice", "INBOX", []byte("Subject: still there\r\n\r\ntext\r\n"), nil, time.Now())
	d.says(burst+1, 20*time.Second, "action done")

	d.write("config.toml", config(strings.ReplaceAll(recordTrigger(`"office"`), "trigger.record", "trigger.renamed")))
	d.signal(syscall.SIGHUP)
	d.says(2, 20*time.Second, "the configuration was reloaded")
	d.says(1, 20*time.Second, "watching from now on", "renamed")
	srv.Append("alice", "INBOX", []byte("Subject: last\r\n\r\ntext\r\n"), nil, time.Now())
	d.says(1, 20*time.Second, "action done", "trigger=renamed")
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	begun := 0
	for _, line := range d.ledger() {
		if strings.HasPrefix(line, "begin ") {
			begun++
		}
	}
	if begun != burst+2 {
		t.Errorf("%d runs for %d messages", begun, burst+2)
	}
}
