package main

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest/rigtest"
)

// TROUBLESHOOTING.md shows what the program prints at each symptom. Each is provoked
// here, on real servers, and the lines are looked for in what is printed.

// A patient is a program with a symptom: what it prints is kept.
type patient struct {
	*daemonUnderTest
	printed strings.Builder
}

// call makes a call with the patient's config, and keeps what it prints.
func (p *patient) call(args ...string) {
	p.t.Helper()
	out, err := program(p.t, append([]string{"--config", p.path("config.toml")}, args...)...).CombinedOutput()
	if err != nil && len(out) == 0 {
		p.t.Fatalf("%s: %v", args, err)
	}
	p.printed.Write(out)
}

// letters prints the dead letters once the journal has one: soon after the log.
func (p *patient) letters() {
	p.t.Helper()
	waitFor(p.t, 20*time.Second, "there is a dead letter", func() bool {
		out, err := program(p.t, "--config", p.path("config.toml"), "--dead-letters").Output()
		return err == nil && string(out) != "no dead letters\n"
	})
	p.call("--dead-letters")
}

// on makes a patient with a config.
func on(t *testing.T, config string) *patient {
	return &patient{daemonUnderTest: newDaemonUnderTest(t, "control = \"control.sock\"\n"+rigHead+config)}
}

// account is a connection to a unit of the rig, with TLS.
func account(t *testing.T, unit, user, extra string) string {
	return strings.Replace(rigConnection(t, "work", unit, "implicit", user, extra), user+"-pw", "pw", 1)
}

const echo = `
[trigger.hello]
connection = "work"
[[trigger.hello.action]]
type = "exec"
command = ["/bin/echo", "mail:", "{{.Message.Subject}}"]
`

// symptoms are what provokes each symptom of the page, by its heading.
var symptoms = map[string]func(t *testing.T) *patient{
	"The daemon does not start": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u1", "")+strings.ReplaceAll(echo, `"work"`, `"wrok"`))
		p.call("--check-config")
		p.write("config.toml", "control = \"control.sock\"\n"+rigHead+account(t, "main", "u1", "")+echo)
		if err := os.Chmod(p.path("config.toml"), 0o644); err != nil {
			t.Fatal(err)
		}
		p.call("--check-config")
		if err := os.Chmod(p.path("config.toml"), 0o600); err != nil {
			t.Fatal(err)
		}
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		p.call()
		return p
	},
	"A changed config has no effect": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u19", "")+echo)
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		good := readFile(t, p.path("config.toml"))
		p.write("config.toml", strings.Replace(good, "timeout", "timeuot", 1))
		p.signal(syscall.SIGHUP)
		p.says(1, 20*time.Second, "was not reloaded")
		p.write("config.toml", strings.Replace(good, `state_dir = "state"`, `state_dir = "other"`, 1))
		p.signal(syscall.SIGHUP)
		p.says(1, 20*time.Second, "at a restart only")
		return p
	},
	"`--status` reaches nobody": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u2", "")+echo)
		p.call("--status")
		return p
	},
	"Mail comes late, or IDLE is silent": func(t *testing.T) *patient {
		p := on(t, account(t, "minimal", "u3", "")+rigConnection(t, "other", "tls13", "implicit", "alice", "session.idle_refresh = \"2s\"\n")+echo+strings.ReplaceAll(echo, "work", "other"))
		p.write("config.toml", strings.Replace(readFile(t, p.path("config.toml")), "[trigger.hello]\nconnection = \"other\"\n[[trigger.hello.action]]", "[trigger.second]\nconnection = \"other\"\n[[trigger.second.action]]", 1))
		p.start()
		p.says(2, 20*time.Second, "watching from now on")
		p.call("--status")
		rigtest.Run(t, "fault", "freeze", "tls13")
		p.says(1, 20*time.Second, "connection lost")
		rigtest.Run(t, "fault", "thaw", "tls13")
		return p
	},
	"Nothing fires": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u4", "")+echo+"[[trigger.hello.condition]]\nfield = \"subject\"\ncontains = \"invoice\"\n")
		rigtest.Run(t, "deliver", "-u", "u4", "-S", "Your bill", "-f", "billing@acme.example")
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		p.call("--test-trigger", "hello")
		return p
	},
	"It fires twice": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u5", "")+strings.Replace(echo, `["/bin/echo", "mail:", "{{.Message.Subject}}"]`, `["/bin/sh", "-c", "echo booked $MAILTRIGGER_EVENT_ID; exit 3"]`, 1)+"[trigger.hello.retry]\nfirst = \"1s\"\n")
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		rigtest.Run(t, "deliver", "-u", "u5", "-S", "Invoice")
		p.says(2, 20*time.Second, "action failed")
		return p
	},
	"Text is garbled": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u6", "")+echo)
		p.write("m.eml", "From: sklad@supplier.example\nTo: me@example.com\nSubject: \xc7\xe0\xea\xe0\xe7 \xee\xf2\xef\xf0\xe0\xe2\xeb\xe5\xed\n\n\xc7\xe0\xea\xe0\xe7 \xee\xf2\xef\xf0\xe0\xe2\xeb\xe5\xed\n")
		p.call("--test-trigger", "hello", "--message", p.path("m.eml"))
		p.write("config.toml", strings.Replace(readFile(t, p.path("config.toml")), "[trigger.hello]\n", "[trigger.hello]\ncode_page = 1251\n", 1))
		p.call("--test-trigger", "hello", "--message", p.path("m.eml"))
		return p
	},
	"The login is refused": func(t *testing.T) *patient {
		p := on(t, strings.Replace(account(t, "main", "u7", ""), `"pw"`, `"not-this-one"`, 1)+echo)
		p.call("--test-connection", "work")
		p.start()
		p.says(1, 20*time.Second, "level=WARN")
		return p
	},
	"The OAuth consent is gone": func(t *testing.T) *patient {
		p := on(t, regexp.MustCompile(`password = .*`).ReplaceAllString(account(t, "main", "u8", ""), `oauth2 = {grant = "refresh_token", client_id = "rig-client", client_secret = "rig-secret", token_url = "`+rigtest.Setting(t, "RIG_OAUTH_TOKEN_URL")+`", device_auth_url = "`+rigtest.Setting(t, "RIG_OAUTH_DEVICE_URL")+`", refresh_token_file = "r"}`)+echo)
		p.write("r", "revoked-token")
		p.call("--test-connection", "work")
		return p
	},
	"The certificate is refused": func(t *testing.T) *patient {
		p := on(t, account(t, "expired", "u9", "")+echo)
		for _, unit := range []string{"expired", "wronghost", "selfsigned", "tls10"} {
			p.write("config.toml", "control = \"control.sock\"\n"+rigHead+account(t, unit, "u9", "")+echo)
			p.call("--test-connection", "work")
		}
		return p
	},
	"The proxy does not let through": func(t *testing.T) *patient {
		p := on(t, "")
		port := portOf(t, "RIG_TINYPROXY_BASIC_URL")
		for _, proxy := range []string{
			`type = "http", port = ` + port + `, address = "127.0.0.1", username = "puser", password = "wrong"`,
			`type = "http", port = ` + port + `, address = "127.0.0.1"`,
			`type = "socks5", port = ` + port + `, address = "127.0.0.1"`,
			`type = "http", port = 1, address = "127.0.0.1"`,
		} {
			p.write("config.toml", "control = \"control.sock\"\n"+rigHead+account(t, "main", "u10", "proxy = {"+proxy+"}\n")+echo)
			p.call("--test-connection", "work")
		}
		return p
	},
	"The server says that there are too many connections": func(t *testing.T) *patient {
		p := on(t, account(t, "limit", "u11", "")+echo)
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		p.call("--test-connection", "work")
		return p
	},
	"The disk is full": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u12", "")+echo)
		disk := p.path("state")
		if err := os.Mkdir(disk, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=80m"); err != nil {
			t.Skipf("a small disk cannot be mounted: %v", err)
		}
		t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		filler := filepath.Join(disk, "filler")
		if err := os.WriteFile(filler, make([]byte, 40<<20), 0o600); err != nil {
			t.Fatal(err)
		}
		rigtest.Run(t, "deliver", "-u", "u12", "-S", "Invoice")
		p.says(1, 20*time.Second, "journal waits")
		if err := os.Remove(filler); err != nil {
			t.Fatal(err)
		}
		p.says(1, 30*time.Second, "has disk space again")
		p.says(1, 30*time.Second, "action done")
		return p
	},
	"A mailbox is held": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u13", "")+echo)
		rigtest.Run(t, "deliver", "-u", "u13", "-n", "2")
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		p.terminate()
		rigtest.Run(t, "deliver", "-u", "u13", "-n", "60")
		rigtest.Run(t, "fault", "uidvalidity", "main", "u13", "INBOX")
		p.start()
		p.says(1, 40*time.Second, "nothing of it fires")
		p.letters()
		return p
	},
	"The server has changed the UIDs": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u14", "session.recheck_interval = \"1s\"\nsession.idle_refresh = \"1s\"\n")+echo)
		rigtest.Run(t, "deliver", "-u", "u14", "-n", "3")
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		rigtest.Run(t, "fault", "uidvalidity", "main", "u14", "INBOX")
		p.says(1, 40*time.Second, "known messages found again")
		return p
	},
	"There are dead letters": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u15", "")+strings.Replace(echo, `["/bin/echo", "mail:", "{{.Message.Subject}}"]`, `["/bin/sh", "-c", "echo no such ledger; exit 65"]`, 1))
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		rigtest.Run(t, "deliver", "-u", "u15", "-S", "Invoice")
		p.says(1, 20*time.Second, "action failed for good")
		p.letters()
		p.call("--retry", "1")
		p.call("--discard", "1")
		return p
	},
	"An action has no permission": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u16", "")+strings.Replace(echo, `["/bin/echo", "mail:", "{{.Message.Subject}}"]`, `["/bin/sh", "-c", "echo $MAILTRIGGER_SUBJECT >>/sys/subjects"]`, 1)+
			"[trigger.files]\nconnection = \"work\"\n[[trigger.files.action]]\ntype = \"save\"\ndirectory = \"/sys/invoices\"\n")
		p.start()
		p.says(2, 20*time.Second, "watching from now on")
		rigtest.Run(t, "deliver", "-u", "u16", "-S", "Invoice")
		p.says(2, 20*time.Second, "action failed")
		return p
	},
	"Mail is not sent": func(t *testing.T) *patient {
		table := func(name, password string) string {
			return fmt.Sprintf("[smtp.%s]\naddress = \"127.0.0.1\"\nport = %s\nfrom = \"robot@example.com\"\nauthentication = {username = \"alice\", password = %q}\nencryption = {ca_file = %q}\n",
				name, rigtest.Setting(t, "RIG_SUBMISSION_SMTP"), password, rigtest.Setting(t, "RIG_CA"))
		}
		action := func(kind, smtp, keys string) string {
			return fmt.Sprintf("[trigger.%s]\nconnection = \"work\"\n[[trigger.%[1]s.action]]\ntype = %[1]q\nsmtp = %q\n%s\n", kind, smtp, keys)
		}
		actions := action("mail", "wrong", `to = "a@example.com"`) + action("forward", "out", `to = "refused@example.com"`) + action("reply", "out", `body = "Thanks."`)
		p := on(t, account(t, "main", "u18", "")+table("wrong", "wrong")+table("out", "alice-pw")+actions)
		p.start()
		p.says(3, 20*time.Second, "watching from now on")
		rigtest.Run(t, "deliver", "-u", "u18", "-S", "Invoice", "-H", "Auto-Submitted: auto-generated")
		p.says(1, 20*time.Second, "action failed, will be tried again")
		p.says(1, 20*time.Second, "action failed for good")
		p.says(1, 20*time.Second, "not sent: ")
		p.terminate()
		p.write("config.toml", rigHead+account(t, "main", "u18", "")+table("out", "wrong"))
		p.call("--test-connection", "smtp.out")
		return p
	},
	"A large mail does not fire": func(t *testing.T) *patient {
		p := on(t, account(t, "main", "u17", "")+strings.Replace(echo, "connection", "max_size = \"100kB\"\nconnection", 1))
		p.start()
		p.says(1, 20*time.Second, "watching from now on")
		rigtest.Run(t, "deliver", "-u", "u17", "-S", "Invoice", "-s", "200000")
		p.says(1, 20*time.Second, "dead letter")
		p.letters()
		return p
	},
}

// portOf returns the port of a URL that the rig prints.
func portOf(t *testing.T, setting string) string {
	t.Helper()
	u, err := url.Parse(rigtest.Setting(t, setting))
	if err != nil {
		t.Fatal(err)
	}
	return u.Port()
}

// sections returns the page's sections by their headings.
func sections(t *testing.T, page string) map[string][]string {
	t.Helper()
	found := map[string][]string{}
	heading := ""
	for line := range strings.Lines(readFile(t, page)) {
		line = strings.TrimSuffix(line, "\n")
		if h, is := strings.CutPrefix(line, "## "); is {
			heading = h
			found[heading] = nil
		} else if heading != "" {
			found[heading] = append(found[heading], line)
		}
	}
	return found
}

// shown returns what a section shows of the program's output.
func shown(section []string) (lines []string) {
	inside := false
	for _, line := range section {
		switch {
		case strings.HasPrefix(line, "```"):
			inside = !inside && line == "```console"
		case inside && line != "" && !strings.HasPrefix(line, "$ "):
			lines = append(lines, line)
		}
	}
	return lines
}

// squeezed is a line without the width of its columns, which differs.
func squeezed(line string) string { return strings.Join(strings.Fields(line), " ") }

func TestTroubleshooting(t *testing.T) {
	page := sections(t, "TROUBLESHOOTING.md")
	for heading := range symptoms {
		if page[heading] == nil {
			t.Errorf("TROUBLESHOOTING.md has no section %s", heading)
		}
	}
	for heading, section := range page {
		provoke := symptoms[heading]
		if provoke == nil {
			t.Errorf("nothing provokes what the section %s shows", heading)
			continue
		}
		t.Run(heading, func(t *testing.T) {
			t.Parallel()
			p := provoke(t)
			printed := p.printed.String() + p.log()
			for _, line := range shown(section) {
				if !slices.ContainsFunc(strings.Split(printed, "\n"), func(is string) bool { return likely(squeezed(line), squeezed(is)) }) {
					t.Errorf("this is not printed:\n%s\nbut\n%s", line, printed)
				}
			}
		})
	}
}
