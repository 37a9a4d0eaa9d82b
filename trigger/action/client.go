package action

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
)

func (a *Webhook) newClient() (*http.Client, error) {
	dialer, err := a.Proxy.Dialer(nil)
	if err != nil {
		return nil, err
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CAFile != "" {
		if cfg.RootCAs, err = readRoots(a.CAFile); err != nil {
			return nil, err
		}
	}
	return &http.Client{
		CheckRedirect: followRedirect,
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        cfg,
			TLSHandshakeTimeout:    time.Minute,
			ForceAttemptHTTP2:      true,
			MaxIdleConnsPerHost:    2,
			IdleConnTimeout:        keptIdle,
			MaxResponseHeaderBytes: 256 << 10,
		},
	}, nil
}

// followRedirect follows only what repeats the whole request (307 and 308) on the
// same host, and never from https to http. Anything else comes back as the answer.
func followRedirect(q *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	code := q.Response.StatusCode
	same := strings.EqualFold(q.URL.Hostname(), via[0].URL.Hostname()) &&
		(q.URL.Scheme == last.URL.Scheme && q.URL.Port() == last.URL.Port() || last.URL.Scheme == "http" && q.URL.Scheme == "https")
	if !same || len(via) > maxRedirects || code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect {
		return http.ErrUseLastResponse
	}
	return nil
}

func readRoots(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot be read: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s has no certificate in PEM form", path)
	}
	return pool, nil
}

// plainError takes the URL, which may hold a secret, off an error of net/http, and
// says what to do.
func (a *Webhook) plainError(ctx context.Context, err error) error {
	err = unwrapURL(err)
	var unknown x509.UnknownAuthorityError
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		return fmt.Errorf("no answer in time: %w; raise timeout if it needs longer", context.DeadlineExceeded)
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; name the CA's certificate as ca_file if it is your own", err)
	}
	if a.address == nil { // a dial error names host and port, which the secret holds
		var in *proxy.Error
		if !errors.As(err, &in) {
			return errors.New(kindOf(err))
		}
	}
	return err
}

func unwrapURL(err error) error {
	var e *url.Error
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// verdict reads the status code.
func (a *Webhook) verdict(answer *http.Response, now time.Time) Result {
	code := answer.StatusCode
	status := setting.Printable(cmp.Or(answer.Status, fmt.Sprint(code)), 100)
	switch {
	case code >= 200 && code < 300:
		return Result{}
	case code == http.StatusRequestTimeout, code == http.StatusTooEarly, code == http.StatusTooManyRequests, code >= 500:
		result := retry(errors.New("the server answered " + status))
		result.RetryAfter = retryAfter(answer.Header.Get("Retry-After"), now)
		return result
	case code >= 300 && code < 400:
		where := "elsewhere"
		if to, err := answer.Location(); err == nil {
			where = "to " + setting.Printable(a.host(to), 200)
		}
		return dead(fmt.Errorf("the server answered %s: it redirects %s, which is not followed; give that URL if it is right", status, where))
	}
	return dead(errors.New("the server answered " + status))
}

// retryAfter reads Retry-After: seconds or a date (RFC 9110, section 10.2.3).
func retryAfter(value string, now time.Time) time.Duration {
	var d time.Duration
	if value = strings.TrimSpace(value); value == "" {
		return 0
	}
	if strings.Trim(value, "0123456789") == "" {
		seconds, err := time.ParseDuration(value + "s")
		if err != nil { // too many digits
			seconds = maxRetryAfter
		}
		d = seconds
	} else if at, err := http.ParseTime(value); err == nil {
		d = at.Sub(now)
	}
	return min(max(d, 0), maxRetryAfter)
}
