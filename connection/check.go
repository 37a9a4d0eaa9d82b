package connection

import (
	"context"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"

	"mailtrigger/connection/wire"
)

// A Step is one step of Check. The JSON form is that of --test-connection.
type Step struct {
	Step    string   `json:"step"` // one of the Stage constants
	OK      bool     `json:"ok"`
	Seconds float64  `json:"seconds"`
	Detail  string   `json:"detail"`            // what was found, or what failed
	Hint    string   `json:"hint"`              // what to do where it failed; may be ""
	Suggest []string `json:"suggest,omitempty"` // settings that would help or would be better, as lines of the file
}

// Check tries a connection step by step: secrets, proxy, connect, tls, greeting,
// capabilities, login, mailbox (one each; INBOX if there is none) and idle, as far
// as it gets. A mailbox may be a pattern of LIST, or a special use such as `\Archive`.
// report, which may be nil, is called with each step as it ends. The steps up to the
// login share cfg.Timeout; where a step fails for a reason that can be found out by
// asking the server in another way, that is done within a few seconds more.
//
// A refused login counts in the ledger of wrong passwords, but Check is not held
// back by it.
func (d *Dialer) Check(ctx context.Context, cfg *Config, mailboxes []string, report func(Step)) []Step {
	ctx, stop := d.bound(ctx)
	defer stop()
	c := &check{d: d, cfg: cfg, report: report}
	c.run(ctx, mailboxes)
	return c.steps
}

// check is one run of Check.
type check struct {
	d      *Dialer
	cfg    *Config
	report func(Step)
	steps  []Step
	passed atomic.Int32 // stages of the connect that have ended
}

func (c *check) add(s Step) {
	c.steps = append(c.steps, s)
	if c.report != nil {
		c.report(s)
	}
}

// step adds a step that took from started till now.
func (c *check) step(name string, started time.Time, detail string, err *Error, suggest ...string) {
	s := Step{Step: name, OK: err == nil, Seconds: seconds(time.Since(started)), Detail: detail, Suggest: suggest}
	if err != nil {
		s.Detail, s.Hint = err.Text, err.Hint
	}
	c.add(s)
}

func seconds(d time.Duration) float64 { return d.Round(time.Microsecond).Seconds() }

func (c *check) run(ctx context.Context, mailboxes []string) {
	if len(mailboxes) == 0 {
		mailboxes = []string{"INBOX"}
	}
	var s *session
	if c.connect(ctx, func(ctx context.Context, tell progress) (failed *Error) {
		s, failed = c.d.connect(ctx, c.cfg, tell)
		return failed
	}) != nil {
		return
	}
	defer s.logout()
	var found []string
	for _, name := range mailboxes {
		if isPattern(name) {
			found = append(found, c.pattern(ctx, s, name)...)
		} else if c.mailbox(ctx, s, name) {
			found = append(found, name)
		}
	}
	if !s.broken {
		c.idle(ctx, s, found)
	}
}

// connect has f connect and log in, and adds a step for each stage that f tells of.
func (c *check) connect(ctx context.Context, f func(context.Context, progress) *Error) *Error {
	connecting, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.d.Forgive(c.cfg)
	stopProbe := c.probeSilence(connecting, cancel)
	failed := f(connecting, func(stage string, took time.Duration, detail string, err *Error) {
		c.passed.Add(1)
		step := Step{Step: stage, OK: err == nil, Seconds: seconds(took), Detail: detail}
		if err != nil {
			step.Detail, step.Hint = err.Text, err.Hint
			step.Suggest = c.suggest(ctx, err)
			if hint, found := strings.CutSuffix(step.Hint, testHint); found {
				step.Hint = hint
				if len(step.Suggest) > 1 {
					step.Hint = "the server takes " + strings.Join(step.Suggest[1:], " with ")
				}
			}
		} else {
			step.Suggest = c.improve(stage, detail)
		}
		c.add(step)
	})
	stopProbe()
	return failed
}

func isPattern(name string) bool {
	return strings.ContainsAny(name, "*%") || strings.HasPrefix(name, `\`)
}

// pattern lists the mailboxes that a pattern of LIST or a special use stands for.
func (c *check) pattern(ctx context.Context, s *session, pattern string) (names []string) {
	started := time.Now()
	mb := &Mailbox{s: s}
	found, err := mb.ListMailboxes(ctx, pattern)
	if err != nil {
		c.step(StageMailbox, started, "", fail(c.cfg.Name, StageMailbox, err))
		return nil
	}
	for _, info := range found {
		names = append(names, info.Name)
	}
	c.step(StageMailbox, started, fmt.Sprintf("%s: mailboxes that match: %d", pattern, len(found)), nil)
	return names
}

// mailbox tries to select one mailbox.
func (c *check) mailbox(ctx context.Context, s *session, name string) bool {
	started := time.Now()
	mb := &Mailbox{Name: name, s: s}
	err := mb.Refresh(ctx)
	if err == nil {
		detail := fmt.Sprintf("%s: %d messages, UIDVALIDITY %d, UIDNEXT %d", name, mb.Exists, mb.UIDValidity, mb.UIDNext)
		if mb.ReadOnly {
			detail += ", read-only"
		}
		c.step(StageMailbox, started, detail, nil)
		return true
	}
	e := fail(c.cfg.Name, StageMailbox, err)
	if e.Refused && !s.broken {
		if found, err := mb.ListMailboxes(ctx, "*"); err == nil {
			names := make([]string, len(found))
			for i := range found {
				names[i] = found[i].Name
			}
			e.Hint = c.otherNames(name, names)
		}
	}
	c.step(StageMailbox, started, "", e)
	return false
}

// otherNames is a hint with the name that was meant, or with what there is.
func (c *check) otherNames(name string, names []string) string {
	if near := didYouMean(name, names); near != "" {
		return strings.TrimPrefix(near, "; ")
	}
	sort.Strings(names)
	more := ""
	if len(names) > 20 {
		more = fmt.Sprintf(" and %d more", len(names)-20)
		names = names[:20]
	}
	for i := range names {
		names[i] = oneLine(names[i])
	}
	return "there are " + strings.Join(names, ", ") + more
}

// idle tries how the server would tell of changes: NOTIFY where several mailboxes
// would share a session, else IDLE, where it has them.
func (c *check) idle(ctx context.Context, s *session, mailboxes []string) {
	started := time.Now()
	refused := ""
	if len(mailboxes) > 1 && s.has("NOTIFY") {
		said, err := c.notify(ctx, s, mailboxes)
		if err != nil || said == nil {
			c.step(StageIdle, started, "notify", err)
			return
		}
		refused = "; the server offers NOTIFY but refuses it, so that each mailbox takes a connection: " + said.Text
	}
	if !s.has("IDLE") {
		c.step(StageIdle, started, "poll"+refused, nil)
		return
	}
	if s.selected == nil && len(mailboxes) == 0 {
		return
	}
	err := s.short(ctx, func(client *imapclient.Client) error {
		idle, err := client.Idle()
		if err != nil {
			return err
		}
		if err := idle.Close(); err != nil {
			return err
		}
		return idle.Wait()
	})
	if err != nil {
		err.Stage = StageIdle
		err.Hint = "the server offers IDLE but refuses it; new mail is seen at each recheck only: lower recheck_interval"
	}
	c.step(StageIdle, started, "idle"+refused, err)
}

// notify asks the server to tell of the mailboxes; said is what it says where it
// refuses that.
func (c *check) notify(ctx context.Context, s *session, mailboxes []string) (said, failed *Error) {
	if err := s.reclaim(); err != nil {
		return nil, err
	}
	arguments := make([]string, len(mailboxes))
	for i, name := range mailboxes {
		arguments[i] = selectArgument(name, s.modern())
	}
	said, _, failed = s.notify(ctx, wire.NewRoll(), -1, wire.NotifyCommands(arguments))
	if failed != nil {
		failed.Stage = StageIdle
	}
	return said, failed
}

// improve suggests what would be better though a step worked.
func (c *check) improve(stage, detail string) []string {
	switch stage {
	case StageCapabilities:
		if c.cfg.Encryption.Protocol == ProtocolNone && slices.Contains(strings.Fields(detail), "STARTTLS") {
			return []string{fmt.Sprintf("[%s.encryption]", c.cfg.table()), `protocol = "tls"`, `mode = "explicit"  # the server offers STARTTLS`}
		}
	case StageConnect:
		if p := c.cfg.presetByAddress(); p != nil && c.cfg.Preset == "" {
			return []string{fmt.Sprintf("preset = %q", p.Name)}
		}
	}
	return nil
}
