package action

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
)

// server starts an HTTP server for one test.
func server(t testing.TB, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func hook(t testing.TB, a *Webhook) *Webhook {
	t.Helper()
	ready(t, a)
	t.Cleanup(func() { a.Close() })
	return a
}

const testSecret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestWebhookRequest(t *testing.T) {
	var got *http.Request
	var body []byte
	s := server(t, func(w http.ResponseWriter, q *http.Request) {
		got = q
		body, _ = io.ReadAll(q.Body)
		fmt.Fprint(w, "thank you")
	})
	r := newRun(t, func(e *event.Event) {
		m := *e.Message
		m.Subject = "a&b=c d/ä\r\nX-Evil: 1"
		e.Message = &m
	})
	a := hook(t, &Webhook{
		URL:     s.URL + "/hook?fixed=1&subject={{.Message.Subject}}&again={{.Message.Subject | urlquery}}",
		Headers: map[string]string{"X-Subject": "{{.Message.Subject}}", "authorization": "Bearer t0ken-value"},
		Secret:  setting.Source{Literal: setting.NewSecret(testSecret)},
	})
	result := a.Run(t.Context(), r)
	wantDone(t, result)
	if string(result.Output) != "thank you" {
		t.Errorf("output %q", result.Output)
	}
	want, _ := r.Event.JSON()
	if string(body) != string(want) || got.Method != "POST" || got.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %q: %s", got.Method, got.Header.Get("Content-Type"), body)
	}
	if q := got.URL.Query(); q.Get("subject") != r.Event.Message.Subject || q.Get("again") != r.Event.Message.Subject || len(q) != 3 {
		t.Errorf("query %q", got.URL.RawQuery)
	}
	h := got.Header
	if h.Get("X-Subject") != "a&b=c d/ä  X-Evil: 1" || h.Get("X-Evil") != "" || h.Get("Authorization") != "Bearer t0ken-value" ||
		h.Get("Idempotency-Key") != r.Key || h.Get("Webhook-Id") != r.Key || h.Get("User-Agent") != "mailtriggerd" {
		t.Errorf("headers %v", h)
	}
	at, err := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || time.Since(time.Unix(at, 0)) > time.Minute {
		t.Errorf("timestamp %q", h.Get("Webhook-Timestamp"))
	}
	key, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(testSecret, "whsec_"))
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", r.Key, at, body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); h.Get("Webhook-Signature") != want {
		t.Errorf("signature %q; want %q", h.Get("Webhook-Signature"), want)
	}
}

// TestSignatureVector is the example of the Standard Webhooks specification's
// reference libraries.
func TestSignatureVector(t *testing.T) {
	h := http.Header{}
	err := sign(h, setting.NewSecret(testSecret), "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got := h.Get("Webhook-Signature"); err != nil || got != "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=" {
		t.Errorf("signature %q, %v", got, err)
	}
}

func TestWebhookVerdict(t *testing.T) {
	for _, c := range []struct {
		code    int
		after   string
		outcome Outcome
		wait    time.Duration
	}{
		{200, "", Done, 0}, {204, "", Done, 0}, {299, "", Done, 0},
		{408, "", Retry, 0}, {425, "", Retry, 0}, {429, "17", Retry, 17 * time.Second}, {500, "", Retry, 0},
		{503, "999999999999999999999", Retry, 24 * time.Hour}, {503, "-3", Retry, 0}, {503, "soon", Retry, 0},
		{599, "Fri, 31 Dec 1999 23:59:59 GMT", Retry, 0},
		{400, "5", Dead, 0}, {401, "", Dead, 0}, {404, "", Dead, 0}, {410, "", Dead, 0}, {304, "", Dead, 0},
	} {
		s := server(t, func(w http.ResponseWriter, q *http.Request) {
			if c.after != "" {
				w.Header().Set("Retry-After", c.after)
			}
			w.WriteHeader(c.code)
		})
		got := hook(t, &Webhook{URL: s.URL}).Run(t.Context(), newRun(t))
		if got.Outcome != c.outcome || got.RetryAfter != c.wait {
			t.Errorf("%d: %s after %s (%v); want %s after %s", c.code, got.Outcome, got.RetryAfter, got.Err, c.outcome, c.wait)
		}
		if c.outcome != Done && !strings.Contains(got.Err.Error(), strconv.Itoa(c.code)) {
			t.Errorf("%d: the error does not say so: %v", c.code, got.Err)
		}
	}
	now := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	if got := retryAfter("Mon, 05 Jan 2026 09:02:00 GMT", now); got != 2*time.Minute {
		t.Errorf("Retry-After as a date: %s", got)
	}
}

func TestWebhookBody(t *testing.T) {
	for _, c := range []struct{ method, body, want, kind string }{
		{"POST", `{"text": {{json .Message.Subject}}}`, `{"text": "Invoice 2026-001"}`, "application/json"},
		{"put", `New: {{.Message.Subject}}`, `New: Invoice 2026-001`, "text/plain; charset=utf-8"},
		{"GET", ``, ``, ""},
	} {
		s := server(t, func(w http.ResponseWriter, q *http.Request) {
			body, _ := io.ReadAll(q.Body)
			if string(body) != c.want || q.Header.Get("Content-Type") != c.kind || q.Method != strings.ToUpper(c.method) {
				t.Errorf("%s %q: %q", q.Method, q.Header.Get("Content-Type"), body)
			}
		})
		wantDone(t, hook(t, &Webhook{URL: s.URL, Method: c.method, Body: c.body}).Run(t.Context(), newRun(t)))
	}
}

func TestWebhookRedirect(t *testing.T) {
	other := server(t, func(w http.ResponseWriter, q *http.Request) {
		t.Errorf("the other host was called: %v", q.URL)
	})
	var posts int
	s := server(t, func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case "/same":
			http.Redirect(w, q, "/there", http.StatusPermanentRedirect)
		case "/there":
			if body, _ := io.ReadAll(q.Body); q.Method == "POST" && len(body) > 0 {
				posts++
			}
		case "/other":
			http.Redirect(w, q, strings.Replace(other.URL, "127.0.0.1", "localhost", 1)+"/t0ken", http.StatusTemporaryRedirect)
		case "/port":
			http.Redirect(w, q, other.URL, http.StatusTemporaryRedirect)
		case "/get":
			http.Redirect(w, q, "/there", http.StatusFound)
		case "/loop":
			http.Redirect(w, q, "/loop", http.StatusTemporaryRedirect)
		}
	})
	wantDone(t, hook(t, &Webhook{URL: s.URL + "/same"}).Run(t.Context(), newRun(t)))
	if posts != 1 {
		t.Errorf("%d requests came to the end of the redirect with their body; want 1", posts)
	}
	for _, path := range []string{"/other", "/port", "/get", "/loop"} {
		got := hook(t, &Webhook{URL: s.URL + path}).Run(t.Context(), newRun(t))
		wantFailure(t, got, Dead, "it redirects to http://")
		if strings.Contains(got.Err.Error(), "t0ken") {
			t.Errorf("the error shows a path: %v", got.Err)
		}
	}
}

func TestWebhookSecretsAreHidden(t *testing.T) {
	dead := httptest.NewServer(nil)
	dead.Close()
	echo := server(t, func(w http.ResponseWriter, q *http.Request) {
		w.WriteHeader(500)
		fmt.Fprintf(w, "you sent %s and %s to %s, %s", q.Header.Get("Authorization"), q.Header.Get("X-Mine"), q.URL, q.URL.Path)
	})
	for _, s := range []string{dead.URL, echo.URL} {
		file := filepath.Join(t.TempDir(), "url")
		url := strings.Replace(s, "://", "://user:pa55word@", 1) + "/p4th-secret?token=qu3ry-secret"
		if err := os.WriteFile(file, []byte(url+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		headers := map[string]string{"X-Mine": "h3ader-secret"}
		for _, a := range []*Webhook{
			{URL: url, Headers: headers},
			{URLFrom: setting.Source{File: file}, Headers: headers},
		} {
			got := hook(t, a).Run(t.Context(), newRun(t))
			wantFailure(t, got, Retry, "POST ")
			would, err := a.Describe(newRun(t))
			if err != nil {
				t.Fatal(err)
			}
			all := got.Err.Error() + string(got.Output) + would
			for _, secret := range []string{"pa55word", "qu3ry", "h3ader", base64.StdEncoding.EncodeToString([]byte("user:pa55word"))} {
				if strings.Contains(all, secret) {
					t.Errorf("%q shows: %s", secret, all)
				}
			}
			if strings.Contains(got.Err.Error(), "p4th") {
				t.Errorf("the path shows in %v", got.Err)
			}
			if a.URL == "" && strings.Contains(all, strings.TrimPrefix(s, "http://")) {
				t.Errorf("the address shows, though the URL is a secret: %s", all)
			}
		}
	}
}

func TestWebhookDescribe(t *testing.T) {
	a := hook(t, &Webhook{
		URL:     "https://user:pa55word@hooks.example.com/mail?token=abcdef&subject={{.Message.Subject}}",
		Headers: map[string]string{"X-Key": "k", "X-Subject": "{{.Message.Subject}}"},
		Body:    "{{.ID | truncate 4}}",
		Secret:  setting.Source{Literal: setting.NewSecret(testSecret)},
	})
	r := newRun(t)
	got, err := a.Describe(r)
	want := `POST https://user:<secret>@hooks.example.com/mail?token=<secret>&subject=Invoice+2026-001
Content-Type: application/json
Idempotency-Key: ` + r.Key + `
Webhook-Id: ` + r.Key + `
Webhook-Signature: v1,<secret>
X-Key: <secret>
X-Subject: Invoice 2026-001

0123`
	if want = strings.Replace(want, "application/json", "text/plain; charset=utf-8", 1); err != nil || got != want {
		t.Errorf("got\n%s\n%v\nwant\n%s", got, err, want)
	}
}

func TestWebhookTimeout(t *testing.T) {
	arrived, release := make(chan struct{}), make(chan struct{})
	s := server(t, func(w http.ResponseWriter, q *http.Request) {
		close(arrived)
		<-release
	})
	defer close(release)
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-arrived
		cancel(context.DeadlineExceeded)
	}()
	wantFailure(t, hook(t, &Webhook{URL: s.URL}).Run(ctx, newRun(t)), Retry, "no answer in time")
}

func TestWebhookBigAnswer(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, q *http.Request) {
		chunk := make([]byte, 1<<20)
		for range 1000 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	got := hook(t, &Webhook{URL: s.URL}).Run(within(t, 20*time.Second), newRun(t))
	wantDone(t, got)
	if len(got.Output) != maxAnswer {
		t.Errorf("%d bytes kept; want %d", len(got.Output), maxAnswer)
	}
}

func TestWebhookTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	wantFailure(t, hook(t, &Webhook{URL: s.URL}).Run(t.Context(), newRun(t)), Retry, "name the CA's certificate as ca_file")
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	wantDone(t, hook(t, &Webhook{URL: s.URL, CAFile: ca}).Run(t.Context(), newRun(t)))
}

func TestWebhookProxy(t *testing.T) {
	s := server(t, func(w http.ResponseWriter, q *http.Request) { fmt.Fprint(w, "reached") })
	p := server(t, func(w http.ResponseWriter, q *http.Request) {
		if q.Method != http.MethodConnect || q.Host != "hooks.example.com:80" {
			t.Errorf("the proxy was asked for %s %s", q.Method, q.Host)
		}
		up, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		down, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		fmt.Fprint(down, "HTTP/1.1 200 OK\r\n\r\n")
		go func() { _, _ = io.Copy(up, down); up.Close() }()
		go func() { _, _ = io.Copy(down, up); down.Close() }()
	})
	host, port, _ := net.SplitHostPort(p.Listener.Addr().String())
	n, _ := strconv.Atoi(port)
	a := hook(t, &Webhook{URL: "http://hooks.example.com/", Proxy: proxy.Config{Type: "http", Address: host, Port: n}})
	got := a.Run(within(t, 10*time.Second), newRun(t))
	wantDone(t, got)
	if string(got.Output) != "reached" {
		t.Errorf("output %q", got.Output)
	}
}

func TestWebhookForEach(t *testing.T) {
	var names, keys []string
	fail := true
	s := server(t, func(w http.ResponseWriter, q *http.Request) {
		name := q.URL.Query().Get("name")
		names, keys = append(names, name), append(keys, q.Header.Get("Idempotency-Key"))
		if name == "b.csv" && fail {
			w.WriteHeader(503)
		}
	})
	a := hook(t, &Webhook{Common: Common{ForEach: "attachment"}, URL: s.URL + "?name={{.Attachment.Name}}", Include: []string{"*.CSV"}})
	r := newRun(t, threeAttachments)
	first := a.Run(t.Context(), r)
	wantFailure(t, first, Retry, "attachment 3 (b.csv): POST ")
	r.Progress, fail = first.Progress, false
	wantDone(t, a.Run(t.Context(), r))
	if got := strings.Join(names, " "); got != "a.csv b.csv b.csv" {
		t.Errorf("requests for %s", got)
	}
	if keys[0] == keys[1] || keys[1] != keys[2] {
		t.Errorf("idempotency keys %v", keys)
	}
}

// threeAttachments gives the event a mail with a.csv, report.pdf and b.csv.
func threeAttachments(e *event.Event) {
	part := func(name, kind, content string) string {
		return "--x\r\nContent-Type: " + kind + "; name=" + name + "\r\nContent-Disposition: attachment; filename=" + name + "\r\n\r\n" + content + "\r\n"
	}
	mail("Subject: three", "From: a@example.com", "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="x"`, "",
		"--x\r\n\r\ntext\r\n"+part("a.csv", "text/csv", "1;2")+part("report.pdf", "application/pdf", "%PDF-1.4")+part("b.csv", "text/csv", "3;4")+"--x--", "")(e)
}

func TestWebhookValidate(t *testing.T) {
	for _, c := range []struct {
		hook Webhook
		want string
	}{
		{Webhook{}, "url: is missing"},
		{Webhook{URL: "https://x.example/", URLFrom: setting.Source{Env: "X"}}, "url: give exactly one"},
		{Webhook{URL: "ftp://x.example/"}, "url: write a whole URL"},
		{Webhook{URL: "https://{{.Message.Subject}}/"}, "url: a template may be in the query only"},
		{Webhook{URL: "https://x.example/?a={{.Nothing}}"}, "url: template: "},
		{Webhook{URL: "https://x.example/", Method: "PSOT"}, `method: unknown method "PSOT"; did you mean "POST"?`},
		{Webhook{URL: "https://x.example/", Body: "{{.Nothing}}"}, "body: template: "},
		{Webhook{URL: "https://x.example/", Headers: map[string]string{"a b": "x"}}, `headers.a b: "a b" is not the name of a header`},
		{Webhook{URL: "https://x.example/", Headers: map[string]string{"Content-Length": "1"}}, `headers.Content-Length: is set by the daemon itself`},
		{Webhook{URL: "https://x.example/", Headers: map[string]string{"host": "{{.Message.Subject}}"}}, `headers.host: is fixed, so that no mail chooses the host`},
		{Webhook{URL: "https://x.example/", Secret: setting.Source{Literal: setting.NewSecret("no base64!")}}, `secret: is not one of Standard Webhooks`},
		{Webhook{URL: "https://x.example/", CAFile: "/nonexistent/ca.pem"}, `ca_file: cannot be read: open /nonexistent/ca.pem`},
		{Webhook{URL: "https://x.example/", Proxy: proxy.Config{Type: "http"}}, `proxy.address: is missing`},
	} {
		got := strings.Join(problemsOf(&c.hook), "\n")
		if !strings.Contains(got, c.want) || strings.Contains(got, "no base64!") {
			t.Errorf("got %q; want %q", got, c.want)
		}
	}
}
