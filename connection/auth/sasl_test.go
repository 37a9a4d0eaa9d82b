package auth

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/xdg-go/scram"

	"mailtrigger/connection/setting"
)

func TestSCRAM(t *testing.T) {
	const salt = "c2FsdHNhbHRzYWx0c2FsdA=="
	start := func(t *testing.T) (*scramClient, string) {
		c, err := newSCRAM("SCRAM-SHA-256", "u,=ser", "pw", "ali,as")
		if err != nil {
			t.Fatal(err)
		}
		_, first, err := c.Start()
		if err != nil || !strings.HasPrefix(string(first), "n,a=ali=2Cas,n=u=2C=3Dser,r=") {
			t.Fatalf("first message %q, %v", first, err)
		}
		_, nonce, _ := strings.Cut(string(first), ",r=")
		return c, nonce
	}
	for _, c := range []struct{ name, challenge, text string }{
		{"too few iterations", "r=NONCEx,s=" + salt + ",i=1000", "too few"},
		{"too many iterations", "r=NONCEx,s=" + salt + ",i=10000001", "asks for 10000001 iterations"},
		{"absurd iterations", "r=NONCEx,s=" + salt + ",i=99999999999999999999", "makes no sense"},
		{"negative iterations", "r=NONCEx,s=" + salt + ",i=-1", "too few"},
		{"another nonce", "r=else,s=" + salt + ",i=4096", "nonce"},
		{"a mandatory extension", "m=x,r=NONCEx,s=" + salt + ",i=4096", "makes no sense"},
		{"empty", "", "makes no sense"},
		{"too long", strings.Repeat("x", maxChallenge+1), "too long"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, nonce := start(t)
			_, err := s.Next([]byte(strings.ReplaceAll(c.challenge, "NONCE", nonce)))
			var e *Error
			if !errors.As(err, &e) || e.Refused || !strings.Contains(err.Error(), c.text) {
				t.Errorf("got %v", err)
			}
			if s.verify() == nil {
				t.Error("verified")
			}
		})
	}
	t.Run("an impostor says OK at once", func(t *testing.T) {
		s, nonce := start(t)
		if s.verify() == nil {
			t.Error("verified before anything was said")
		}
		if _, err := s.Next([]byte("r=" + nonce + "x,s=" + salt + ",i=4096")); err != nil {
			t.Fatal(err)
		}
		if s.verify() == nil {
			t.Error("verified without the server's signature")
		}
		if _, err := s.Next([]byte("v=AAAA")); err == nil || s.verify() == nil {
			t.Error("a wrong signature was taken")
		}
	})
	t.Run("server error", func(t *testing.T) {
		s, nonce := start(t)
		if _, err := s.Next([]byte("r=" + nonce + "x,s=" + salt + ",i=4096")); err != nil {
			t.Fatal(err)
		}
		_, err := s.Next([]byte("e=invalid-proof"))
		var e *Error
		if !errors.As(err, &e) || !e.Refused {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an emoji for a password", func(t *testing.T) {
		if _, err := newSCRAM("SCRAM-SHA-1", "u", "\U0001f511", ""); err != nil {
			t.Error(err)
		}
	})
	// RFC 5802 section 5 and RFC 7677 section 3 have the same account.
	for _, v := range []struct{ name, nonce, challenge, want, final string }{
		{"SCRAM-SHA-1", "fyko+d2lbbFgONRv9qkxdawL", "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096", "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=", "v=rmF9pqV8S7suAoZWja4dJRkFsKQ="},
		{"SCRAM-SHA-256", "rOprNGfwEbeRWgbNEkqO", "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=", "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="},
	} {
		hash := scram.SHA1
		if v.name == "SCRAM-SHA-256" {
			hash = scram.SHA256
		}
		client, err := hash.NewClient("user", "pencil", "")
		if err != nil {
			t.Fatal(err)
		}
		s := &scramClient{name: v.name, c: client.WithNonceGenerator(func() string { return v.nonce }).NewConversation()}
		if _, _, err := s.Start(); err != nil {
			t.Fatal(err)
		}
		if got, err := s.Next([]byte(v.challenge)); string(got) != v.want || err != nil {
			t.Errorf("%s: %q, %v", v.name, got, err)
		}
		if _, err := s.Next([]byte(v.final)); err != nil || s.verify() != nil {
			t.Errorf("%s: %v, %v", v.name, err, s.verify())
		}
	}
}

func TestCRAMMD5(t *testing.T) {
	c := &cramMD5{user: "tim", password: "tanstaaftanstaaf"} // RFC 2195 section 2
	got, err := c.Next([]byte("<1896.697170952@postoffice.reston.mci.net>"))
	if string(got) != "tim b913a602c7eda7a495b4e6e7334d3890" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := c.Next([]byte("again")); err == nil {
		t.Error("a second challenge was answered")
	}
}

func TestLogin(t *testing.T) {
	for _, prompts := range [][]string{{"Username:", "Password:"}, {"User Name\x00", "Password\x00"}, {"", ""}, {"Benutzer", "Kennwort"}} {
		c := &loginClient{answers: []string{"u", "pw"}}
		for i, want := range []string{"u", "pw"} {
			if got, err := c.Next([]byte(prompts[i])); string(got) != want || err != nil {
				t.Errorf("%q: got %q, %v", prompts[i], got, err)
			}
		}
		if _, err := c.Next([]byte("Password:")); err == nil {
			t.Error("a third question was answered")
		}
	}
	if got, err := (&loginClient{answers: []string{"u", "pw"}}).Next([]byte("Password:")); err == nil {
		t.Errorf("said %q for a password", got)
	}
}

func TestBearer(t *testing.T) {
	token := setting.NewSecret("tok")
	x := &xoauth2{user: "a@b", token: token}
	if _, m, _ := x.Start(); string(m) != "user=a@b\x01auth=Bearer tok\x01\x01" {
		t.Errorf("got %q", m)
	}
	o := &oauthBearer{user: "a,b=c", token: token, host: "h", port: 993}
	if _, m, _ := o.Start(); string(m) != "n,a=a=2Cb=3Dc,\x01host=h\x01port=993\x01auth=Bearer tok\x01\x01" {
		t.Errorf("got %q", m)
	}
	const refusal = `{"status":"401","schemes":"bearer","scope":"mail"}`
	if got, err := x.Next([]byte(refusal)); len(got) != 0 || err != nil {
		t.Errorf("XOAUTH2 answers %q, %v", got, err)
	}
	if got, err := o.Next([]byte(refusal)); string(got) != "\x01" || err != nil {
		t.Errorf("OAUTHBEARER answers %q, %v", got, err)
	}
	for _, c := range []interface{ Next([]byte) ([]byte, error) }{x, o, &xoauth2{}, &oauthBearer{}} {
		challenge := refusal
		if f := fmt.Sprintf("%p", c); f != fmt.Sprintf("%p", x) && f != fmt.Sprintf("%p", o) {
			challenge = "no JSON"
		}
		if _, err := c.Next([]byte(challenge)); err == nil {
			t.Errorf("%T took nonsense or a second refusal", c)
		}
	}
}

// TestConn: only an empty SASL response is mended, and only in an exchange.
func TestConn(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	c := NewConn(ours)
	for _, s := range []struct {
		sasl       bool
		write, got string
	}{{true, "=\r\n", "\r\n"}, {false, "=\r\n", "=\r\n"}, {true, "a=\r\n", "a=\r\n"}} {
		c.sasl.Store(s.sasl)
		read := make(chan string)
		go func() {
			b := make([]byte, 10)
			n, _ := theirs.Read(b)
			read <- string(b[:n])
		}()
		if n, err := c.Write([]byte(s.write)); n != len(s.write) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
		if got := <-read; got != s.got {
			t.Errorf("%q became %q", s.write, got)
		}
	}
}

func FuzzSCRAMChallenge(f *testing.F) {
	for _, s := range []string{"r=NONCEx,s=c2FsdA==,i=4096", "r=NONCE,s=,i=4097", "i=99999999", "e=other-error", "v=AAAA", ",,,", "m=", ""} {
		f.Add(s, "v=AAAA")
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		c, err := newSCRAM("SCRAM-SHA-1", "u", canary, "")
		if err != nil {
			t.Fatal(err)
		}
		_, m, _ := c.Start()
		_, nonce, _ := strings.Cut(string(m), ",r=")
		first = strings.ReplaceAll(first, "NONCE", nonce)
		if n, ok := iterations(first); ok && n > 10_000 && n <= maxIterations {
			t.Skip("slow on purpose")
		}
		for _, challenge := range []string{first, second} {
			answer, err := c.Next([]byte(challenge))
			if strings.Contains(string(answer), canary) || err != nil && strings.Contains(err.Error(), canary) {
				t.Fatal("the password is shown")
			}
			if err != nil {
				break
			}
		}
		if c.verify() == nil {
			t.Error("verified")
		}
	})
}
