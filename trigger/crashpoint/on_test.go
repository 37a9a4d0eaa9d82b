//go:build crashpoints

package crashpoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

func TestMain(m *testing.M) {
	if os.Getenv("CRASHPOINT_TEST_CHILD") != "" {
		for _, name := range []string{"a", "b", "a", "b", "c"} {
			Hit(name)
			os.Stdout.WriteString(name)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestHit(t *testing.T) {
	log := filepath.Join(t.TempDir(), "hits")
	for value, want := range map[string]string{
		"": "ababc", "a": "", "a:1": "", "a:2": "ab", "b:2": "aba", "c": "abab", "d": "ababc", "a:3": "ababc",
		"#1": "", "#4": "aba", "#6": "ababc", "log:" + log: "ababc",
	} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "CRASHPOINT_TEST_CHILD=1", Variable+"="+value)
		out, err := cmd.Output()
		if string(out) != want || (err == nil) != (want == "ababc") {
			t.Errorf("%q: got %q, %v, want %q", value, out, err, want)
		}
	}
	if b, err := os.ReadFile(log); err != nil || string(b) != "1 a\n2 b\n3 a\n4 b\n5 c\n" {
		t.Errorf("%q, %v", b, err)
	}
	for _, bad := range []string{"#", "#0", "#x", "a:", "a:0", "a:x"} {
		if _, err := parse(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}
