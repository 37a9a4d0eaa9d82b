package main

import (
	"bytes"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mailtrigger/connection"
	"mailtrigger/metrics"
	"mailtrigger/trigger"
)

// Through a pipe, --status tells of every mailbox; what servers say does nothing
// to the terminal behind it.
func TestStatusOfMany(t *testing.T) {
	const hostile = "no \x1b]0;owned\x07\x1b[2J\r\nfake: ok\u202e"
	st := &metrics.Status{Health: "ok", Summary: metrics.Summary{Connections: 201, Used: 200, Up: 198, Mailboxes: 200, Watching: 199}}
	st.Watches = append(st.Watches, metrics.WatchStatus{
		Connection: "broken", Mailbox: "顧客/" + hostile, State: string(connection.StateBackoff), NextRetry: time.Now().Add(90 * time.Second),
		Stage: "login", Error: hostile, Hint: "ask " + hostile, Insecure: "insecure_skip_verify",
	})
	for i := range 199 {
		st.Watches = append(st.Watches, metrics.WatchStatus{
			Connection: fmt.Sprintf("customer-%03d", i), Mailbox: "INBOX", State: string(connection.StateParked), Watching: true, Mode: "idle", Since: time.Now(),
			LastProof: time.Now(), RoundTrip: 0.0123, TLS: &metrics.TLSStatus{Version: "TLS1.3", Expires: time.Now().Add(time.Duration(i+1) * 24 * time.Hour)},
		})
	}
	st.Triggers = []metrics.TriggerStatus{{TriggerStatus: trigger.TriggerStatus{Name: "orders", Actions: []string{"book"}, Queue: 3, DeadLetters: 1}, Matches: 12}}
	var out bytes.Buffer
	(&call{stdout: &out}).printStatus(st)
	plain(t, out.String())
	aligned(t, strings.ReplaceAll(out.String(), "顧客", "____")) // the test counts characters
	for want, times := range map[string]int{
		"watching 198 of 200 connections (199 of 200 mailboxes); ": 1, "customer-": 199, "  login: no": 1, "  ask no": 1, "  next try in 1m": 1, "  insecure_skip_verify": 1,
		"certificate ends on": 14, "12.3 ms": 199, "orders": 1,
	} {
		if got := strings.Count(out.String(), want); got < times || got > times {
			t.Errorf("%q is there %d times, want %d", want, got, times)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

// Work is done at the same time, so much of it as is allowed, and told of in order.
func TestInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		work := func(n int) int {
			most.Store(max(most.Load(), running.Add(1)))
			defer running.Add(-1)
			time.Sleep(time.Duration(100-n) * time.Second) // the later, the faster
			return n * n
		}
		items := make([]int, 50)
		for i := range items {
			items[i] = i
		}
		next := 0
		for i, r := range inOrder(items, 8, work) {
			if i != next || r != i*i {
				t.Errorf("result %d is %d, want %d", i, r, next*next)
			}
			next++
		}
		if next != 50 || most.Load() != 8 {
			t.Errorf("%d results, %d at the same time", next, most.Load())
		}
	})
}
