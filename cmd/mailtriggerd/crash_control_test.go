package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"mailtrigger/connection"
)

// writeConfig writes the config file, and more into it if told so.
func (r *trial) writeConfig(more ...string) {
	c := r.srv.Config(crashUser)
	if r.port != 0 {
		c.Port = r.port
	}
	timeout := cmp.Or(r.scenario.timeout, "20s")
	text := strings.Join(more, "") + fmt.Sprintf(`state_dir = %q
metrics.listen = ""
connect_rate = 10000
[log]
level = "debug"
[connection.test]
address = %q
port = %d
timeout = %q
[connection.test.authentication]
username = %q
password = "pw"
[connection.test.encryption]
`, r.state, c.Address, c.Port, timeout, crashUser)
	if c.Encryption.Protocol == connection.ProtocolNone {
		text += "protocol = \"none\"\n"
	} else {
		text += fmt.Sprintf("mode = %q\npin_sha256 = [%q]\n", c.Encryption.Mode, r.srv.Pin())
	}
	text += "[connection.test.session]\nrecheck_interval = \"1s\"\n" + r.scenario.session + "\n" + strings.NewReplacer("@DIR@", r.dir, "@SELF@", os.Args[0]).Replace(r.scenario.triggers)
	if r.rewrite != nil {
		text = r.rewrite.Replace(text)
	}
	path := filepath.Join(r.dir, "config.toml") // replaced at once: nobody reads half of it
	if err := errors.Join(os.WriteFile(path+".new", []byte(text), 0o600), os.Rename(path+".new", path)); err != nil {
		r.t.Fatal(err)
	}
}

// control asks the running daemon.
func (r *trial) control(f func(*controlClient) error) error {
	c, err := dialControl(context.Background(), filepath.Join(r.state, "control.sock"))
	if err != nil {
		return err
	}
	defer c.Close()
	return f(c)
}

// parked reports whether every mailbox is watched and idle.
func (r *trial) parked() bool {
	ok := false
	_ = r.control(func(c *controlClient) error {
		s, err := c.Status()
		ok = err == nil && len(s.Watches) > 0 && s.Health == "ok"
		for _, w := range s.Watches {
			ok = ok && w.State == string(connection.StateParked)
		}
		return err
	})
	return ok
}

// quiet reports whether nothing is left to do.
func (r *trial) quiet() bool {
	ok := false
	_ = r.control(func(c *controlClient) error {
		s, err := c.Status()
		ok = err == nil && len(s.Watches) > 0
		for _, w := range s.Watches {
			ok = ok && w.State == string(connection.StateParked)
		}
		for _, t := range s.Triggers {
			ok = ok && t.Queue == 0
		}
		return err
	})
	return ok
}

func (r *trial) letters() (letters []letterInfo) {
	err := r.control(func(c *controlClient) (err error) {
		letters, err = c.DeadLetters()
		return err
	})
	if err != nil && !errors.Is(err, errNoDaemon) {
		return nil
	}
	return letters
}

// nudge does now and then what a person would do: it makes room on the disk, and
// tries dead letters again that only the killing made (a message that the daemon
// has died of three times is not read again), or that it has tried already when the daemon died.
func (r *trial) nudge() {
	if f := r.scenario.relief; f != nil {
		f(r)
	}
	for _, l := range r.letters() {
		if m := r.mail(l.Subject); m == nil || m.gone || r.isBuried(m.name) {
			continue
		}
		switch died := strings.Contains(l.Reason, "the daemon died"); {
		case died && r.v.crashes < 3:
			continue
		case died:
			r.count("poisoned")
		case !r.wasBuried(l.Subject):
			continue
		}
		_ = r.control(func(c *controlClient) error { return c.Retry(l.ID) })
	}
}

// wasBuried reports whether a mail that is to be no dead letter was to be one.
func (r *trial) wasBuried(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	dead, ok := r.buried[name]
	return ok && !dead
}

func (r *trial) isBuried(name string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buried[name]
}
