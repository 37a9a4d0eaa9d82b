package config

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what is said now as what is expected")

// corpus returns a private copy of the corpus: those who can read a file decide
// whether it is good, and a checkout has modes of its own.
func corpus(t testing.TB) (dir string) {
	dir = t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(testdata)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if strings.HasPrefix(d.Name(), "bad-secret-readable") {
			return os.Chmod(path, 0o644)
		}
		return os.Chmod(path, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

const testdata = "../../testdata/config"

var environment = map[string]string{"WORK_PASSWORD": "x", "B_PASSWORD": "x", "HOME": "/home/me"}

func read(dir, name string) (*Config, []Problem) {
	return Load(filepath.Join(dir, name), Options{CheckSecrets: true, Getenv: func(k string) string { return environment[k] }})
}

func TestBad(t *testing.T) {
	dir := corpus(t)
	files, _ := filepath.Glob(filepath.Join(dir, "bad-*.toml"))
	if len(files) < 40 {
		t.Fatalf("only %d files", len(files))
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(name, func(t *testing.T) {
			_, problems := read(dir, name)
			var b strings.Builder
			for _, p := range problems {
				b.WriteString(strings.ReplaceAll(p.Error(), dir+"/", "") + "\n")
			}
			said := b.String()
			if said == "" {
				t.Error("no mistake found")
			}
			if strings.Contains(said, "canary") {
				t.Errorf("a secret is shown:\n%s", said)
			}
			expected := filepath.Join(testdata, strings.TrimSuffix(name, ".toml")+".txt")
			if *update {
				if err := os.WriteFile(expected, []byte(said), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(expected)
			if err != nil {
				t.Fatal(err)
			}
			if said != string(want) {
				t.Errorf("said:\n%swant:\n%s", said, want)
			}
		})
	}
}

func TestGood(t *testing.T) {
	dir := corpus(t)
	files, _ := filepath.Glob(filepath.Join(dir, "good-*.toml"))
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, file := range files {
		_, problems := read(dir, filepath.Base(file))
		for _, p := range problems {
			t.Error(p.Error())
		}
	}
}
