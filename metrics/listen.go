package metrics

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/prometheus/exporter-toolkit/web"
	"golang.org/x/net/netutil"
)

// Limits say how long and how many clients may be. The zero value has the defaults.
type Limits struct {
	Header      time.Duration // to send a request's header; 0: 10 seconds
	Read        time.Duration // to send a request; 0: 30 seconds
	Write       time.Duration // to take the answer; 0: a minute
	Idle        time.Duration // between requests; 0: 2 minutes
	Connections int           // at once; 0: 64. More wait until one ends
}

func (l *Limits) setDefaults() {
	setDefault(&l.Header, 10*time.Second)
	setDefault(&l.Read, 30*time.Second)
	setDefault(&l.Write, time.Minute)
	setDefault(&l.Idle, 2*time.Minute)
	setDefault(&l.Connections, 64)
}

func setDefault[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// ListenOptions say where Handler is served.
type ListenOptions struct {
	Address       string       // host:port, or unix:/path
	WebConfigFile string       // TLS and passwords, of Prometheus's exporter-toolkit; "": none
	Limits        Limits       //
	Log           *slog.Logger // nil: silent
}

// Listen serves Handler. It returns the function that ends it.
//
// Without a web config file, requests by TCP are answered only if they name this
// machine's loopback address as their host.
func (m *Metrics) Listen(ctx context.Context, o ListenOptions) (stop func(), err error) {
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if o.WebConfigFile != "" {
		if _, err := CheckWebConfig(o.WebConfigFile); err != nil {
			return nil, err
		}
	}
	var l net.Listener
	handler := m.Handler()
	if path, ok := strings.CutPrefix(o.Address, "unix:"); ok {
		l, err = ListenUnix(ctx, path, 0o660)
	} else {
		l, err = (&net.ListenConfig{}).Listen(ctx, "tcp", o.Address)
		if o.WebConfigFile == "" {
			handler = checkHost(handler)
		}
	}
	if err != nil {
		return nil, err
	}
	o.Limits.setDefaults()
	srv := &http.Server{
		Handler: handler, ReadHeaderTimeout: o.Limits.Header, ReadTimeout: o.Limits.Read,
		WriteTimeout: o.Limits.Write, IdleTimeout: o.Limits.Idle, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	log.Info("serving the status page and metrics", "address", l.Addr().String())
	limited := netutil.LimitListener(l, o.Limits.Connections)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		err := web.Serve(limited, srv, &web.FlagConfig{WebConfigFile: &o.WebConfigFile}, slog.New(important{log.Handler()}))
		if !errors.Is(err, http.ErrServerClosed) {
			log.Error("metrics are no longer served", "address", l.Addr().String(), "err", err)
		}
	}()
	return func() {
		_ = srv.Close()
		_ = l.Close() // in case Serve has not got as far as to know it
		<-ended
	}, nil
}

// important lets through what is worth a warning: exporter-toolkit tells of each
// listener what its caller has told already.
type important struct{ slog.Handler }

func (h important) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// ListenUnix listens on a Unix socket with the given mode. A socket that a dead
// process left at the path is removed; one that somebody answers at is left alone.
func ListenUnix(ctx context.Context, path string, mode fs.FileMode) (net.Listener, error) {
	if info, err := os.Lstat(path); err == nil {
		if info.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%s exists and is no socket: remove it, or choose another path", path)
		}
		if c, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", path); err == nil {
			_ = c.Close()
			return nil, fmt.Errorf("another process answers at the socket %s: end it, or choose another path", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if errors.Is(err, syscall.EINVAL) { // unix(7): sockaddr_un has room for some 100 bytes
		return nil, fmt.Errorf("the path %s is too long for a socket (%d bytes): choose a shorter one", path, len(path))
	}
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}
