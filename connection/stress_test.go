package connection_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
	"mailtrigger/connection/setting"
	"mailtrigger/connection/wire"
)

var (
	stressFor  = flag.Duration("stress", 0, "how long TestStress goes on; 0: for a few seeds")
	stressSeed = flag.Uint64("stress.seed", 0, "the one seed of TestStress; 0: any")
)

// Whatever happens to the sessions of an account, in whatever order, each message is
// seen once, in the order of UIDs, soon after all is quiet; each watch that is closed
// ends; and nothing is left of all that.
func TestStress(t *testing.T) {
	accounts := 4 // at a time
	if testing.Short() {
		accounts = 1
	}
	until := time.Now().Add(*stressFor)
	for round := 0; !t.Failed() && (round == 0 || time.Now().Before(until)); round++ {
		before := runtime.NumGoroutine()
		var all sync.WaitGroup
		for i := range accounts {
			seed := *stressSeed
			if seed == 0 {
				seed = rand.Uint64()
			} else if i > 0 {
				break
			}
			all.Go(func() { stress(t, seed) })
		}
		all.Wait()
		settled := time.Now().Add(patience)
		for runtime.NumGoroutine() > before+2 && time.Now().Before(settled) {
			time.Sleep(10 * time.Millisecond)
		}
		if n := runtime.NumGoroutine(); n > before+2 {
			buf := make([]byte, 1<<18)
			t.Fatalf("%d goroutines are left:\n%s", n-before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// stressed is one account under stress.
type stressed struct {
	t     *testing.T
	seed  uint64
	exact bool // the server tells all, and nothing is found by asking again
	srv   *connectiontest.Server
	cfg   *connection.Config
	d     *connection.Dialer
	boxes []*stressedBox
	log   strings.Builder
	mu    sync.Mutex // guards log
}

// stressedBox is a mailbox, and what was seen of it.
type stressedBox struct {
	s       *stressed
	name    string
	watch   *connection.Watch
	looking atomic.Int32
	closed  atomic.Bool

	mu   sync.Mutex
	last map[uint32]uint32 // UID by UIDVALIDITY
	seen map[uint32]int
	slow time.Duration
}

func (s *stressed) errorf(format string, a ...any) {
	s.t.Helper()
	s.t.Errorf("seed %d: %s", s.seed, fmt.Sprintf(format, a...))
}

func (s *stressed) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.log.Write(p)
}

// look sees what is new, some messages at a time.
func (b *stressedBox) look(ctx context.Context, mb *connection.Mailbox, _ wire.Wake) error {
	if b.looking.Add(1) != 1 {
		b.s.errorf("two looks at once into %s", b.name)
	}
	defer b.looking.Add(-1)
	if b.closed.Load() {
		b.s.errorf("a look into %s, which is closed", b.name)
	}
	b.mu.Lock()
	last, slow := b.last[mb.UIDValidity], b.slow
	b.mu.Unlock()
	infos, err := mb.List(ctx, last)
	if err != nil {
		return err
	}
	time.Sleep(slow)
	for i, info := range infos {
		b.mu.Lock()
		if info.UID <= b.last[mb.UIDValidity] {
			b.s.errorf("%s: UID %d after %d", b.name, info.UID, b.last[mb.UIDValidity])
		}
		b.last[mb.UIDValidity] = info.UID
		b.seen[mb.UIDValidity]++
		b.mu.Unlock()
		if i == 3 && len(infos) > 4 {
			return connection.ErrMore
		}
	}
	return nil
}

func (b *stressedBox) open() {
	b.closed.Store(false)
	b.watch = b.s.d.Watch(b.s.cfg, b.name, b.look)
}

// close closes the watch, by force if wait is over.
func (b *stressedBox) close(wait time.Duration) {
	if b.watch.Status().State == connection.StateClosed {
		b.s.errorf("%s was closed by nobody", b.name)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := b.watch.Close(ctx); err != nil && wait >= patience {
		b.s.errorf("%s cannot be closed: %v: %+v", b.name, err, b.watch.Status())
	}
	if st := b.watch.Status(); st.State != connection.StateClosed {
		b.s.errorf("%s is not closed but %s", b.name, st.State)
	}
	b.closed.Store(true)
}

// complete reports whether all messages have been seen.
func (b *stressedBox) complete() bool {
	messages, validity := len(b.s.srv.Messages("alice", b.name)), b.s.srv.UIDValidity("alice", b.name)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[validity] == messages
}

func stress(t *testing.T, seed uint64) {
	r := rand.New(rand.NewPCG(seed, 0))
	s := &stressed{t: t, seed: seed, exact: r.IntN(2) == 0}
	o := connectiontest.Options{Mode: "none"}
	if !s.exact && r.IntN(2) == 0 {
		o.Hide = append(o.Hide, "NOTIFY")
	}
	if !s.exact && r.IntN(4) == 0 {
		o.Hide = append(o.Hide, "IDLE")
	}
	var err error
	if s.srv, err = connectiontest.NewServer(o); err != nil {
		t.Error(err)
		return
	}
	defer s.srv.Close()
	s.srv.AddUser("alice", "secret")
	s.cfg = s.srv.Config("alice")
	s.cfg.Timeout = setting.Duration(2 * time.Second)
	s.cfg.Session.MaxConnections = []int{1, 2, 4}[r.IntN(3)]
	s.cfg.Session.IdleRefresh = setting.Duration(time.Second)
	s.cfg.Session.RecheckInterval = setting.Duration(time.Second)
	s.cfg.Session.PollInterval = setting.Duration(500 * time.Millisecond)
	if s.exact {
		s.cfg.Session.IdleRefresh, s.cfg.Session.RecheckInterval, s.cfg.Session.PollInterval = setting.Duration(time.Hour), setting.Duration(time.Hour), setting.Duration(time.Hour)
	}
	s.d, err = connection.NewDialer(connection.DialerOptions{MaxBackoff: time.Second,
		Log: slog.New(slog.NewTextHandler(s, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Error(err)
		return
	}
	defer s.d.Close()
	for i := range 1 + r.IntN(1+r.IntN(6)) {
		b := &stressedBox{s: s, name: fmt.Sprint("Box", i), last: map[uint32]uint32{}, seen: map[uint32]int{}}
		s.srv.CreateMailbox("alice", b.name)
		s.boxes = append(s.boxes, b)
		b.open()
	}
	fmt.Fprintf(s, "exact %v, hidden %v, max_connections %d, %d mailboxes\n", s.exact, o.Hide, s.cfg.Session.MaxConnections, len(s.boxes))

	// The service comes and goes while the server has its troubles.
	done := make(chan struct{})
	var people sync.WaitGroup
	for i, b := range s.boxes {
		r := rand.New(rand.NewPCG(seed, uint64(i+1)))
		people.Go(func() { b.use(r, done) })
	}
	for range 150 {
		s.trouble(r)
		time.Sleep(rand.N(15 * time.Millisecond))
	}
	close(done)
	people.Wait()
	s.calm()
	s.check(r)

	var closing sync.WaitGroup
	for _, b := range s.boxes {
		closing.Go(func() { b.close(patience) })
	}
	closing.Wait()
	if n := s.d.Open(); n != 0 {
		s.errorf("%d connections are still counted", n)
	}
	if t.Failed() {
		s.mu.Lock()
		defer s.mu.Unlock()
		t.Logf("seed %d:\n%s", seed, s.log.String())
	}
}

// use does to a watch what the service does.
func (b *stressedBox) use(r *rand.Rand, done chan struct{}) {
	for {
		select {
		case <-done:
			return
		case <-time.After(time.Duration(r.IntN(200)) * time.Millisecond):
		}
		switch k := r.IntN(10); {
		case k < 3:
			b.watch.Wake()
		case k < 6:
			b.watch.Retry()
		case k < 7:
			b.close(time.Duration(r.IntN(30)) * time.Millisecond)
			b.open()
		default:
			b.close(patience)
			time.Sleep(time.Duration(r.IntN(1+r.IntN(300))) * time.Millisecond)
			b.open()
		}
	}
}

// trouble is one thing that happens at the server.
func (s *stressed) trouble(r *rand.Rand) {
	b := s.boxes[r.IntN(len(s.boxes))]
	k := r.IntN(100)
	if s.exact && k >= 90 {
		k = 0
	}
	switch {
	case k < 60:
		for range 1 + r.IntN(1+r.IntN(12)) {
			s.append(b)
		}
	case k < 64:
		s.srv.Drop()
	case k < 67:
		s.srv.Freeze()
		time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		s.srv.Thaw()
	case k < 68:
		s.srv.Freeze()
		time.Sleep(2500 * time.Millisecond)
		s.srv.Thaw()
	case k < 72:
		s.srv.DeleteMailbox("alice", b.name)
		time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		s.srv.CreateMailbox("alice", b.name)
	case k < 73:
		s.srv.Stop()
		time.Sleep(time.Duration(r.IntN(100)) * time.Millisecond)
		if err := s.srv.Start(); err != nil {
			s.errorf("%v", err)
		}
	case k < 85:
		command := []string{"LOGIN", "SELECT", "FETCH", "STATUS"}[r.IntN(4)]
		responses := []string{"NO [UNAVAILABLE] not now", "NO [LIMIT] too many connections", "NO no", "BAD what"}
		if command == "LOGIN" {
			responses = responses[:2] // the others are wrong passwords
		}
		s.srv.Fail(command, responses[r.IntN(len(responses))], 1+r.IntN(2))
	case k < 90:
		b.mu.Lock()
		b.slow = time.Duration(r.IntN(30)) * time.Millisecond
		b.mu.Unlock()
	case k < 92: // from here on it takes a recheck to find what has come
		s.srv.Overflow()
	case k < 94:
		s.srv.Deafen()
	case k < 96:
		s.srv.Mute(r.IntN(2) == 0)
	case k < 98:
		s.srv.Fail("NOTIFY", "NO not now", 1)
	default:
		s.srv.ResetUIDs("alice", b.name)
	}
}

// calm ends all troubles.
func (s *stressed) calm() {
	s.srv.Thaw()
	s.srv.Mute(false)
	for _, command := range []string{"SELECT", "FETCH", "STATUS", "NOTIFY", "LOGIN"} {
		s.srv.Fail(command, "NO", 0)
	}
	for _, b := range s.boxes {
		s.srv.CreateMailbox("alice", b.name)
	}
	fmt.Fprintln(s, "quiet")
}

// check finds out whether all is well: mail is seen in all mailboxes, and then, with
// nothing else going on that would help, in one that was opened just now.
func (s *stressed) check(r *rand.Rand) {
	for range 2 {
		for _, b := range s.boxes {
			s.append(b)
		}
		s.complete(s.boxes)
	}
	for range 20 {
		b, other := s.boxes[r.IntN(len(s.boxes))], s.boxes[r.IntN(len(s.boxes))]
		s.append(other)
		time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
		b.close(patience)
		time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
		b.open()
		time.Sleep(time.Duration(r.IntN(4000)) * time.Microsecond)
		s.append(b)
		if !s.complete([]*stressedBox{b, other}) {
			return
		}
	}
	if n := s.d.Open(); n > s.cfg.Session.MaxConnections {
		s.errorf("%d connections", n)
	}
}

func (s *stressed) append(b *stressedBox) {
	s.srv.Append("alice", b.name, mail(1), nil, time.Time{})
}

// complete waits until all messages were seen.
func (s *stressed) complete(boxes []*stressedBox) bool {
	const bound = 15 * time.Second
	begin := time.Now()
	for _, b := range boxes {
		for !b.complete() || !b.well() {
			b.watch.Retry() // what is permanent would wait for minutes
			if time.Since(begin) > bound {
				s.errorf("%s: not all was seen: %+v (%v)", b.name, b.watch.Status(), b.watch.Status().LastError)
				return false
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	return true
}

// well reports whether the watch says that it is watching.
func (b *stressedBox) well() bool {
	st := b.watch.Status()
	return st.Connected && st.LastError == nil && st.Mode != "" && !st.LastProof.IsZero()
}
