package connection_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/smtp"
)

// rigSMTP is a table for the rig's submission server, changed by change.
func rigSMTP(t *testing.T, change func(s *connection.SMTP)) *connection.SMTP {
	t.Helper()
	s := &connection.SMTP{Name: "out", Address: "127.0.0.1", Port: atoi(t, rigEnv(t, "RIG_SUBMISSION_SMTP")),
		Timeout: setting.Duration(10 * time.Second), From: "robot@example.com"}
	s.Encryption.CAFile = rigEnv(t, "RIG_CA")
	s.Authentication.Username = "alice"
	s.Authentication.Password.Literal = setting.NewSecret("alice-pw")
	if change != nil {
		change(s)
	}
	return validSMTP(t, s)
}

func validSMTP(t *testing.T, s *connection.SMTP) *connection.SMTP {
	t.Helper()
	s.SetDefaults()
	for _, p := range s.Validate() {
		t.Fatal(p.Error())
	}
	return s
}

func implicit(t *testing.T) func(s *connection.SMTP) {
	return func(s *connection.SMTP) {
		s.Port, s.Encryption.Mode = atoi(t, rigEnv(t, "RIG_SUBMISSION_SMTPS")), connection.ModeImplicit
	}
}

// note is a short mail to the recipients.
func note(text string, to ...string) *smtp.Mail {
	return &smtp.Mail{From: "robot@example.com", To: to, Write: func(w io.Writer, _ bool) error {
		_, err := fmt.Fprintf(w, "From: robot@example.com\r\nSubject: %s\r\n\r\nhello\r\n", text)
		return err
	}}
}

// sunk returns the envelope and the bytes of the mail with this text that came to
// the rig's sink.
func sunk(t *testing.T, text string) (from string, to []string, raw string) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(rigEnv(t, "RIG_SINK_DIR"), "*.eml"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil || !strings.Contains(string(b), "Subject: "+text+"\r\n") {
			continue
		}
		var envelope struct {
			From string
			To   []string
		}
		if b, err := os.ReadFile(strings.TrimSuffix(f, ".eml") + ".json"); err != nil || json.Unmarshal(b, &envelope) != nil {
			t.Fatalf("%s: %v", f, err)
		}
		return envelope.From, envelope.To, string(b)
	}
	t.Fatalf("no mail %q came to the sink", text)
	return "", nil, ""
}

// Mail goes through every kind of proxy, by both modes and every mechanism.
func TestRigSendMail(t *testing.T) {
	t.Setenv("ALL_PROXY", strings.Replace(rigEnv(t, "RIG_MICROSOCKS_URL"), "socks5", "socks5h", 1))
	t.Setenv("NO_PROXY", "nothing.test")
	mechanisms := []string{"auto", "plain", "login", "cram-md5", "scram-sha-1", "scram-sha-256", "xoauth2", "oauthbearer"}
	d := newDialer(t, connection.DialerOptions{})
	for i, r := range routes {
		mechanism := mechanisms[i%len(mechanisms)]
		s := rigSMTP(t, func(s *connection.SMTP) {
			c := &connection.Config{Address: s.Address}
			r.apply(t, c)
			s.Address, s.Proxy = c.Address, c.Proxy
			if i%2 == 1 {
				implicit(t)(s)
			}
			s.Authentication.Mechanism = mechanism
			if strings.Contains(mechanism, "oauth") {
				s.Authentication.Password.Literal = setting.NewSecret("token-alice")
			}
		})
		name := fmt.Sprintf("route %d", i)
		receipt, err := d.SendMail(t.Context(), s, note(name, "a@example.com", "refused@example.com"))
		if err != nil {
			t.Errorf("%s, %s, %s: %v", r.name, s.Encryption.Mode, mechanism, err)
			continue
		}
		if len(receipt.Refused) != 1 || receipt.Refused[0].Err.Code != 550 || !slices.Equal(receipt.Accepted, []string{"a@example.com"}) {
			t.Errorf("%s: %+v", r.name, receipt)
		}
		if from, to, raw := sunk(t, name); from != "robot@example.com" || !slices.Equal(to, []string{"a@example.com"}) || !strings.HasSuffix(raw, "\r\n\r\nhello\r\n") {
			t.Errorf("%s: from %s to %v: %q", r.name, from, to, raw)
		}
	}
}

func TestRigSendByOAuth(t *testing.T) {
	s := rigSMTP(t, func(s *connection.SMTP) {
		s.Authentication.Password = setting.Source{}
		o := &s.Authentication.OAuth2
		o.Grant, o.TokenURL, o.ClientID = "client_credentials", rigEnv(t, "RIG_OAUTH_TOKEN_URL"), rigEnv(t, "RIG_OAUTH_CLIENT_ID")
		o.ClientSecret.Literal = setting.NewSecret(rigEnv(t, "RIG_OAUTH_CLIENT_SECRET"))
	})
	d := newDialer(t, connection.DialerOptions{})
	if _, err := d.SendMail(t.Context(), s, note("by OAuth", "a@example.com")); err != nil {
		t.Fatal(err)
	}
	sunk(t, "by OAuth")

	consent := rigSMTP(t, func(s *connection.SMTP) {
		s.Authentication.Password = setting.Source{}
		o := &s.Authentication.OAuth2
		o.Grant, o.TokenURL, o.ClientID, o.DeviceAuthURL = "device_code", rigEnv(t, "RIG_OAUTH_TOKEN_URL"), rigEnv(t, "RIG_OAUTH_CLIENT_ID"), rigEnv(t, "RIG_OAUTH_DEVICE_URL")
	})
	_, err := d.SendMail(t.Context(), consent, note("x", "a@example.com"))
	var e *connection.Error
	if !errors.As(err, &e) || !e.AuthRequired || !strings.Contains(err.Error(), "mailtriggerd --authorize smtp.out") {
		t.Errorf("err %v; want one that says --authorize smtp.out", err)
	}
}

// Letters beyond ASCII before the @ go where SMTPUTF8 is, as nothing else does.
func TestRigSMTPUTF8(t *testing.T) {
	s := rigSMTP(t, func(s *connection.SMTP) {
		s.Port, s.Encryption.Protocol, s.Encryption.CAFile = atoi(t, rigEnv(t, "RIG_SINK_SMTP")), "none", ""
		s.Authentication.Username, s.Authentication.Password = "", setting.Source{}
	})
	m := note("to Jürgen", "jürgen@example.com")
	m.UTF8 = true
	d := newDialer(t, connection.DialerOptions{})
	if _, err := d.SendMail(t.Context(), s, m); err != nil {
		t.Fatal(err)
	}
	if _, to, _ := sunk(t, "to Jürgen"); !slices.Equal(to, m.To) {
		t.Errorf("to %q", to)
	}
	var e *smtp.Error
	if _, err := d.SendMail(t.Context(), rigSMTP(t, nil), m); !errors.As(err, &e) || !e.Permanent() || !strings.Contains(err.Error(), "SMTPUTF8") {
		t.Errorf("to a server without: %v", err)
	}
}

// Each way to fail says what is wrong and what to do.
func TestRigCheckSMTP(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(s *connection.SMTP)
		steps   string // the last one with "!" where it fails
		detail  string // of the last step
		hint    string
		suggest string
	}{
		{name: "explicit", steps: "secrets proxy connect tls greeting capabilities login", detail: "SCRAM-SHA-256 as alice"},
		{name: "implicit", change: implicit(t), steps: "secrets proxy connect tls greeting capabilities login", detail: "SCRAM-SHA-256 as alice"},
		{name: "wrong password", change: func(s *connection.SMTP) { s.Authentication.Password.Literal = setting.NewSecret("wrong-canary") },
			steps: "secrets proxy connect tls greeting capabilities login!", detail: "535", hint: "check username and password"},
		{name: "wrong token", change: func(s *connection.SMTP) {
			s.Authentication.Mechanism, s.Authentication.Password.Literal = "xoauth2", setting.NewSecret("wrong-canary")
		}, steps: "secrets proxy connect tls greeting capabilities login!", detail: "535", hint: "access token"},
		{name: "not offered", change: func(s *connection.SMTP) {
			s.Authentication.Mechanism, s.Authentication.Password = "external", setting.Source{}
			certified(t, &s.Encryption)
		}, steps: "secrets proxy connect tls greeting capabilities login!", detail: "it offers"},
		{name: "no login", change: func(s *connection.SMTP) { s.Authentication.Username, s.Authentication.Password = "", setting.Source{} },
			steps: "secrets proxy connect tls greeting capabilities login", detail: "no username is configured"},
		{name: "unknown CA", change: func(s *connection.SMTP) { s.Encryption.CAFile = "" },
			steps: "secrets proxy connect tls!", detail: "Rig CA", hint: "ca_file", suggest: "[smtp.out.encryption] pin_sha256"},
		{name: "old TLS", change: func(s *connection.SMTP) { s.Encryption.Versions = []string{"TLS1.1"} },
			steps: "secrets proxy connect tls!", hint: "TLS1", suggest: "[smtp.out.encryption] versions"},
		{name: "implicit on the other port", change: func(s *connection.SMTP) { s.Encryption.Mode = connection.ModeImplicit },
			steps: "secrets proxy connect tls!", detail: "speaks plain SMTP", hint: "port, 465", suggest: `mode = "explicit"`},
		{name: "explicit on the other port", change: func(s *connection.SMTP) { implicit(t)(s); s.Encryption.Mode = connection.ModeExplicit },
			steps: "secrets proxy connect greeting!", detail: "speaks TLS from the first byte", hint: "implicit", suggest: `mode = "implicit"`},
		{name: "no STARTTLS", change: func(s *connection.SMTP) { s.Port = atoi(t, rigEnv(t, "RIG_SINK_SMTP")) },
			steps: "secrets proxy connect tls!", detail: "does not offer STARTTLS", hint: "465"},
		{name: "IMAP", change: func(s *connection.SMTP) { s.Port = atoi(t, rigEnv(t, "RIG_MAIN_IMAP")) },
			steps: "secrets proxy connect greeting!", detail: "does not speak SMTP", hint: "check address, port"},
		{name: "nothing there", change: func(s *connection.SMTP) { s.Port = 1 },
			steps: "secrets proxy connect!", detail: "nothing listens", hint: "587"},
		{name: "relay", change: func(s *connection.SMTP) {
			s.Port, s.Encryption.Protocol, s.Encryption.CAFile = atoi(t, rigEnv(t, "RIG_SINK_SMTP")), "none", ""
			s.Authentication.Username, s.Authentication.Password = "", setting.Source{}
		}, steps: "secrets proxy connect tls greeting capabilities login", detail: "none"},
		{name: "password to a relay", change: func(s *connection.SMTP) { s.Port, s.Encryption.Protocol = atoi(t, rigEnv(t, "RIG_SINK_SMTP")), "none" },
			steps: "secrets proxy connect tls greeting capabilities login!", detail: "offers nothing", hint: "leave the authentication table out"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := rigSMTP(t, test.change)
			var printed strings.Builder
			steps := newDialer(t, connection.DialerOptions{}).CheckSMTP(t.Context(), s, func(s connection.Step) { fmt.Fprintf(&printed, "%+v\n", s) })
			last, got := steps[len(steps)-1], names(steps)
			if !last.OK {
				got += "!"
			}
			if got != test.steps || !strings.Contains(last.Detail, test.detail) || !strings.Contains(last.Hint, test.hint) ||
				!strings.Contains(strings.Join(last.Suggest, " "), test.suggest) {
				t.Errorf("got %s; want %s\n%s", got, test.steps, printed.String())
			}
			if strings.Contains(printed.String(), "canary") {
				t.Errorf("a secret is shown:\n%s", printed.String())
			}
		})
	}
}

// A wrong password is tried three times in an hour, by SMTP and IMAP of one server
// together, and not at all then.
func TestRigWrongLogins(t *testing.T) {
	d := newDialer(t, connection.DialerOptions{})
	wrong := rigSMTP(t, func(s *connection.SMTP) { s.Authentication.Password.Literal = setting.NewSecret("wrong") })
	for i := range 4 {
		_, err := d.SendMail(t.Context(), wrong, note("x", "a@example.com"))
		var e *connection.Error
		if !errors.As(err, &e) || e.Stage != connection.StageLogin || e.SMTP != "out" || e.Retry < 19*time.Minute || e.Retry > time.Hour || strings.Contains(e.Text, "not tried") != (i == 3) {
			t.Fatalf("login %d: %v (retry %s)", i+1, err, e.Retry)
		}
	}
	good := rigSMTP(t, nil)
	if _, err := d.SendMail(t.Context(), good, note("x", "a@example.com")); err == nil || !strings.Contains(err.Error(), "not tried") {
		t.Errorf("the right password for the same account: %v", err)
	}
	d.ForgiveSMTP(good)
	if _, err := d.SendMail(t.Context(), good, note("forgiven", "a@example.com")); err != nil {
		t.Errorf("forgiven: %v", err)
	}
}

// All of a connect, whatever the server does, ends within the timeout, and says in
// which stage.
func TestSMTPDeadline(t *testing.T) {
	for _, test := range []struct {
		name, stage string
		password    bool
		play        func(c *connectiontest.Player)
	}{
		{"silent", connection.StageGreeting, false, func(c *connectiontest.Player) { c.Line() }},
		{"silent at EHLO", connection.StageCapabilities, false, func(c *connectiontest.Player) { c.Send("220 hi"); c.Line(); c.Line() }},
		{"silent at AUTH", connection.StageLogin, true, func(c *connectiontest.Player) {
			c.Send("220 hi")
			c.Line()
			c.Send("250-me", "250 AUTH PLAIN")
			c.Line()
			c.Line()
		}},
		{"greets for ever", connection.StageGreeting, false, func(c *connectiontest.Player) {
			for range 50 {
				c.Send("220-wait")
				time.Sleep(100 * time.Millisecond)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			script := newScript(t, func(_ int, c *connectiontest.Player) { test.play(c) })
			s := &connection.SMTP{Name: "out", Address: script.Config().Address, Port: script.Config().Port, Timeout: setting.Duration(time.Second)}
			s.Encryption.Protocol = "none"
			if test.password {
				s.Authentication.Username, s.Authentication.Password.Literal = "alice", setting.NewSecret("canary")
			}
			began := time.Now()
			_, err := newDialer(t, connection.DialerOptions{}).SendMail(t.Context(), validSMTP(t, s), note("x", "a@example.com"))
			var e *connection.Error
			if !errors.As(err, &e) || e.Stage != test.stage || e.SMTP != "out" || !strings.Contains(err.Error(), "no answer within 1s") || strings.Contains(err.Error(), "canary") {
				t.Errorf("err %v; want one of stage %s", err, test.stage)
			}
			if took := time.Since(began); took < 900*time.Millisecond || took > 4*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

// No more sessions at once than the limit, and a wait for one ends with ctx.
func TestSMTPSessions(t *testing.T) {
	began := make(chan struct{}, 100)
	script := newScript(t, func(_ int, c *connectiontest.Player) { began <- struct{}{}; c.Line() })
	s := validSMTP(t, &connection.SMTP{Name: "out", Address: script.Config().Address, Port: script.Config().Port,
		Timeout: setting.Duration(time.Minute), Encryption: connection.Encryption{Protocol: "none"}})
	d := newDialer(t, connection.DialerOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	errs := make(chan error)
	for range connection.MaxSMTPSessions {
		go func() { _, err := d.SendMail(ctx, s, note("x", "a@example.com")); errs <- err }()
	}
	for range connection.MaxSMTPSessions {
		<-began
	}
	short, end := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer end()
	var e *connection.Error
	if _, err := d.SendMail(short, s, note("x", "a@example.com")); !errors.As(err, &e) || e.Stage != connection.StageBudget || len(began) > 0 {
		t.Errorf("one more: %v, %d more connected", err, len(began))
	}
	cancel()
	for range connection.MaxSMTPSessions {
		if err := <-errs; !errors.As(err, &e) || e.Stage != connection.StageGreeting {
			t.Errorf("err %v", err)
		}
	}
}

func TestSMTPDefaults(t *testing.T) {
	for _, test := range []struct {
		port            int
		mode, protocol  string
		preset          string
		wantPort        int
		wantMode, where string
	}{
		{wantPort: 587, wantMode: "explicit"},
		{mode: "implicit", wantPort: 465, wantMode: "implicit"},
		{port: 465, wantPort: 465, wantMode: "implicit"},
		{port: 2525, wantPort: 2525, wantMode: "explicit"},
		{protocol: "none", wantPort: 25},
		{preset: "gmail", wantPort: 465, wantMode: "implicit", where: "smtp.gmail.com"},
		{preset: "Office365", wantPort: 587, wantMode: "explicit", where: "smtp.office365.com"},
		{preset: "gmail", mode: "explicit", wantPort: 587, wantMode: "explicit", where: "smtp.gmail.com"},
	} {
		s := &connection.SMTP{Name: "out", Preset: test.preset, Port: test.port}
		s.Encryption.Mode, s.Encryption.Protocol = test.mode, test.protocol
		if test.where == "" {
			s.Address, test.where = "smtp.example.com", "smtp.example.com"
		}
		validSMTP(t, s)
		if s.Port != test.wantPort || s.Encryption.Mode != test.wantMode || s.Address != test.where {
			t.Errorf("%+v: %s:%d %s", test, s.Address, s.Port, s.Encryption.Mode)
		}
	}
	if len(connection.SMTPPresets) != len(connection.Presets) {
		t.Errorf("%d presets for SMTP, %d for IMAP", len(connection.SMTPPresets), len(connection.Presets))
	}
	for i, p := range connection.SMTPPresets {
		if connection.Presets[i].Name != p.Name {
			t.Errorf("preset %s has no other half", p.Name)
		}
	}
}

func TestSMTPInsecure(t *testing.T) {
	for address, insecure := range map[string]bool{"smtp.example.com": true, "localhost": false, "127.0.0.1": false, "::1": false, "192.0.2.1": true} {
		s := validSMTP(t, &connection.SMTP{Name: "out", Address: address, Encryption: connection.Encryption{Protocol: "none"}})
		if got := s.Insecure() != ""; got != insecure {
			t.Errorf("%s: %q", address, s.Insecure())
		}
	}
}
