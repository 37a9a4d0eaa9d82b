package metrics

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"mailtrigger/connection"
	"mailtrigger/connection/connectiontest/rigtest"
	"mailtrigger/trigger"
	"mailtrigger/trigger/journal"
)

// The page in a real browser: Debian's Chromium.

// A stage is a daemon whose state a test changes while the page shows it.
type stage struct {
	mu       sync.Mutex
	watches  []connection.Status
	triggers []trigger.TriggerStatus
	firings  []journal.HistoryEntry
	health   error
	source   Source
}

// newStage makes a daemon of n connections: with 3 or more, one has a problem.
func newStage(n int) *stage {
	now := time.Now()
	s := &stage{}
	for i := range n {
		name := fmt.Sprintf("customer-%05d", i)
		if n <= 3 {
			name = []string{"office", "sales", "backup"}[i]
		}
		s.source.Connections = append(s.source.Connections, &connection.Config{Name: name})
		s.watches = append(s.watches, connection.Status{
			Connection: name, Mailbox: "INBOX", State: connection.StateParked, Since: now.Add(-time.Duration(i%300+3) * time.Minute), Connected: true, Mode: "idle",
			LastProof: now.Add(-time.Duration(i%540) * time.Second), RoundTrip: time.Duration(900+i%7000*13) * time.Microsecond, Connects: 1,
			TLS: &connection.TLSInfo{Version: "TLS1.3", Cipher: "TLS_AES_128_GCM_SHA256", NotAfter: now.Add(time.Duration(40+i%300) * 24 * time.Hour)},
		})
		s.triggers = append(s.triggers, trigger.TriggerStatus{Name: strings.Replace(name, "customer", "orders", 1), Actions: []string{"book", "move"}})
	}
	if n >= 3 {
		s.fail(1)
		s.triggers[2].Gates, s.triggers[2].Waiting, s.triggers[2].Queue, s.triggers[2].Until = []string{"quiet_hours"}, 3, 3, now.Add(5*time.Hour)
		s.triggers[2].Backlog = 8123
		s.watches[2].TLS.NotAfter = now.Add(9 * 24 * time.Hour)
		s.triggers[0].DeadLetters, s.triggers[0].Queue, s.triggers[0].Oldest = 2, 14, now.Add(-3*time.Minute)
		s.triggers[1].Queue, s.triggers[1].Retrying, s.triggers[1].Oldest = 1, 1, now.Add(-40*time.Minute)
		for i := range 30 {
			h := journal.HistoryEntry{
				Seq: uint64(i), Trigger: s.triggers[i%3].Name, Connection: s.watches[i%3].Connection, Mailbox: journal.MailboxKey{Mailbox: "INBOX"}, EventID: fmt.Sprintf("event-%d", i),
				Kind: "message", UID: uint32(4711 - i), Accepted: now.Add(-time.Duration(i*i+1)*time.Minute - 300*time.Millisecond), Ended: now.Add(-time.Duration(i*i+1) * time.Minute),
				Outcome: "done", Subject: "Invoice 2041: 120 EUR", From: "billing@acme.example",
				Actions: []journal.HistoryAction{{Name: "book", State: journal.Done, Attempt: 1}, {Name: "move", State: journal.Done, Attempt: 1 + i%2}},
			}
			if i%7 == 3 {
				h.Outcome, h.Actions[0].State, h.Actions[1].State = "dead", journal.Dead, journal.Waiting
			}
			s.firings = append(s.firings, h)
		}
	}
	s.source.Watches = func() []connection.Status {
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]connection.Status(nil), s.watches...)
	}
	s.source.Triggers = func() []trigger.TriggerStatus {
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]trigger.TriggerStatus(nil), s.triggers...)
	}
	s.source.Health = func() error { s.mu.Lock(); defer s.mu.Unlock(); return s.health }
	s.source.JournalErrors = func() uint64 { return 0 }
	s.source.History = func(n int) []journal.HistoryEntry {
		s.mu.Lock()
		defer s.mu.Unlock()
		return append([]journal.HistoryEntry(nil), s.firings[:min(n, len(s.firings))]...)
	}
	return s
}

func (s *stage) fail(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.watches[i]
	w.State, w.Connected, w.Since, w.NextRetry = connection.StateBackoff, false, time.Now().Add(-90*time.Second), time.Now().Add(12*time.Minute)
	w.LastError = &connection.Error{Connection: w.Connection, Stage: connection.StageConnect, Text: "dial tcp 192.0.2.7:993: connect: connection refused", Hint: "is the port right, and does the server run?"}
}

func (s *stage) mend(i int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := &s.watches[i]
	w.State, w.Connected, w.Since, w.LastProof, w.LastError = connection.StateParked, true, time.Now(), time.Now(), nil
}

// metrics serves the stage and counts a little.
func (s *stage) metrics() *Metrics {
	m := New(Build{Version: "0.1.0", Go: "go1.26", Commit: "abc"})
	m.Watch(s.source)
	trace := m.TriggerTrace()
	for i := range min(len(s.triggers), 3) {
		for range 1234 {
			trace.Match(s.triggers[i].Name, time.Now().Add(-time.Duration(i+1)*time.Minute))
			trace.Action(s.triggers[i].Name, "book", "exec", "ok", time.Millisecond)
		}
		trace.Action(s.triggers[i].Name, "book", "exec", "retry", time.Millisecond)
	}
	return m
}

// A browser is a tab of Chromium.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // what the browser said in its console
}

var chromium struct {
	sync.Once
	ctx context.Context
	end func()
	err error
}

func startChromium(path string) {
	flags := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), flags...)
	ctx, stop := chromedp.NewContext(allocator)
	chromium.ctx, chromium.end = ctx, func() { stop(); end() }
	chromium.err = chromedp.Do(ctx)
}

func TestMain(m *testing.M) {
	code := rigtest.Main(m)
	if chromium.end != nil {
		chromium.end()
	}
	os.Exit(code)
}

// newBrowser opens a tab; it is closed when the test ends.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	path := rigtest.Tool(t, "chromium", "chromium")
	chromium.Do(func() { startChromium(path) })
	if chromium.err != nil {
		t.Fatal(chromium.err)
	}
	ctx, closeTab := chromedp.NewContext(chromium.ctx)
	t.Cleanup(closeTab)
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	t.Cleanup(stop)
	b := &browser{t: t, ctx: ctx}
	b.do()
	messages := chromedp.Console(ctx)
	go func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			if m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleException {
				b.mu.Lock()
				b.complaints = append(b.complaints, m.String())
				b.mu.Unlock()
			}
		}
	}()
	return b
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	if err := chromedp.Do(b.ctx, actions...); err != nil {
		b.t.Fatal(err)
	}
}

// eval returns what an expression of JavaScript is.
func eval[T any](b *browser, js string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](js))
	if err != nil {
		b.t.Fatalf("%s: %v", js, err)
	}
	return v
}

// until waits until an expression is true.
func (b *browser) until(js string) {
	b.t.Helper()
	for end := time.Now().Add(20 * time.Second); !eval[bool](b, js); {
		if time.Now().After(end) {
			b.t.Fatalf("never true: %s\n%s", js, eval[string](b, "document.body.innerText"))
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// silent fails if the browser has complained, of what the policy forbids for instance.
func (b *browser) silent() {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.complaints {
		b.t.Errorf("the browser complains: %s", c)
	}
}

// device sets the window's size and the reader's wish of dark or light.
func device(width, height int64, scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Steps(chromedp.EmulateViewport(width, height), chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
		})
		return err
	}))
}

// open serves the stage and shows its page, at a path with a query.
func (b *browser) open(s *stage, path string) *httptest.Server {
	b.t.Helper()
	srv := httptest.NewServer(s.metrics().Handler())
	b.t.Cleanup(srv.Close)
	b.do(chromedp.Navigate(srv.URL+path), chromedp.WaitVisible("#pause"))
	return srv
}

// The page shows a change while nobody touches it, and keeps what the reader does.
func TestPageIsLive(t *testing.T) {
	t.Parallel()
	b, s := newBrowser(t), newStage(3)
	b.open(s, "/")
	b.until(`document.querySelector(".headline").innerText.includes("1 of 3 mailboxes is not watched")`)
	b.until(`document.title.startsWith("1 not watched")`)
	eval[bool](b, `window.untouched = true; document.getElementById("pause").focus(); window.row = document.querySelector("[data-key='office/INBOX']"); true`)

	s.fail(0)
	b.until(`document.querySelector(".headline").innerText.includes("2 of 3 mailboxes are not watched")`)
	b.until(`[...document.querySelectorAll("#mailboxes tbody tr")].map(r => r.dataset.key).join() === "office/INBOX,sales/INBOX,backup/INBOX"`)
	s.mend(0)
	s.mend(1)
	b.until(`document.querySelector(".headline").innerText.startsWith("All 3 mailboxes are watched")`)
	b.until(`!document.querySelector("#mailboxes .why")`)
	if !eval[bool](b, `window.untouched && window.row.isConnected && window.row.innerText.includes("watching") && document.activeElement.id === "pause"`) {
		t.Error("the page was loaded again, or lost its rows or the focus")
	}

	// Nothing changes while it is paused.
	b.do(chromedp.Click("#pause"))
	b.until(`document.getElementById("feed").innerText === "Paused"`)
	s.fail(2)
	time.Sleep(3 * time.Second) // by then it would have looked
	if got := eval[string](b, `document.querySelector(".headline").innerText`); !strings.HasPrefix(got, "All 3") {
		t.Errorf("paused, the page says %s", got)
	}
	b.do(chromedp.Click("#pause"))
	b.until(`document.querySelector(".headline").innerText.includes("1 of 3")`)
	b.silent()
}

// A page whose daemon has gone says so, and goes on when it is back.
func TestPageWithoutDaemon(t *testing.T) {
	t.Parallel()
	b, s := newBrowser(t), newStage(1)
	var gone atomic.Bool
	h := s.metrics().Handler()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if gone.Load() {
			panic(http.ErrAbortHandler)
		}
		h.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	b.do(chromedp.Navigate(srv.URL), chromedp.WaitVisible("#pause"))
	gone.Store(true)
	b.until(`document.getElementById("feed").innerText.startsWith("No answer")`)
	gone.Store(false)
	b.until(`document.getElementById("feed").innerText === "Live"`)
}

// Ten thousand connections: a page of them at a time, what is wrong first, found
// by typing, all by the keyboard.
func TestPageOfMany(t *testing.T) {
	t.Parallel()
	b, s := newBrowser(t), newStage(10_000)
	s.fail(7777)
	begun := time.Now()
	b.open(s, "/")
	t.Logf("shown after %s", time.Since(begun))
	eval[int](b, `window.longest = 0, new PerformanceObserver(l => l.getEntries().forEach(e => window.longest = Math.max(window.longest, e.duration))).observe({type: "longtask", buffered: true}), 0`)
	rows := `[...document.querySelectorAll("#mailboxes tbody tr")].map(r => r.dataset.key.split("/")[0]).join()`
	if got := eval[string](b, rows); !strings.HasPrefix(got, "customer-00001,customer-07777,customer-00002,customer-00000,") || strings.Count(got, ",") != pageLimit-1 {
		t.Errorf("rows: %s", got)
	}
	// From the top of the page to the search by Tab alone.
	for i := 0; eval[string](b, `document.activeElement.name || ""`) != "q"; i++ {
		if i > 10 {
			t.Fatal("Tab does not lead to the search")
		}
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.do(chromedp.KeyEvent("07777 box"))
	b.until(rows + ` === "customer-07777"`)
	if got := eval[string](b, `location.search + " " + document.activeElement.name + " " + document.querySelector("#mailboxes .count").innerText`); got != "?q=07777+box q 1 of 10,000" {
		t.Errorf("after the search: %s", got)
	}
	b.do(chromedp.KeyEvent(strings.Repeat(kb.Backspace, len("07777 box"))))
	b.until(rows + `.startsWith("customer-00001,customer-07777,")`)
	for i := 0; eval[string](b, `document.activeElement.dataset.key || ""`) != "next"; i++ {
		if i > 10 {
			t.Fatal("Tab does not lead to the next page")
		}
		b.do(chromedp.KeyEvent(kb.Tab))
	}
	b.do(chromedp.KeyEvent(kb.Enter))
	b.until(rows + `.startsWith("customer-00049,customer-00050,")`)
	if got := eval[string](b, `document.activeElement.id`); got != "mailboxes" {
		t.Errorf("after the next page the focus is on %q", got)
	}
	b.do(chromedp.NavigateBack())
	b.until(rows + `.startsWith("customer-00001,")`)
	eval[int](b, `document.querySelector("select[name=state]").value = "problem", document.getElementById("filter").requestSubmit(), 0`)
	b.until(rows + ` === "customer-00001,customer-07777,customer-00002"`)
	t.Logf("the page was busy for %.0f ms at most", eval[float64](b, `window.longest`))
	b.silent()
}

// Without JavaScript it is the same page, by reloads, links and a form.
func TestPageWithoutScript(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	b.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return err
	}))
	srv := httptest.NewServer(newStage(100).metrics().Handler())
	t.Cleanup(srv.Close)
	b.do(chromedp.Navigate(srv.URL+"/?state=problem"), chromedp.WaitVisible("form button"))
	text, err := chromedp.Run(b.ctx, chromedp.Text("#mailboxes"))
	if err != nil || !strings.Contains(text, "2 of 100") || !strings.Contains(text, "Next try in 11 min.") || !strings.Contains(text, "in 8 days") {
		t.Errorf("%v %s", err, text)
	}
	b.do(chromedp.Navigate(srv.URL), chromedp.Click("#mailboxes .pager a"), chromedp.WaitVisible("[data-key=previous]"))
}

// axe-core, the checker of the Web Content Accessibility Guidelines, finds nothing.
// AXE_CORE names its axe.min.js, which npm's package axe-core has.
func TestPageAccessibility(t *testing.T) {
	path := os.Getenv("AXE_CORE")
	if path == "" && os.Getenv("CI") == "true" {
		t.Fatal("AXE_CORE must name axe.min.js, of npm's package axe-core")
	}
	if path == "" {
		t.Skip("AXE_CORE does not name axe.min.js")
	}
	axe, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		connections int
		scheme      string
		width       int64
	}{{0, "dark", 390}, {3, "light", 1280}, {3, "dark", 1280}, {60, "light", 390}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			t.Parallel()
			b, s := newBrowser(t), newStage(c.connections)
			s.source.ShowSubjects = true
			b.do(device(c.width, 900, c.scheme))
			b.open(s, "/")
			eval[int](b, `document.getElementById("pause").click(), 0`) // what is looked at stays as it is
			eval[int](b, string(axe)+";0")
			found, err := chromedp.Run(b.ctx, chromedp.Evaluate[string](`axe.run().then(r =>
				r.violations.map(v => v.id + ": " + v.help + "\n" + v.nodes.map(n => "  " + n.html + "\n  " + n.failureSummary).join("\n")).join("\n") +
				(r.passes.length < 10 ? "only " + r.passes.length + " rules applied" : ""))`, chromedp.EvalAwaitPromise))
			if err != nil || found != "" {
				t.Errorf("%v\n%s", err, found)
			}
		})
	}
}

// TestScreenshots takes pictures for people, where SCREENSHOTS names a directory.
func TestScreenshots(t *testing.T) {
	dir := os.Getenv("SCREENSHOTS")
	if dir == "" {
		t.Skip("SCREENSHOTS names no directory")
	}
	for _, n := range []int{0, 3, 10_000} {
		for _, scheme := range []string{"light", "dark"} {
			for name, width := range map[string]int64{"desktop": 1280, "phone": 390} {
				b := newBrowser(t)
				b.do(device(width, 1400, scheme))
				b.open(newStage(n), "/")
				for _, section := range []string{"overview", "triggers"} {
					eval[int](b, `document.getElementById("`+section+`").scrollIntoView(), 0`)
					png, err := chromedp.Run(b.ctx, chromedp.CaptureScreenshot())
					if err != nil {
						t.Fatal(err)
					}
					file := filepath.Join(dir, fmt.Sprintf("%d-%s-%s-%s.png", n, name, scheme, section))
					if err := os.WriteFile(file, png, 0o600); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
}
