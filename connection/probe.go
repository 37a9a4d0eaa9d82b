package connection

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
	"time"
)

// What Check asks the server in another way, once a step has failed, so as to
// suggest settings that work. Each probe is a connection of its own without a
// login, and no secret is sent.

const (
	probeAfter = 2 * time.Second // how long a server may be silent before it is asked whether it waits for TLS
	probeLimit = 5 * time.Second // for one probe

	suggestLimit = 10 * time.Second // for all after a failed step
)

// suggest returns settings that would help after err.
func (c *check) suggest(ctx context.Context, err *Error) []string {
	if isTimeout(err.Err) { // asking again would take as long again
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, suggestLimit)
	defer cancel()
	table := c.cfg.table()
	switch {
	case err.pin != "":
		return []string{fmt.Sprintf("[%s.encryption]", table), fmt.Sprintf("pin_sha256 = [%q]", err.pin)}
	case err.Stage == StageConnect && errors.Is(err, syscall.ECONNREFUSED):
		return c.otherPort(ctx)
	case err.Stage == StageGreeting && errors.Is(err, errSpeaksTLS):
		return []string{fmt.Sprintf("[%s.encryption]", table), `protocol = "tls"`, `mode = "implicit"`}
	case err.Stage == StageTLS:
		var record tls.RecordHeaderError
		if errors.As(err, &record) && looksPlain(record.RecordHeader[:]) {
			return []string{fmt.Sprintf("[%s.encryption]", table), `mode = "explicit"`}
		}
		if errors.As(err, &record) {
			return nil
		}
		return c.otherVersion(ctx)
	case err.Stage == StageLogin && err.refused:
		if p := c.cfg.presetByAddress(); p != nil && c.cfg.Preset == "" {
			return []string{fmt.Sprintf("preset = %q", p.Name)}
		}
	}
	return nil
}

// otherPort tries the usual ports where the configured one is closed.
func (c *check) otherPort(ctx context.Context) []string {
	usual := c.cfg.protocol()
	for _, p := range []struct {
		port int
		mode string
	}{{usual.implicit, ModeImplicit}, {usual.explicit, ModeExplicit}} {
		if p.port == c.cfg.Port {
			continue
		}
		other := *c.cfg
		other.Port = p.port
		if conn, err := c.dial(ctx, &other); err == nil {
			conn.Close()
			return []string{fmt.Sprintf("[%s]", c.cfg.table()), "port = " + strconv.Itoa(p.port), fmt.Sprintf("[%s.encryption]", c.cfg.table()), fmt.Sprintf("mode = %q", p.mode)}
		}
	}
	return nil
}

// otherVersion tries each TLS version alone, with the usual ciphers and with the
// legacy ones, where the handshake has failed without saying why.
func (c *check) otherVersion(ctx context.Context) []string {
	for _, ciphers := range []string{CiphersDefault, CiphersLegacy} {
		for i := len(tlsVersions) - 1; i >= 0; i-- {
			v := tlsVersions[i]
			e := c.cfg.Encryption
			e.Versions, e.Ciphers, e.PinSHA256, e.InsecureSkipVerify = []string{v.name}, ciphers, nil, true
			if v.number == tls.VersionTLS13 && ciphers == CiphersLegacy {
				continue
			}
			if c.handshake(ctx, &e) != nil {
				continue
			}
			lines := []string{fmt.Sprintf("[%s.encryption]", c.cfg.table()), fmt.Sprintf("versions = [%q]", v.name)}
			if ciphers == CiphersLegacy {
				lines = append(lines, `ciphers = "legacy"`)
			}
			return lines
		}
	}
	return nil
}

// handshake makes a TLS connection as e says, and ends it.
func (c *check) handshake(ctx context.Context, e *Encryption) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	config, err := e.TLSConfig(c.cfg.Address)
	if err != nil {
		return err
	}
	conn, err := c.dial(ctx, c.cfg)
	if err != nil {
		return err
	}
	defer conn.Close()
	if e.Mode == ModeExplicit {
		_, err = c.cfg.startTLS(ctx, conn, config)
		return err
	}
	return tls.Client(conn, config).HandshakeContext(ctx)
}

func (c *check) dial(ctx context.Context, cfg *Config) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	probe := &connector{d: c.d, cfg: cfg}
	if err := probe.dial(ctx); err != nil {
		return nil, err
	}
	return probe.raw, nil
}

// errSpeaksTLS: a server that is silent waits for TLS.
var errSpeaksTLS = errors.New("the server speaks TLS from the first byte on")

// probeSilence finds out why a server says nothing where it should greet in plain
// text: it may wait for TLS, and then there is no need to wait for the timeout. The
// function it returns ends it.
func (c *check) probeSilence(ctx context.Context, cancel context.CancelCauseFunc) (stop func()) {
	if c.cfg.Encryption.Mode == ModeImplicit {
		return func() {}
	}
	ended := make(chan struct{})
	timer := time.AfterFunc(probeAfter, func() {
		defer close(ended)
		const connected = 3 // secrets, proxy, connect
		if n := c.passed.Load(); n < connected || n > connected+1 {
			return
		}
		e := Encryption{InsecureSkipVerify: true, Ciphers: CiphersLegacy, Versions: versionNames(), Mode: ModeImplicit}
		err := c.handshake(ctx, &e)
		if err != nil && remoteAlert(err) == "" {
			return
		}
		cancel(&Error{Stage: StageGreeting, Permanent: true, Err: errSpeaksTLS,
			Text: fmt.Sprintf("the server speaks TLS from the first byte on port %d, and waits for us to begin", c.cfg.Port),
			Hint: `set protocol = "tls" and mode = "implicit"`})
	})
	return func() {
		if !timer.Stop() {
			cancel(nil)
			<-ended
		}
	}
}
