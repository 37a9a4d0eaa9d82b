package trigger

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest"
)

// bodiesAsked counts the FETCH commands for whole messages.
func bodiesAsked(asked func(n int)) connectiontest.Options {
	n := 0
	var mu sync.Mutex
	return connectiontest.Options{Wire: func(fromServer bool, data []byte) {
		if !fromServer && strings.Contains(string(data), "BODY.PEEK[]") {
			mu.Lock()
			defer mu.Unlock()
			n++
			asked(n)
		}
	}}
}

// While one batch is judged the next is fetched.
func TestNextBatchIsFetchedMeanwhile(t *testing.T) {
	second := make(chan struct{})
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Start = "all"
	w := newWorldOn(t, bodiesAsked(func(n int) {
		if n == 2 {
			close(second)
		}
	}), cfg)
	var once sync.Once
	w.trace = &Trace{Defect: func(string) {
		once.Do(func() {
			select {
			case <-second:
			case <-time.After(patience):
				t.Error("the next batch is not fetched while one is judged")
			}
		})
	}}
	w.srv.Append(alice, "INBOX", []byte("Subject: odd\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!\r\n"), nil, time.Now())
	w.append(numbered("mail", 150)...)
	w.start()
	rec.wait(t, 151)
}

// A session that ends while the next batch is fetched takes nothing along of the batch that
// is there.
func TestLossWhileFetchingAhead(t *testing.T) {
	rec := newRecorder("rec")
	cfg := newTrigger("t", rec)
	cfg.Start = "all"
	var w *world
	w = newWorldOn(t, bodiesAsked(func(n int) {
		if n == 2 || n == 5 {
			w.srv.Drop()
		}
	}), cfg)
	names := numbered("mail", 450)
	w.append(names...)
	w.start()
	rec.wait(t, 450)
	w.quiet()
	equal(t, "fired", rec.subjects(), names)
}

// Mail that comes while a batch of the backlog was fetched ahead goes first, also if there
// is no room in memory for both: else each mailbox could wait for the others.
func TestFetchedAheadGivesWay(t *testing.T) {
	w := newWorld(t, newTrigger("t", newRecorder("rec")))
	w.start()
	c := w.engine.collectors[0]
	c.looking.Lock()
	defer c.looking.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	held, err := c.takeMemory(ctx, []connection.Info{{Size: maxUndecided}}, true)
	if err != nil {
		t.Fatal(err)
	}
	if release, err := c.takeMemory(ctx, []connection.Info{{Size: 1}}, false); release != nil || err != nil {
		t.Errorf("there is room, or %v", err)
	}
	c.ahead = &delivery{release: held}
	release, err := c.takeMemory(ctx, []connection.Info{{Size: 1}}, true)
	if err != nil {
		t.Fatal(err)
	}
	release()
	if c.ahead != nil {
		t.Error("it is still there")
	}
}
