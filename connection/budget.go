package connection

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// budget counts connections by account (host and user), over all connections
// and triggers, and lets no more be opened than max_connections. Where it is more
// than one, a Watch leaves one free for what has to be done meanwhile: finishing,
// large mail, fetching again.
type budget struct {
	mu       sync.Mutex
	accounts map[[2]string]*account
}

type account struct {
	open    int
	changed chan struct{} // closed when one becomes free; nil while nobody waits
}

// try takes a free connection and returns what gives it back; nil if there is none.
// Giving back twice does nothing.
func (b *budget) try(cfg *Config, standing bool) (release func()) {
	release, _ = b.take(cfg, standing)
	return release
}

// take is try that also says when to try again: once changed is closed.
func (b *budget) take(cfg *Config, standing bool) (release func(), changed chan struct{}) {
	host, user := cfg.Identity()
	key := [2]string{host, user}
	most := cfg.Session.MaxConnections
	if standing && most > 1 {
		most--
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.accounts == nil {
		b.accounts = map[[2]string]*account{}
	}
	a := b.accounts[key]
	if a == nil {
		a = &account{}
		b.accounts[key] = a
	}
	if a.open >= most {
		if a.changed == nil {
			a.changed = make(chan struct{})
		}
		return nil, a.changed
	}
	a.open++
	var once sync.Once
	return func() { once.Do(func() { b.release(key) }) }, nil
}

// acquire waits for a free connection, at most cfg.Timeout, and returns what
// gives it back.
func (b *budget) acquire(ctx context.Context, cfg *Config, standing bool) (release func(), failed *Error) {
	timeout := time.NewTimer(time.Duration(cfg.Timeout))
	defer timeout.Stop()
	for {
		release, changed := b.take(cfg, standing)
		if release != nil {
			return release, nil
		}
		select {
		case <-changed:
		case <-timeout.C:
			host, user := cfg.Identity()
			kept := ""
			if standing && cfg.Session.MaxConnections > 1 {
				kept = ", of which one is kept free for other work"
			}
			return nil, &Error{Connection: cfg.Name, Stage: StageBudget,
				Text: fmt.Sprintf("all connections that %s at %s may have are in use (max_connections = %d%s)", user, host, cfg.Session.MaxConnections, kept),
				Hint: "raise max_connections in the session table if the server allows more; tables for one account share its connections"}
		case <-ctx.Done():
			return nil, &Error{Connection: cfg.Name, Stage: StageBudget, Text: "given up waiting for a free connection", Err: context.Cause(ctx)}
		}
	}
}

func (b *budget) release(key [2]string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.accounts[key]
	a.open--
	if a.changed != nil {
		close(a.changed)
		a.changed = nil
	}
	if a.open == 0 {
		delete(b.accounts, key)
	}
}
