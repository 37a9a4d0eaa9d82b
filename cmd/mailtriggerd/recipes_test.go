package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/connectiontest/rigtest"
)

// Each recipe of the README is run as it is printed, with the addresses, ports and
// secrets of test servers in it, by the real program, and its outcome is seen.

// recipes are the tests of the recipes, by their headings.
var recipes = map[string]func(t *testing.T, r *recipe){
	"Save invoices by sender and month": func(t *testing.T, r *recipe) {
		m := r.work()
		r.put(`"/srv/invoices"`, `"invoices"`)
		r.start(1)
		m.deliver(fenced(t, "eml")[0])
		r.says(1, 20*time.Second, "action done", "action=save_attachments")
		month := time.Now().UTC().Format("2006-01")
		saved := readFile(t, r.path("invoices/billing@acme.example/"+month+"/2041.pdf"))
		if !strings.HasPrefix(saved, "%PDF") {
			t.Errorf("saved is %q", saved)
		}
	},
	"Tell a chat": func(t *testing.T, r *recipe) {
		m := r.work()
		got := make(chan string, 1)
		chat := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) {
			b, _ := io.ReadAll(q.Body)
			got <- q.Header.Get("Content-Type") + " " + string(b)
		}))
		defer chat.Close()
		r.file("chat.url", chat.URL+"/hooks/secret")
		r.start(1)
		m.deliver("From: Disk <disk@monitoring.example>\nSubject: \"sda\" is full\n\nC:\\ and \"D\"\n")
		said := receive(t, got)
		var message struct{ Text string }
		body, isJSON := strings.CutPrefix(said, "application/json ")
		if err := json.Unmarshal([]byte(body), &message); !isJSON || err != nil || !strings.HasPrefix(message.Text, "\"sda\" is full\nC:\\ and \"D\"") {
			t.Errorf("the chat got %q: %v", said, err)
		}
	},
	"Alarms, at most one in ten minutes": func(t *testing.T, r *recipe) {
		m := r.work()
		r.start(1)
		for _, subject := range []string{"one", "two", "three"} {
			m.deliver("From: disk@monitoring.example\nSubject: " + subject + "\n\n")
		}
		waitFor(t, 20*time.Second, "two are suppressed", func() bool {
			return strings.Contains(scrapeService(t, r.daemonUnderTest), `trigger_suppressed_total{reason="limit",trigger="pager"} 2`)
		})
		r.says(1, 20*time.Second, "action done", "alarm: one")
		r.terminate()
		if n := strings.Count(r.log(), "action done"); n != 1 {
			t.Errorf("%d alarms fired", n)
		}
	},
	"A backup that does not report": func(t *testing.T, r *recipe) {
		t.Parallel() // it takes up to a minute: times of day have no seconds
		r.work()
		by := time.Now().UTC().Add(10 * time.Second).Truncate(time.Minute).Add(time.Minute)
		r.put(`by = "06:30"`, by.Format(`by = "15:04"`))
		r.put(`opens = "20:00"`, by.Add(-time.Hour).Format(`opens = "15:04"`))
		r.put(`"Europe/Berlin"`, `"UTC"`)
		r.start(1)
		r.says(1, 2*time.Minute, "action done", "no backup report: not_arrived")
		if now := time.Now(); now.Before(by) {
			t.Errorf("it fired at %s, before %s", now.UTC(), by)
		}
	},
	"One trigger for many accounts": func(t *testing.T, r *recipe) {
		m := r.server("anna@example.com", "boris@example.com")
		r.file("anna.password", recipePassword)
		r.file("boris.password", recipePassword)
		r.start(2)
		m.append("anna@example.com", "Subject: one\n\n")
		m.append("boris@example.com", "Subject: =?windows-1251?Q?=E4=E2=E0?=\n\n")
		r.says(1, 20*time.Second, "action done", "cust-anna: one")
		r.says(1, 20*time.Second, "action done", "cust-boris: два")
	},
	"A command for each attachment": func(t *testing.T, r *recipe) {
		m := r.work()
		r.write("ocr.sh", "#!/bin/sh\necho \"$2 $(cat \"$MAILTRIGGER_FILE\")\"\n")
		r.put(`"/usr/local/bin/ocr"`, `"./ocr.sh"`)
		r.start(1)
		m.deliver("From: scanner@example.com\nSubject: scans\nMIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=next\n\n" +
			"--next\nContent-Type: application/pdf; name=one.pdf\nContent-Disposition: attachment\n\nfirst page\n" +
			"--next\nContent-Type: image/png; name=logo.png\nContent-Disposition: attachment\n\nlogo\n" +
			"--next\nContent-Type: image/tiff; name=two.TIF\nContent-Disposition: attachment\n\nsecond page\n--next--\n")
		r.says(1, 20*time.Second, "one.pdf first page")
		r.says(1, 20*time.Second, "two.TIF second page")
		r.terminate()
		if strings.Contains(r.log(), "logo.png") {
			t.Error("the command ran for the logo, too")
		}
	},
	"An old supplier's Shift_JIS": func(t *testing.T, r *recipe) {
		m := r.work()
		r.put(`"/srv/orders/orders.jsonl"`, `"orders.jsonl"`)
		r.start(1)
		m.deliver("From: orders@supplier.example\nSubject: \x92\x8d\x95\xb6 12\n\n\x82\xa0\x82\xe8\x82\xaa\x82\xc6\x82\xa4\n")
		r.says(1, 20*time.Second, "action done")
		if line := readFile(t, r.path("orders.jsonl")); !strings.Contains(line, `"subject":"注文 12"`) || !strings.Contains(line, `"text":"ありがとう`) {
			t.Errorf("the event is %s", line)
		}
	},
	"Gmail": func(t *testing.T, r *recipe) {
		m := r.server("me@gmail.com")
		r.file("gmail.password", recipePassword)
		r.start(1)
		m.append("me@gmail.com", "Subject: hello\n\n")
		r.says(1, 20*time.Second, "action done", "mail: hello")
	},
	"Office 365 without a person": func(t *testing.T, r *recipe) {
		r.rig("main")
		r.put(`provider  = "microsoft"`, `token_url = "`+rigtest.Setting(t, "RIG_OAUTH_TOKEN_URL")+`"`+"\n"+`scopes = ["carol"]`)
		r.put(`tenant    = "example.onmicrosoft.com"`, "")
		r.put("00000000-0000-0000-0000-000000000000", rigtest.Setting(t, "RIG_OAUTH_CLIENT_ID"))
		r.put(`"invoices@example.com"`, `"carol"`)
		r.file("office365.secret", rigtest.Setting(t, "RIG_OAUTH_CLIENT_SECRET"))
		r.start(1)
		rigtest.Run(t, "deliver", "-u", "carol", "-S", "hello")
		r.says(1, 20*time.Second, "action done", "mail: hello")
	},
	"A shared mailbox": func(t *testing.T, r *recipe) {
		r.rig("main")
		r.put(`"robot"`, `"alice"`)
		r.put(`"invoices"`, `"shared"`)
		r.file("robot.password", "alice-pw")
		r.start(1)
		rigtest.Run(t, "deliver", "-u", "shared", "-S", "hello")
		r.says(1, 20*time.Second, "action done", "mail: hello")
	},
	"Through an NTLM proxy": func(t *testing.T, r *recipe) {
		proxy, err := url.Parse(rigtest.Setting(t, "RIG_SQUID_NTLM_URL"))
		if err != nil {
			t.Fatal(err)
		}
		r.put(`"proxy.example.com"`, `"`+proxy.Hostname()+`"`)
		r.put(`port = 8080`, `port = `+proxy.Port())
		r.put(`"svc-mail"`, `"`+proxy.User.Username()+`"`)
		password, _ := proxy.User.Password()
		r.file("proxy.password", password)
		r.text = strings.Replace(r.text, "imap.example.net", "imap.example.com", 1)
		r.rig("main")
		r.put(`"ops@example.net"`, `"bob"`)
		r.file("ops.password", "bob-pw")
		r.start(1)
		rigtest.Run(t, "deliver", "-u", "bob", "-S", "hello")
		r.says(1, 20*time.Second, "action done", "mail: hello")
	},
	"163.com": func(t *testing.T, r *recipe) {
		r.rig("main")
		r.put(`"me@163.com"`, `"u18"`)
		r.file("163.code", "pw")
		trace := strings.TrimSpace(rigtest.Run(t, "trace", "main", "u18"))
		r.start(1)
		rigtest.Run(t, "deliver", "-u", "u18", "-S", "hello")
		r.says(1, 20*time.Second, "action done", "mail: hello")
		said := traced(t, trace)
		if id, opened := strings.Index(said, " ID ("), regexp.MustCompile(` (SELECT|EXAMINE) `).FindStringIndex(said); id < 0 || opened == nil || opened[0] < id {
			t.Errorf("the mailbox was opened before the client had said who it is:\n%s", said)
		}
	},
	"A bridge with a self-signed certificate": func(t *testing.T, r *recipe) {
		r.put(`preset = "protonbridge"`, `preset = "protonbridge"`+"\n"+`port = `+rigtest.Setting(t, "RIG_SELFSIGNED_IMAP"))
		r.put(`"me@proton.me"`, `"alice"`)
		r.file("bridge.password", "alice-pw")
		r.prepare()
		stdout, _, _ := r.call("--test-connection", "bridge")
		pin := regexp.MustCompile(`pin_sha256 = \["[^"]+"\]`).FindString(stdout)
		if pin == "" {
			t.Fatalf("no pin in\n%s", stdout)
		}
		r.put(regexp.MustCompile(`pin_sha256 = \["[^"]+"\]`).FindString(r.text), pin)
		r.start(1)
		rigtest.Run(t, "deliver", "-i", "selfsigned", "-u", "alice", "-S", "hello")
		r.says(1, 20*time.Second, "action done", "mail: hello")
	},
}

const recipePassword = "recipe-secret"

// A recipe is one of the README, and a daemon that runs it.
type recipe struct {
	*daemonUnderTest
	text string
}

// put replaces what the recipe leaves to its reader.
func (r *recipe) put(old, with string) {
	r.t.Helper()
	if !strings.Contains(r.text, old) {
		r.t.Fatalf("the recipe has no %s:\n%s", old, r.text)
	}
	r.text = strings.ReplaceAll(r.text, old, with)
}

// file writes a file of /etc/mailtriggerd.
func (r *recipe) file(name, content string) {
	r.t.Helper()
	r.put(`"/etc/mailtriggerd/`+name+`"`, `"`+name+`"`)
	r.write(name, content+"\n")
}

var recipeServer = regexp.MustCompile(`(?m)^(address = "imap\.example\.com"|preset = ".*")$`)

// at puts in where the server is.
func (r *recipe) at(host, port, caFile string) {
	r.t.Helper()
	found := recipeServer.FindString(r.text)
	if found == "" {
		r.t.Fatalf("the recipe has no server:\n%s", r.text)
	}
	preset := ""
	if strings.HasPrefix(found, "preset") {
		preset = found + "\n"
	}
	r.put(found, fmt.Sprintf("%saddress = %q\nport = %s\ntimeout = 10\nencryption = {ca_file = %q}", preset, host, port, caFile))
}

// rig has the recipe's server be one of the rig's.
func (r *recipe) rig(unit string) {
	r.t.Helper()
	key := "RIG_" + strings.ToUpper(unit)
	r.at(rigtest.Setting(r.t, key+"_HOST"), rigtest.Setting(r.t, key+"_IMAPS"), rigtest.Setting(r.t, "RIG_CA"))
}

// A mailServer is the server of a recipe.
type mailServer struct {
	*connectiontest.Server
	user string
}

// server has it be one in memory, with these users.
func (r *recipe) server(users ...string) *mailServer {
	r.t.Helper()
	srv, err := connectiontest.NewServer(connectiontest.Options{})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = srv.Close() })
	for _, user := range users {
		srv.AddUser(user, recipePassword)
	}
	r.write("ca.pem", string(srv.CACert()))
	host, port, err := net.SplitHostPort(srv.Addr())
	if err != nil {
		r.t.Fatal(err)
	}
	r.at(host, port, "ca.pem")
	return &mailServer{srv, users[0]}
}

// work adds the connection of the README's first config.
func (r *recipe) work() *mailServer {
	r.t.Helper()
	connection, _, _ := strings.Cut(fenced(r.t, "toml")[0], "[trigger.")
	r.text = connection + r.text
	m := r.server("me@example.com")
	r.file("work.password", recipePassword)
	return m
}

func (m *mailServer) deliver(mail string) { m.append(m.user, mail) }

func (m *mailServer) append(user, mail string) {
	m.Append(user, "INBOX", []byte(strings.ReplaceAll(mail, "\n", "\r\n")), nil, time.Now())
}

// prepare writes the config. What the recipes give to the system's log, the test
// wants to read in the daemon's.
func (r *recipe) prepare() {
	head := fmt.Sprintf("state_dir = \"state\"\ncontrol = \"control.sock\"\nmetrics.listen = %q\n", "unix:"+r.path("m.sock"))
	r.write("config.toml", head+strings.ReplaceAll(r.text, `"/usr/bin/logger", "--"`, `"/bin/echo"`))
}

// start starts the daemon and waits until it watches n mailboxes.
func (r *recipe) start(n int) {
	r.t.Helper()
	r.prepare()
	r.daemonUnderTest.start()
	r.says(n, 20*time.Second, "watching from now on")
}

func receive(t *testing.T, c <-chan string) string {
	t.Helper()
	select {
	case s := <-c:
		return s
	case <-time.After(20 * time.Second):
		t.Fatal("nothing came")
		return ""
	}
}

// traced is what a client has said, by the files of a trace.
func traced(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.in"))
	if err != nil {
		t.Fatal(err)
	}
	var said bytes.Buffer
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		said.Write(b)
	}
	return said.String()
}

func TestRecipes(t *testing.T) {
	page := strings.Join(readme(t), "\n")
	_, page, _ = strings.Cut(page, "\n## Recipes\n")
	page, _, _ = strings.Cut(page, "\n## ")
	listed := map[string]bool{}
	for _, section := range strings.Split(page, "\n### ")[1:] {
		heading, text, _ := strings.Cut(section, "\n")
		listed[heading] = true
		run := recipes[heading]
		if run == nil {
			t.Errorf("no test runs the recipe %q", heading)
			continue
		}
		_, text, _ = strings.Cut(text, "```toml\n")
		text, _, _ = strings.Cut(text, "```")
		t.Run(heading, func(t *testing.T) {
			run(t, &recipe{newDaemonUnderTest(t, ""), text})
		})
	}
	for heading := range recipes {
		if !listed[heading] {
			t.Errorf("README.md has no recipe %q", heading)
		}
	}
}
