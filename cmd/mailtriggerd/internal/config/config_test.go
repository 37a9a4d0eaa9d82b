package config

import (
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/action"
)

// load reads a configuration given as text.
func load(t *testing.T, text string, env map[string]string) (*Config, []Problem) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(file, Options{Getenv: func(k string) string { return env[k] }})
}

// good reads a configuration that must have no mistakes.
func good(t *testing.T, text string, env map[string]string) *Config {
	t.Helper()
	c, problems := load(t, text, env)
	for _, p := range problems {
		t.Error(p.Error())
	}
	if problems != nil {
		t.FailNow()
	}
	return c
}

const work = `
[connection.work]
address = "imap.example.com"
authentication = {username = "ops", password_file = "secret"}
`

func TestGeneral(t *testing.T) {
	for _, test := range []struct {
		name, text string
		env        map[string]string
		want       func(*Config) (got, want any)
	}{
		{"service", "", map[string]string{"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "HOME": "/h"}, func(c *Config) (any, any) {
			return c.StateDir + " " + c.Control, "/var/lib/a /var/lib/a/control.sock"
		}},
		{"runtime", "", map[string]string{"RUNTIME_DIRECTORY": "/run/m", "XDG_STATE_HOME": "/x", "HOME": "/h"}, func(c *Config) (any, any) {
			return c.StateDir + " " + c.Control, "/x/mailtriggerd /run/m/control.sock"
		}},
		{"home", "", map[string]string{"HOME": "/h", "XDG_STATE_HOME": "relative"}, func(c *Config) (any, any) {
			return c.StateDir, "/h/.local/state/mailtriggerd"
		}},
		{"relative", "state_dir = \"s\"\ncontrol = \"c\"", nil, func(c *Config) (any, any) {
			return c.StateDir + c.Control, filepath.Join(c.BaseDir, "s") + filepath.Join(c.BaseDir, "c")
		}},
		{"defaults", "", nil, func(c *Config) (any, any) {
			return []any{c.ConnectRate, c.Log.Level.Level(), c.Log.Format, c.Metrics.Listen}, []any{200.0, slog.LevelInfo, "text", "127.0.0.1:9847"}
		}},
		{"values", "connect_rate = 5\nlog = {level = \"debug\", format = \"json\"}\nmetrics = {listen = \"\"}", nil, func(c *Config) (any, any) {
			return []any{c.ConnectRate, c.Log.Level.Level(), c.Log.Format, c.Metrics.Listen}, []any{5.0, slog.LevelDebug, "json", ""}
		}},
		{"socket", "metrics.listen = \"unix:/run/m.sock\"", nil, func(c *Config) (any, any) { return c.Metrics.Listen, "unix:/run/m.sock" }},
		{"loopback 6", "metrics.listen = \"[::1]:1\"", nil, func(c *Config) (any, any) { return c.Metrics.Listen, "[::1]:1" }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, want := test.want(good(t, test.text, test.env)); !reflect.DeepEqual(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestListenBeyondLoopback(t *testing.T) {
	for _, listen := range []string{":9847", "0.0.0.0:9847", "[::]:9847", "192.0.2.1:9847", "example.com:9847"} {
		_, problems := load(t, "metrics.listen = \""+listen+"\"", nil)
		if len(problems) != 1 || !strings.Contains(problems[0].Text, "can be reached from other machines") {
			t.Errorf("%s: %v", listen, problems)
		}
	}
}

func TestDecode(t *testing.T) {
	c := good(t, work+`
[connection.work.encryption]
pin_sha256 = []
[connection.work.session]
idle_refresh = "5m"
id = false

[trigger.t]
connection = "work"
enabled = false
mailboxes = ["A", "B"]
max_size = 1000
code_page = 1251
code_page_mode = "override"

[[trigger.t.condition]]
field = "subject"
is = [1, "two", true, 2027-01-31, 1.50]

[[trigger.t.action]]
type = "exec"
command = ["/usr/bin/true"]
directory = "run"
env = {A = "1", B = "2"}
timeout = 7.5

[trigger.t.retry]
first = 30
`, nil)
	conn, trig := c.Connection("work"), c.Trigger("t")
	run := trig.Actions[0].(*action.Exec)
	for _, test := range []struct{ got, want any }{
		{conn.Authentication.Password.File, filepath.Join(c.BaseDir, "secret")},
		{time.Duration(conn.Session.IdleRefresh), 5 * time.Minute},
		{*conn.Session.ID, false},
		{*trig.Enabled, false},
		{trig.Mailboxes, []string{"A", "B"}},
		{trig.MaxSize, setting.Size(1000)},
		{trig.CodePage.Number, 1251},
		{trig.CodePageMode.String(), "override"},
		{trig.Conditions[0].Is, []string{"1", "two", "true", "2027-01-31", "1.50"}},
		{run.Directory, filepath.Join(c.BaseDir, "run")},
		{run.Env, map[string]string{"A": "1", "B": "2"}},
		{time.Duration(run.Timeout), 7500 * time.Millisecond},
		{run.Name, "exec"},
		{time.Duration(trig.Retry.First), 30 * time.Second},
		{time.Duration(trig.Retry.Max), time.Hour},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

func TestExtends(t *testing.T) {
	dir := corpus(t)
	c, problems := read(dir, "good-extends.toml")
	if problems != nil {
		t.Fatal(problems)
	}
	if c.Connection("common") != nil || c.Trigger("base") != nil {
		t.Error("a base that lacks keys is in use")
	}
	a, b := c.Connection("a"), c.Connection("b")
	for _, test := range []struct{ got, want any }{
		{len(c.Connections), 2},
		{a.Address, "imap.example.com"},
		{a.Authentication.Username, "a@example.com"},
		{a.Authentication.Password.File, filepath.Join(dir, "secrets/work")},
		{a.Encryption.Versions, []string{"TLS1.3"}},
		{a.Proxy.Type, "socks5"},
		{b.Address, "imap.example.com"},
		{b.Authentication.Username, "b@example.com"},
		{b.Authentication.Password, setting.Source{Env: "B_PASSWORD"}}, // not the inherited file too
		{b.Encryption.Versions, []string{"TLS1.3"}},
		{b.Proxy.Address, "127.0.0.1"},
		{c.Trigger("t").Match, "any"},
		{c.Trigger("t").Connection, []string{"a", "b"}},
		{len(c.Trigger("t").Actions), 1},
	} {
		if !reflect.DeepEqual(test.got, test.want) {
			t.Errorf("got %v, want %v", test.got, test.want)
		}
	}
}

func TestInclude(t *testing.T) {
	c, problems := read(corpus(t), "good-include.toml")
	if problems != nil {
		t.Fatal(problems)
	}
	var names []string
	for _, conn := range c.Connections {
		names = append(names, conn.Name)
	}
	for _, trig := range c.Triggers {
		names = append(names, trig.Name)
	}
	if want := []string{"work", "more", "all-mail", "more"}; !reflect.DeepEqual(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
	if got, want := c.Trigger("more").Connection, []string{"more", "work"}; !reflect.DeepEqual(got, want) {
		t.Errorf("a pattern gives %v, want %v", got, want)
	}
}

func TestWarnings(t *testing.T) {
	dir := t.TempDir()
	secret, file := filepath.Join(dir, "secret"), filepath.Join(dir, "c.toml")
	for name, text := range map[string]string{secret: "x\n", file: work + "encryption.insecure_skip_verify = true\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(name, 0o646); err != nil {
			t.Fatal(err)
		}
	}
	c, problems := Load(file, Options{CheckSecrets: true})
	if problems != nil {
		t.Fatal(problems)
	}
	var all []string
	for _, w := range c.Warnings {
		all = append(all, w.Error())
	}
	said := strings.Join(all, "\n")
	for _, want := range []string{"insecure_skip_verify", "chmod o-w " + file, "chmod o-rwx " + secret} {
		if !strings.Contains(said, want) {
			t.Errorf("no warning with %q in:\n%s", want, said)
		}
	}
}

func TestSecretsAreNotReadFromPipes(t *testing.T) {
	dir := t.TempDir()
	_, problems := Load(writeFile(t, dir, `
[connection.work]
address = "imap.example.com"
authentication = {username = "ops", password_file = "."}
`), Options{CheckSecrets: true})
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "is a directory") {
		t.Error(problems)
	}
	_, problems = Load(writeFile(t, dir, `
[connection.work]
address = "imap.example.com"
authentication = {username = "ops", password_file = "/dev/null"}
`), Options{CheckSecrets: true})
	if problems != nil {
		t.Error(problems)
	}
}

func writeFile(t testing.TB, dir, text string) string {
	t.Helper()
	file := filepath.Join(dir, "c.toml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCredential(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "office"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	text := `
[connection.work]
address = "imap.example.com"
authentication = {username = "ops", password_credential = "%"}
`
	for name, test := range map[string]struct{ credentials, want string }{
		"office":    {dir, ""},
		"missing":   {dir, "LoadCredential=missing"},
		"../office": {dir, "must not contain a path"},
		"elsewhere": {"", ""},
	} {
		_, problems := Load(writeFile(t, t.TempDir(), strings.ReplaceAll(text, "%", name)), Options{CheckSecrets: true, Getenv: func(k string) string {
			return map[string]string{"CREDENTIALS_DIRECTORY": test.credentials}[k]
		}})
		switch {
		case test.want == "" && problems != nil:
			t.Errorf("%s: %v", name, problems)
		case test.want != "" && (len(problems) != 1 || !strings.Contains(problems[0].Text, test.want)):
			t.Errorf("%s: %v, want %q", name, problems, test.want)
		}
	}
}

func TestClientCertificateNeedsNoPassword(t *testing.T) {
	_, problems := load(t, `
[connection.work]
address = "imap.example.com"
authentication = {username = "ops"}
encryption = {client_certificate_file = "c.pem", client_key_file = "k.pem"}
`, nil)
	if len(problems) != 1 || problems[0].Key != "connection.work.encryption.client_certificate_file" {
		t.Error(problems)
	}
}

func TestNotANumber(t *testing.T) {
	_, problems := load(t, "connect_rate = nan"+work+"timeout = nan\n[trigger.t]\nconnection = \"work\"\nmax_size = nan\naction = [{type = \"delete\"}]", nil)
	if len(problems) != 3 {
		t.Error(problems)
	}
}

func TestMissingFile(t *testing.T) {
	_, problems := Load(filepath.Join(t.TempDir(), "none.toml"), Options{})
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "no such file") {
		t.Error(problems)
	}
	_, problems = Load(t.TempDir(), Options{})
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "directory") {
		t.Error(problems)
	}
}

// Who asks for authenticated senders and says not whom to believe gets none, and is told.
func TestWarnsOfNobodyAuthenticated(t *testing.T) {
	const trigger = "[trigger.t]\nconnection = \"work\"\naction = [{type = \"delete\"}]\n"
	for _, test := range []struct {
		asks, connection string
		warns            bool
	}{
		{"condition = [{any = [{all = [{field = \"authenticated\", is = true}]}]}]\n", "", true},
		{"expression = \"message.authenticated\"\n", "", true},
		{"expression = \"message.authenticated\"\n", "authserv_id = \"mx.example.com\"\n", false},
		{"condition = [{field = \"from\", is = \"authenticated\"}]\n", "", false},
	} {
		c, problems := Load(writeFile(t, t.TempDir(), "[connection.work]\naddress = \"imap.example.com\"\n"+test.connection+
			"authentication = {username = \"ops\", password_env = \"PW\"}\n"+trigger+test.asks), Options{})
		if problems != nil {
			t.Fatal(problems)
		}
		if warned := len(c.Warnings) == 1 && strings.Contains(c.Warnings[0].Text, "connection.work.authserv_id is not set"); warned != test.warns || len(c.Warnings) > 1 {
			t.Errorf("%q with %q: warnings %v; want one: %v", test.asks, test.connection, c.Warnings, test.warns)
		}
	}
}
