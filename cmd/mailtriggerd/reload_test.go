package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
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
	configOf := func(trigger string) string {
		return rigHead + fmt.Sprintf("[connection.office]\naddress = %q\nport = %s\ntimeout = 5\nauthentication = {username = \"alice\", password = \"pw\"}\nencryption.pin_sha256 = [%q]\n", host, port, srv.Pin()) + trigger
	}
	d := newDaemonUnderTest(t, configOf(recordTrigger(`"office"`)))
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

	d.write("config.toml", strings.Replace(configOf(recordTrigger(`"office"`)), rigHead, rigHead+"log.format = \"json\"\n", 1))
	d.signal(syscall.SIGHUP)
	d.says(1, 20*time.Second, "takes effect at a restart only", "log.format")
	d.says(2, 20*time.Second, "the configuration was reloaded")

	d.write("config.toml", "nonsense = 1\n")
	d.signal(syscall.SIGHUP)
	d.says(1, 20*time.Second, "was not reloaded", "nonsense")
	d.write("config.toml", "")
	d.signal(syscall.SIGHUP)
	d.says(1, 20*time.Second, "was not reloaded", "has no trigger")
	srv.Append("alice", "INBOX", []byte("Subject: still there\r\n\r\ntext\r\n"), nil, time.Now())
	d.says(burst+1, 20*time.Second, "action done")

	d.write("config.toml", configOf(strings.ReplaceAll(recordTrigger(`"office"`), "trigger.record", "trigger.renamed")))
	d.signal(syscall.SIGHUP)
	d.says(3, 20*time.Second, "the configuration was reloaded")
	d.says(1, 20*time.Second, "it goes on under the old one", "then=renamed")
	srv.Append("alice", "INBOX", []byte("Subject: last\r\n\r\ntext\r\n"), nil, time.Now())
	d.says(burst+2, 20*time.Second, "action done", "trigger=record")
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	srv.Append("alice", "INBOX", []byte("Subject: while it was down\r\n\r\ntext\r\n"), nil, time.Now())
	d.start()
	d.says(1, 20*time.Second, "it goes on where it was", "trigger=renamed before=record")
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
	if begun != burst+3 {
		t.Errorf("%d runs for %d messages", begun, burst+3)
	}
}

// A reload sets the level of loggers that are in use.
func TestLevelIsSetLive(t *testing.T) {
	var out strings.Builder
	log, level := newLogger(&out, config.LogConfig{Format: "text"})
	used := log.With("connection", "office")
	used.Debug("before")
	level.Set(slog.LevelDebug)
	used.Debug("after")
	if strings.Contains(out.String(), "before") || !strings.Contains(out.String(), "after") {
		t.Error(out.String())
	}
}

// Reloads under load, with 200 connections: those that are untouched log in no more,
// and every mail fires each of its triggers once.
func TestReloadUnderLoad(t *testing.T) {
	const users, rounds = 200, 6
	srv, err := connectiontest.NewServer(connectiontest.Options{Mode: "none"})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	host, port, _ := strings.Cut(srv.Addr(), ":")
	user := func(i int) string { return fmt.Sprintf("user%03d", i) }
	for i := range users + rounds {
		srv.AddUser(user(i), "pw")
	}
	// Each round changes one connection, adds one, and changes one trigger; "record"
	// names its connections by a pattern.
	configOf := func(round int) string {
		var b strings.Builder
		b.WriteString(rigHead)
		for i := range users + round {
			timeout := 10
			if i < round {
				timeout = 11
			}
			fmt.Fprintf(&b, "[connection.%s]\naddress = %q\nport = %s\ntimeout = %d\nencryption.protocol = \"none\"\nauthentication = {username = %q, password = \"pw\"}\n", user(i), host, port, timeout, user(i))
		}
		for _, trigger := range []struct{ name, keys string }{{"record", ""}, {"changes", fmt.Sprintf("retry.attempts = %d\n", 100+round)}} {
			fmt.Fprintf(&b, "[trigger.%[1]s]\nconnection = \"user*\"\n%[2]s[[trigger.%[1]s.action]]\ntype = \"append\"\nfile = \"%[1]s.jsonl\"\n", trigger.name, trigger.keys)
		}
		return b.String()
	}
	d := newDaemonUnderTest(t, configOf(0))
	d.start()
	d.says(2*users, time.Minute, "watching from now on")
	if n := srv.Logins(); n != users {
		t.Fatalf("%d logins for %d connections", n, users)
	}
	sent := 0
	var posting sync.WaitGroup
	for round := 1; round <= rounds; round++ {
		sent += users
		posting.Go(func() {
			for i := range users {
				srv.Append(user(i), "INBOX", fmt.Appendf(nil, "From: a@example.com\r\nSubject: round %d\r\n\r\ntext\r\n", round), nil, time.Now())
			}
		})
		d.write("config.toml", configOf(round))
		d.signal(syscall.SIGHUP)
		d.says(round, time.Minute, "the configuration was reloaded")
	}
	posting.Wait()
	d.says(sent, time.Minute, "action done", "trigger=record")
	d.says(sent, time.Minute, "action done", "trigger=changes")
	d.says(2*(users+rounds), time.Minute, "watching from now on")
	if n := srv.Logins() - users; n != 2*rounds {
		t.Errorf("%d logins in %d reloads that each changed one connection and added one", n, rounds)
	}
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	for _, trigger := range []string{"record", "changes"} {
		b, err := os.ReadFile(d.path(trigger + ".jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		fired := make(map[string]int)
		for line := range strings.Lines(string(b)) {
			var event struct {
				Connection string `json:"connection"`
				UID        uint32 `json:"uid"`
			}
			if err := json.Unmarshal([]byte(line), &event); err != nil {
				t.Fatal(err)
			}
			fired[fmt.Sprint(event.Connection, " ", event.UID)]++
		}
		for mail, n := range fired {
			if n != 1 {
				t.Errorf("%s: %s fired %d times", trigger, mail, n)
			}
		}
		if len(fired) != sent {
			t.Errorf("%s: %d of %d mails fired", trigger, len(fired), sent)
		}
	}
}
