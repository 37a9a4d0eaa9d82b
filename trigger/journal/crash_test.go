package journal

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// The child of the crash tests: the test binary again, doing work in a state
// directory and telling on standard output what it was promised. Each line is
// one write(2), so what the parent reads was said before the end.
const childEnv = "JOURNAL_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childEnv); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const childTrigger = "crash"

// childBody is a message's body: every third is a spool file.
func childBody(uid uint32) []byte {
	n := 100
	if uid%3 == 0 {
		n = MaxInline + int(uid)
	}
	return bytes.Repeat([]byte{byte(uid)}, n)
}

// child takes messages where the cursor says, and works on jobs as the engine does.
// It stops after rounds batches of new mail (JOURNAL_TEST_ROUNDS; 0: never).
func child(dir string) error {
	rounds := 0
	fmt.Sscan(os.Getenv("JOURNAL_TEST_ROUNDS"), &rounds)
	j, err := Open(dir, Options{FreeFloor: -1})
	if err != nil {
		return err
	}
	say := func(format string, args ...any) { os.Stdout.WriteString(fmt.Sprintf(format, args...) + "\n") }
	jobs := j.Jobs()
	for n := 0; rounds == 0 || n < rounds; n++ {
		cur, _ := j.Cursor(inbox, childTrigger)
		b := &Batch{State: map[string][]byte{"uid": fmt.Append(nil, cur.UID+3)},
			Seen: []SeenUpdate{{Mailbox: inbox, Seen: []Seen{{UID: cur.UID + 1}, {UID: cur.UID + 2}, {UID: cur.UID + 3}}}}}
		for uid := cur.UID + 1; uid <= cur.UID+3; uid++ {
			job := testJob(uid, "one", "two", "three")
			job.Trigger = childTrigger
			b.Jobs, b.Bodies = append(b.Jobs, job), append(b.Bodies, childBody(uid))
		}
		b.Cursors = []CursorUpdate{{Mailbox: inbox, Trigger: childTrigger, Cursor: Cursor{UIDValidity: 1, UID: cur.UID + 3}}}
		c := j.Accept(b)
		if n%2 == 0 {
			if err := c.Wait(bg); err != nil {
				return err
			}
			for _, job := range b.Jobs {
				say("accepted %d %d", job.Seq, job.UID)
			}
		}
		jobs = append(jobs, b.Jobs...)
		if jobs, err = childWork(j, jobs, n, say); err != nil {
			return err
		}
	}
	return j.Close()
}

// childWork acts on the jobs: some end, some fail, some die.
func childWork(j *Journal, jobs []*Job, round int, say func(string, ...any)) (left []*Job, err error) {
	for i, job := range jobs {
		for a := range job.Actions {
			if job.Actions[a].State != Waiting || (int(job.UID)+a+round)%4 == 0 {
				continue
			}
			j.Result(job.Seq, a, Result{State: Done, Saved: []string{fmt.Sprintf("/srv/%d/%d", job.UID, a)}})
			say("result %d %d", job.UID, a)
			job.Actions[a].State = Done
		}
		switch done := job.Actions[0].State == Done && job.Actions[1].State == Done && job.Actions[2].State == Done; {
		case done:
			say("removing %d", job.UID)
			j.Remove(job.Seq, &Batch{State: map[string][]byte{"last": fmt.Append(nil, job.UID)}})
		case job.UID%7 == 0 && (i+round)%3 == 0:
			if err := j.Bury(job, "seven").Wait(bg); err != nil {
				return nil, err
			}
			say("dead %d", job.UID)
		default:
			job.Actions[0].Attempt++
			if c := j.Update(job); (i+round)%2 == 0 {
				if err := c.Wait(bg); err != nil {
					return nil, err
				}
				say("attempt %d %d", job.UID, job.Actions[0].Attempt)
			}
			left = append(left, job)
		}
	}
	for _, id := range childLetters(j, round) {
		job, err := j.Unbury(id)
		if err != nil {
			return nil, err
		}
		say("unburied %d", job.UID)
		left = append(left, job)
	}
	return left, nil
}

// childLetters picks dead letters to bring back, every fifth round.
func childLetters(j *Journal, round int) (ids []string) {
	if round%5 != 4 {
		return nil
	}
	list, err := j.DeadLetters()
	if err != nil {
		return nil
	}
	for _, d := range list {
		ids = append(ids, d.ID)
	}
	return ids
}

// promised is what the children of one state directory have said.
type promised struct {
	t        *testing.T
	accepted map[uint32]bool
	removing map[uint32]bool
	results  map[uint32]map[int]bool
	attempts map[uint32]int
	dead     map[uint32]bool
	seqs     map[uint64]uint32 // sequence number to UID
}

func newPromised(t *testing.T) *promised {
	return &promised{t: t, accepted: map[uint32]bool{}, removing: map[uint32]bool{}, results: map[uint32]map[int]bool{},
		attempts: map[uint32]int{}, dead: map[uint32]bool{}, seqs: map[uint64]uint32{}}
}

func (p *promised) line(s string) {
	p.t.Helper()
	word, rest, _ := strings.Cut(s, " ")
	var a, b int
	fmt.Sscan(rest, &a, &b)
	uid := uint32(a)
	switch word {
	case "accepted":
		p.accepted[uint32(b)] = true
		p.sequence(uint64(a), uint32(b))
	case "result":
		if p.results[uid] == nil {
			p.results[uid] = map[int]bool{}
		}
		p.results[uid][b] = true
	case "removing":
		p.removing[uid] = true
	case "attempt":
		p.attempts[uid] = b
	case "dead":
		p.dead[uid] = true
	case "unburied":
		delete(p.dead, uid)
		p.attempts[uid] = 0
	default:
		p.t.Errorf("the child says %q", s)
	}
}

// sequence checks that a number was given to one message only.
func (p *promised) sequence(seq uint64, uid uint32) {
	p.t.Helper()
	if was, ok := p.seqs[seq]; ok && was != uid {
		p.t.Errorf("sequence number %d was given to %d and to %d", seq, was, uid)
	}
	p.seqs[seq] = uid
}

// kept looks at what a start finds, and compares.
func (p *promised) kept(dir string) {
	p.t.Helper()
	j, err := Open(dir, Options{FreeFloor: -1})
	if err != nil {
		p.t.Fatal(err)
	}
	defer j.Close()
	found := map[uint32]*Job{}
	isDead := map[uint32]bool{}
	put := func(job *Job, dead bool) {
		if found[job.UID] != nil {
			p.t.Errorf("message %d has two jobs", job.UID)
		}
		found[job.UID], isDead[job.UID] = job, dead
		p.sequence(job.Seq, job.UID)
		if body, err := j.Body(job); err != nil || !bytes.Equal(body, childBody(job.UID)) {
			p.t.Errorf("message %d has a body of %d bytes, %v", job.UID, len(body), err)
		}
	}
	for _, job := range j.Jobs() {
		put(job, false)
	}
	letters, err := j.DeadLetters()
	if err != nil {
		p.t.Fatal(err)
	}
	for _, d := range letters {
		put(d.Job, true)
	}
	cur, _ := j.Cursor(inbox, childTrigger)
	state, err := j.State("uid")
	if err != nil {
		p.t.Fatal(err)
	}
	if got, want := string(state["uid"]), fmt.Sprint(cur.UID); cur.UID > 0 && got != want {
		p.t.Errorf("the state says %s, the cursor %s", got, want)
	}
	seen, err := j.Seen(inbox)
	if err != nil || len(seen) != int(cur.UID) {
		p.t.Errorf("%d identities, %v, not %d", len(seen), err, cur.UID)
	}
	for i, s := range seen {
		if s.UID != uint32(i)+1 {
			p.t.Errorf("identity %d is %d", i, s.UID)
		}
	}
	for uid := uint32(1); uid <= cur.UID; uid++ {
		if found[uid] == nil && !p.removing[uid] {
			p.t.Errorf("message %d is lost: the cursor is at %d", uid, cur.UID)
		}
	}
	for uid := range p.accepted {
		if uid > cur.UID {
			p.t.Errorf("message %d was accepted, the cursor is at %d", uid, cur.UID)
		}
	}
	for uid, actions := range p.results {
		for a := range actions {
			if job := found[uid]; job != nil && (job.Actions[a].State != Done || len(job.Actions[a].Saved) != 1) {
				p.t.Errorf("message %d: the result of action %d is lost: %+v", uid, a, job.Actions[a])
			}
		}
	}
	for uid, n := range p.attempts {
		if job := found[uid]; job != nil && job.Actions[0].Attempt < n {
			p.t.Errorf("message %d: attempt %d is lost", uid, n)
		}
	}
	for uid := range p.dead {
		if found[uid] != nil && !isDead[uid] {
			// It may have been brought back right before the end.
			continue
		}
		if found[uid] == nil && !p.removing[uid] {
			p.t.Errorf("dead letter %d is lost", uid)
		}
	}
	if err := checkDB(j); err != nil {
		p.t.Error(err)
	}
}

// checkDB lets bbolt check its pages.
func checkDB(j *Journal) error {
	tx, err := j.db.Begin(false)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	for err := range tx.Check() {
		return err
	}
	return nil
}

// runChild runs one child until it has said lines lines (below 0: all it has to say), then
// kills it, and takes down everything that it said.
func runChild(t *testing.T, p *promised, dir string, lines int, env ...string) (killed bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childEnv+"="+dir)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
		s, err := r.ReadString('\n')
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		p.line(strings.TrimSuffix(s, "\n"))
	}
	err = cmd.Wait()
	if err != nil && cmd.ProcessState.ExitCode() != -1 {
		t.Fatalf("the child ended with %v", err)
	}
	return err != nil
}

// Kill -9 at any moment: nothing that was promised is lost.
func TestKill(t *testing.T) {
	kills := 40
	if testing.Short() {
		kills = 5
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	p := newPromised(t)
	for range kills {
		if !runChild(t, p, dir, rnd.IntN(150)) {
			t.Error("the child ended by itself")
		}
		if p.kept(dir); t.Failed() {
			return
		}
	}
	if len(p.accepted) == 0 || len(p.results) == 0 {
		t.Error("nothing was promised")
	}
	// And a last one that ends well.
	runChild(t, p, dir, -1, "JOURNAL_TEST_ROUNDS=3")
	p.kept(dir)
}
