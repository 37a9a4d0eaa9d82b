package connection

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"mailtrigger/connection/auth"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/wire"
)

// DialerOptions are what the sessions of all connections share. The zero value
// is useful.
type DialerOptions struct {
	Log         *slog.Logger  // nil: nothing is logged
	Trace       *Trace        // nil: nothing is traced
	ConnectRate float64       // connects a second, all connections together; 0: 200
	StateDir    string        // where OAuth 2.0 refresh tokens are kept
	Name        string        // what ID tells servers of us; "": "mailtriggerd"
	Version     string        // likewise
	MaxBody     int64         // the largest message that is read, in bytes; 0: that of wire.Limits
	MaxBackoff  time.Duration // the longest wait between reconnects; 0: 5 minutes

	// RootCAs are for OAuth 2.0 over HTTPS; nil: the system's.
	RootCAs *x509.CertPool

	// Forward reaches servers and proxies; nil: a net.Dialer with keepalive. For
	// tests and unusual networks.
	Forward proxy.ContextDialer
}

// Trace is told what happens, for metrics. Each func may be nil; none may block.
type Trace struct {
	State       func(connection, mailbox string, from, to State)
	ConnectDone func(connection string, err *Error, took time.Duration) // err is nil where it worked
	Error       func(connection, stage string)
	Proof       func(connection string, roundTrip time.Duration) // the line was proven alive
	Push        func(connection, mailbox string)                 // the server told of a change
	Certificate func(connection string, notAfter time.Time)      // the server's certificate, at each handshake
}

// A Dialer makes sessions. It holds what those of all connections share: the
// park loop, the connect rate, the ledger of wrong passwords and the budget of
// connections to each account. Its methods may be called from any goroutine.
type Dialer struct {
	opts   DialerOptions
	log    *slog.Logger
	trace  Trace
	parker *wire.Parker
	rate   *rate.Limiter
	starts admission // connecting
	looks  admission // looking
	wrong  auth.Attempts
	budget budget
	tls    tlsShare

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	mu      sync.Mutex
	configs map[*Config]*shared
	groups  map[*Config]*group // the watches
}

// The defaults of DialerOptions.
const (
	DefaultConnectRate = 200
	DefaultMaxBackoff  = 5 * time.Minute
)

// NewDialer returns a Dialer. Close it when the last Watch is closed.
func NewDialer(o DialerOptions) (*Dialer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.ConnectRate <= 0 {
		o.ConnectRate = DefaultConnectRate
	}
	if o.Name == "" {
		o.Name = "mailtriggerd"
	}
	if o.MaxBackoff <= 0 {
		o.MaxBackoff = DefaultMaxBackoff
	}
	parker, err := wire.NewParker(nil)
	if err != nil {
		return nil, fmt.Errorf("connection: %w", err)
	}
	d := &Dialer{
		opts:    o,
		log:     o.Log,
		parker:  parker,
		rate:    rate.NewLimiter(rate.Limit(o.ConnectRate), connectBurst(o.ConnectRate)),
		configs: map[*Config]*shared{},
		groups:  map[*Config]*group{},
	}
	if o.Trace != nil {
		d.trace = *o.Trace
	}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d, nil
}

// connectBurst is how many connects may begin at once: a tenth of a second's.
func connectBurst(perSecond float64) int { return int(math.Ceil(perSecond / 10)) }

// SetConnectRate changes DialerOptions.ConnectRate.
func (d *Dialer) SetConnectRate(perSecond float64) {
	if perSecond <= 0 {
		perSecond = DefaultConnectRate
	}
	d.rate.SetLimit(rate.Limit(perSecond))
	d.rate.SetBurst(connectBurst(perSecond))
}

// Close ends everything at once, without a word to the servers. Watches that
// have not been closed stay without a session.
func (d *Dialer) Close() error {
	d.cancel()
	d.parker.Close()
	return nil
}

// Forgive forgets the wrong passwords for an account and its proxy, so that a login is
// tried at once: for when somebody has changed the configuration.
func (d *Dialer) Forgive(cfg *Config) {
	d.wrong.Forgive(cfg.loginKey())
	d.wrong.Forgive(cfg.proxyKey())
}

// Release forgets what is kept for a configuration that is no longer in use.
func (d *Dialer) Release(cfg *Config) {
	d.mu.Lock()
	delete(d.configs, cfg)
	delete(d.groups, cfg)
	d.mu.Unlock()
}

// maxFetches is how many FETCH responses one command may bring: about a second's work.
const maxFetches = 300_000

// shared is what all sessions of a connection share.
type shared struct {
	auth *auth.Authenticator // so that they share an access token
	link *wire.LinkOptions
	busy chan struct{} // a place for each session of an SMTP table
}

// share returns what the sessions of a connection share.
func (d *Dialer) share(cfg *Config) (*shared, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.configs[cfg]; s != nil {
		return s, nil
	}
	forward, err := cfg.Proxy.Dialer(d.opts.Forward)
	if err != nil {
		return nil, err
	}
	log := d.log.With("connection", cfg.Name) // or "smtp.NAME"
	a, err := auth.New(&cfg.Authentication, auth.Options{
		Connection:     cfg.Name,
		StateDir:       d.opts.StateDir,
		Dialer:         forward,
		RootCAs:        d.opts.RootCAs,
		Log:            log,
		AllowClearText: cfg.Encryption.Protocol == ProtocolNone,
		SMTP:           cfg.smtp,
	})
	if err != nil {
		return nil, err
	}
	s := &shared{auth: a, busy: make(chan struct{}, MaxSMTPSessions), link: &wire.LinkOptions{
		Limits: wire.Limits{Body: d.opts.MaxBody, Fetches: maxFetches},
		Log:    log,
		OnStatus: func(st wire.Status) {
			if st.Code == "ALERT" { // RFC 9051 section 7.1: a person must see it
				log.Warn("the server alerts", "text", oneLine(st.Text))
			}
		},
	}}
	d.configs[cfg] = s
	return s, nil
}

// loginKey is what the ledger of wrong passwords counts by: the account that
// would be locked.
func (c *Config) loginKey() (host, user string) {
	host, _ = c.Identity()
	if c.smtp { // its ports are doors of the same server as IMAP's
		host = strings.TrimSuffix(strings.ToLower(c.Address), ".")
	}
	return host, c.Authentication.Username
}

// Do calls f with a mailbox on a session of its own, which it connects for this
// and logs out of afterwards. The mailbox is selected, unless its name is "": then
// only what needs no selected mailbox can be called. The error is an *Error or
// f's own.
//
// It waits at most cfg.Timeout for the connection budget, and as long to connect;
// f ends with ctx.
func (d *Dialer) Do(ctx context.Context, cfg *Config, mailbox string, f func(ctx context.Context, mb *Mailbox) error) error {
	ctx, stop := d.bound(ctx)
	defer stop()
	s, err := d.open(ctx, cfg, false, nil)
	if err != nil {
		return err
	}
	defer s.logout()
	mb := &Mailbox{Name: mailbox, s: s}
	if mailbox != "" {
		if err := mb.Refresh(ctx); err != nil {
			return err
		}
	}
	return f(ctx, mb)
}

// bound returns a context that also ends with the Dialer.
func (d *Dialer) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(d.ctx, func() { cancel(errClosed) })
	return ctx, func() { stop(); cancel(context.Canceled) }
}

var errClosed = errors.New("the dialer is closed")

// open waits for the budget, connects and logs in. standing says that the session
// is to stay, as a Watch's is; release gives back the place that it already has in
// the budget, nil if none.
func (d *Dialer) open(ctx context.Context, cfg *Config, standing bool, release func()) (*session, *Error) {
	started := time.Now()
	if release == nil {
		var err *Error
		if release, err = d.budget.acquire(ctx, cfg, standing); err != nil {
			return nil, d.failed(cfg, err, started)
		}
	}
	s, err := d.connect(ctx, cfg, nil)
	if err != nil {
		release()
		return nil, d.failed(cfg, err, started)
	}
	s.release = release
	if f := d.trace.ConnectDone; f != nil {
		f(cfg.Name, nil, time.Since(started))
	}
	return s, nil
}

func (d *Dialer) failed(cfg *Config, err *Error, started time.Time) *Error {
	if f := d.trace.ConnectDone; f != nil {
		f(cfg.Name, err, time.Since(started))
	}
	return err
}
