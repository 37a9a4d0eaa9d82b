package action

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
	"mailtrigger/trigger/event"
)

// Webhook sends the event to an HTTP server.
type Webhook struct {
	Common
	URL     string            `toml:"url"` // its query is a template
	URLFrom setting.Source    `toml:"url,noliteral,nocommand"`
	Method  string            `toml:"method"`
	Headers map[string]string `toml:"headers"` // values are templates
	Body    string            `toml:"body"`    // template; "" is the event as JSON
	Secret  setting.Source    `toml:"secret,nocommand"`
	CAFile  string            `toml:"ca_file,path"` // instead of the system's roots
	Proxy   proxy.Config      `toml:"proxy,ref"`
	Include []string          `toml:"include,scalar"` // of for_each: masks of names
	Types   []string          `toml:"types,scalar"`   // of for_each: masks of content types

	address *address         // nil: from URLFrom, anew at each request
	headers map[string]*text // by canonical name
	body    *text            // nil: the event
	client  *http.Client
	selection
}

// The limits of an answer.
const (
	maxAnswer     = 64 << 10         // bytes that are kept
	maxDrain      = 256 << 10        // bytes read in all, so that the connection can be used again
	maxHeader     = 8 << 10          // bytes of a header's value
	maxRedirects  = 5                // on the same host
	maxRetryAfter = 24 * time.Hour   // more is not believed
	keptIdle      = 30 * time.Second // how long a connection is kept for the next request
)

// SetDefaults implements Definition.
func (a *Webhook) SetDefaults() {
	setDefault(&a.Timeout, setting.Duration(30*time.Second))
	a.Common.SetDefaults()
	a.Proxy.SetDefaults()
	a.Method = strings.ToUpper(cmp.Or(a.Method, http.MethodPost))
}

// Validate implements Definition.
func (a *Webhook) Validate() []setting.Problem {
	problems := a.check(needs{forEach: true})
	problem := func(key, format string, args ...any) {
		problems = append(problems, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	sample := a.sample()
	switch {
	case a.URL != "" && !a.URLFrom.IsZero():
		problem("url", "give exactly one of url, url_file, url_env and url_credential")
	case a.URL != "":
		var err error
		if a.address, err = newAddress(a.URL); err == nil {
			err = a.address.query.check(sample)
		}
		if err != nil {
			problem("url", "%v", err)
		}
	case a.URLFrom.IsZero():
		problem("url", `is missing; say where to, e.g. "https://hooks.example.com/mail", or name url_file, url_env or url_credential`)
	default:
		problems = append(problems, a.URLFrom.Validate("url")...)
	}
	problems = append(problems, setting.OneOf("method", a.Method,
		[]string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodGet, http.MethodDelete})...)
	problems = append(problems, a.validateHeaders(sample)...)
	if a.Body != "" {
		var err error
		if a.body, err = newText(a.Body, maxBody, ""); err == nil {
			err = a.body.check(sample)
		}
		if err != nil {
			problem("body", "%v", err)
		}
	}
	problems = append(problems, a.Secret.Validate("secret")...)
	if !a.Secret.Literal.IsZero() {
		if _, err := signingKey(a.Secret.Literal); err != nil {
			problem("secret", "%v", err)
		}
	}
	if a.CAFile != "" {
		if _, err := readRoots(a.CAFile); err != nil {
			problem("ca_file", "%v", err)
		}
	}
	problems = append(problems, setting.Below("proxy", a.Proxy.Validate())...)
	problems = append(problems, a.onlyForEach("include", a.Include)...)
	problems = append(problems, a.onlyForEach("types", a.Types)...)
	var found []setting.Problem
	a.include, found = newMasks("include", a.Include)
	problems = append(problems, found...)
	a.types, found = newMasks("types", a.Types)
	problems = append(problems, found...)
	if len(problems) == 0 {
		var err error
		if a.client, err = a.newClient(); err != nil {
			problem("", "%v", err)
		}
	}
	return problems
}

var headerName = regexp.MustCompile("^[-!#$%&'*+.^_`|~0-9A-Za-z]+$") // RFC 9110, section 5.6.2

func (a *Webhook) validateHeaders(sample *event.Event) (problems []setting.Problem) {
	a.headers = map[string]*text{}
	for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
		problem := func(format string, args ...any) {
			problems = append(problems, setting.Problem{Key: "headers." + name, Text: fmt.Sprintf(format, args...)})
		}
		key := textproto.CanonicalMIMEHeaderKey(name)
		if !headerName.MatchString(name) {
			problem("%q is not the name of a header", name)
			continue
		}
		switch key {
		case "Content-Length", "Transfer-Encoding", "Connection", "Trailer", "Upgrade", "Te":
			problem("is set by the daemon itself")
			continue
		case "Host":
			if isTemplateText(a.Headers[name]) {
				problem("is fixed, so that no mail chooses the host")
				continue
			}
		case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
			if !a.Secret.IsZero() {
				problem("is set by the signature; leave it out, or leave secret out")
				continue
			}
		}
		if a.headers[key] != nil {
			problem("is there twice; case does not count")
			continue
		}
		t, err := newText(a.Headers[name], maxText, "")
		if err == nil {
			err = t.check(sample)
		}
		if err != nil {
			problem("%v", err)
			continue
		}
		a.headers[key] = t
	}
	return problems
}

// Run implements Local.
func (a *Webhook) Run(ctx context.Context, r *Run) Result {
	return a.forEach(ctx, r, &a.selection, a.send)
}

// send makes one request.
func (a *Webhook) send(ctx context.Context, r *Run) Result {
	q, result := a.request(ctx, r, time.Now())
	if result.Err != nil {
		return result
	}
	sent := &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { r.begun() }}
	answer, err := a.client.Do(q.WithContext(httptrace.WithClientTrace(ctx, sent)))
	if err != nil {
		return retry(fmt.Errorf("%s %s: %w", a.Method, a.host(q.URL), a.plainError(ctx, err)))
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err == nil {
		_, err = io.CopyN(io.Discard, answer.Body, maxDrain)
	}
	result = a.verdict(answer, time.Now())
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() != nil && result.Outcome == Done {
		said = append(said, "\n[the answer broke off]"...)
	}
	result.Output = redact(said, a.secretsOf(q))
	if result.Err != nil {
		result.Err = fmt.Errorf("%s %s: %w", a.Method, a.host(q.URL), result.Err)
		if line := setting.Printable(string(result.Output), 300); line != "" {
			result.Err = fmt.Errorf("%w; it said: %s", result.Err, line)
		}
	}
	return result
}

// request makes the request of a run; if it cannot, the Result says why.
func (a *Webhook) request(ctx context.Context, r *Run, now time.Time) (*http.Request, Result) {
	to, err := a.to(ctx)
	if err != nil {
		return nil, retry(err)
	}
	u, err := to.url(ctx, r.Event)
	if err != nil {
		return nil, unmade(ctx, fmt.Errorf("url: %w", err))
	}
	body, kind, err := a.content(ctx, r.Event)
	if err != nil {
		return nil, unmade(ctx, fmt.Errorf("body: %w", err))
	}
	q, err := http.NewRequestWithContext(ctx, a.Method, u.String(), bytes.NewReader(body))
	if err != nil {
		return nil, dead(fmt.Errorf("make the request to %s: %w", a.host(u), unwrapURL(err)))
	}
	if len(body) == 0 {
		q.Body, q.GetBody, q.ContentLength = http.NoBody, nil, 0
	} else {
		q.Header.Set("Content-Type", kind)
	}
	q.Header.Set("User-Agent", "mailtriggerd")
	q.Header.Set("Idempotency-Key", r.Key)
	for name, t := range a.headers {
		value, err := t.run(ctx, r.Event)
		if err != nil {
			return nil, unmade(ctx, fmt.Errorf("headers.%s: %w", name, err))
		}
		value = strings.TrimSpace(event.Line(value, maxHeader))
		if name == "Host" {
			q.Host = value
			continue
		}
		q.Header.Set(name, value)
	}
	if a.Secret.IsZero() {
		return q, Result{}
	}
	secret, err := a.Secret.Read(ctx)
	if err != nil {
		return nil, retry(fmt.Errorf("the webhook's secret: %w", err))
	}
	if err := sign(q.Header, secret, r.Key, now, body); err != nil {
		return nil, retry(fmt.Errorf("the webhook's secret %w", err))
	}
	return q, Result{}
}

// to returns the address.
func (a *Webhook) to(ctx context.Context) (*address, error) {
	if a.address != nil {
		return a.address, nil
	}
	s, err := a.URLFrom.Read(ctx)
	if err != nil {
		return nil, fmt.Errorf("the webhook's URL: %w", err)
	}
	to, err := newAddress(s.Reveal())
	if err != nil {
		return nil, errors.New("what the secret holds is not the URL of a webhook; write https://host/path, and templates in its query only")
	}
	return to, nil
}

// content returns the body and its media type.
func (a *Webhook) content(ctx context.Context, e *event.Event) ([]byte, string, error) {
	if a.body == nil {
		if a.Method == http.MethodGet || a.Method == http.MethodDelete {
			return nil, "", nil
		}
		b, err := e.JSON()
		return b, "application/json", err
	}
	s, err := a.body.run(ctx, e)
	if json.Valid([]byte(s)) {
		return []byte(s), "application/json", err
	}
	return []byte(s), "text/plain; charset=utf-8", err
}

// host is what may be shown of a URL in an error: never its path or query, which
// hold the secret of many a webhook; nothing at all where the URL is a secret itself.
func (a *Webhook) host(u *url.URL) string {
	if a.address == nil {
		return "the webhook's URL"
	}
	return u.Scheme + "://" + u.Host
}

// secretsOf are the values of a request that no answer may bring into a log.
func (a *Webhook) secretsOf(q *http.Request) []setting.Secret {
	var list []setting.Secret
	add := func(s string) {
		if len(s) >= 6 { // shorter ones would hit everywhere
			list = append(list, setting.NewSecret(s))
		}
	}
	add(q.URL.String())
	add(q.URL.RequestURI())
	add(q.URL.EscapedPath()) // a webhook's path often is its password
	if password, ok := q.URL.User.Password(); ok {
		add(q.URL.User.Username() + ":" + password) // Redact knows base64
		add(password)
	}
	for name, values := range q.URL.Query() {
		if sensitive(name) {
			add(values[0])
		}
	}
	for name := range q.Header {
		if a.hides(name) {
			value := q.Header.Get(name)
			add(value)
			if _, token, ok := strings.Cut(value, " "); ok {
				add(token)
			}
		}
	}
	return list
}

// shownHeaders are those whose fixed values are no secret.
var shownHeaders = []string{"Accept", "Content-Type", "Content-Language", "Idempotency-Key", "User-Agent",
	"Webhook-Id", "Webhook-Timestamp"}

// hides reports whether a header's value is, or may be, a secret: where its name
// says so, or where it is fixed in the configuration.
func (a *Webhook) hides(name string) bool {
	if slices.Contains(shownHeaders, name) {
		return false
	}
	t := a.headers[name]
	return sensitive(name) || t != nil && !t.isTemplate()
}

// Describe implements Local: the request, the signature left out as it changes with
// the time.
func (a *Webhook) Describe(r *Run) (string, error) {
	return a.describeEach(r, &a.selection, func(r *Run) (string, error) {
		ctx := context.Background()
		var b strings.Builder
		target := "<secret>"
		if a.address != nil {
			u, err := a.address.url(ctx, r.Event)
			if err != nil {
				return "", err
			}
			target = a.address.shown(u)
		}
		fmt.Fprintf(&b, "%s %s\n", a.Method, target)
		body, kind, err := a.content(ctx, r.Event)
		if err != nil {
			return "", err
		}
		header := map[string]string{"Idempotency-Key": r.Key}
		if len(body) > 0 {
			header["Content-Type"] = kind
		}
		for name, t := range a.headers {
			value, err := t.run(ctx, r.Event)
			if err != nil {
				return "", fmt.Errorf("headers.%s: %w", name, err)
			}
			header[name] = strings.TrimSpace(event.Line(value, maxHeader))
			if a.hides(name) {
				header[name] = "<secret>"
			}
		}
		if !a.Secret.IsZero() {
			header["Webhook-Id"] = messageID(r.Key)
			header["Webhook-Signature"] = "v1,<secret>"
		}
		for _, name := range slices.Sorted(maps.Keys(header)) {
			fmt.Fprintf(&b, "%s: %s\n", name, header[name])
		}
		if len(body) > 0 {
			fmt.Fprintf(&b, "\n%s", body)
		}
		return strings.TrimSuffix(b.String(), "\n"), nil
	})
}

// Close lets go of the connections that are kept for the next request. They go by
// themselves in half a minute.
func (a *Webhook) Close() error {
	if a.client != nil {
		a.client.CloseIdleConnections()
	}
	return nil
}
