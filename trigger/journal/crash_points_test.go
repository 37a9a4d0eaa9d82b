//go:build crashpoints

package journal

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailtrigger/trigger/crashpoint"
)

// The process ends at each crash point in turn: at every hit that a short life of a journal has.
func TestCrashPoints(t *testing.T) {
	log := filepath.Join(t.TempDir(), "hits")
	const rounds = "JOURNAL_TEST_ROUNDS=8"
	p := newPromised(t)
	dir := t.TempDir()
	if runChild(t, p, dir, -1, rounds, crashpoint.Variable+"=log:"+log) {
		t.Fatal("the child was killed")
	}
	p.kept(dir)
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	hits := strings.Split(strings.TrimSpace(string(b)), "\n")
	t.Logf("%d hits", len(hits))
	for _, name := range crashpoint.Names() {
		if strings.HasPrefix(name, "journal.") && !slices.ContainsFunc(hits, func(h string) bool { return strings.HasSuffix(h, " "+name) }) {
			t.Errorf("%s is never passed", name)
		}
	}
	// Groups form differently from run to run: the k-th hit need not be the same
	// point, but all are met.
	for k := 1; k <= len(hits); k++ {
		dir, p := t.TempDir(), newPromised(t)
		runChild(t, p, dir, -1, rounds, fmt.Sprintf("%s=#%d", crashpoint.Variable, k))
		p.kept(dir)
		runChild(t, p, dir, -1, rounds, fmt.Sprintf("%s=#%d", crashpoint.Variable, k/2+1))
		if p.kept(dir); t.Failed() {
			t.Fatalf("after the crash at hit %d, %s", k, hits[k-1])
		}
	}
}
