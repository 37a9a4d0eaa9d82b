package manual

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/connection/connectiontest/rigtest"
)

var built = time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)

func example(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../../../config.example.toml")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// pages writes both pages into files.
func pages(t *testing.T) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"mailtriggerd.8": Program("1.2.3", built), "mailtriggerd.toml.5": Settings(example(t), "1.2.3", built)} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// groff has nothing to complain of.
func TestPagesFormat(t *testing.T) {
	groff := rigtest.Tool(t, "groff", "groff-base")
	for _, file := range pages(t) {
		var complaints bytes.Buffer
		cmd := exec.Command(groff, "-man", "-ww", "-z", "-Tutf8", file)
		cmd.Stderr = &complaints
		if err := cmd.Run(); err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v\n%s", file, err, complaints.String())
		}
	}
}

// mandoc, which is stricter about structure, has nothing to complain of either.
func TestPagesLint(t *testing.T) {
	mandoc := rigtest.Tool(t, "mandoc", "mandoc")
	for _, file := range pages(t) {
		if out, err := exec.Command(mandoc, "-T", "lint", "-W", "warning", file).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// read returns a page as a person sees it, on one line.
func read(t *testing.T, page string) string {
	t.Helper()
	groff := rigtest.Tool(t, "groff", "groff-base")
	cmd := exec.Command(groff, "-man", "-Tutf8", "-rLL=400n", "-P-c", "-P-b", "-P-u", "-P-o")
	cmd.Stdin = strings.NewReader(page)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(strings.Fields(string(out)), " ")
}

func TestProgram(t *testing.T) {
	text := read(t, Program("1.2.3", built))
	for _, f := range Flags {
		if !strings.Contains(text, f.Call()+" "+sentence(f.Does)) {
			t.Errorf("%s is not described", f.Call())
		}
	}
	for _, c := range ExitCodes {
		if !strings.Contains(text, sentence(c.Meaning)) {
			t.Errorf("exit code %d is not described", c.Code)
		}
	}
}

// Every key of the config is in the page, and every word of the example's comments.
func TestSettings(t *testing.T) {
	source := example(t)
	text := read(t, Settings(source, "1.2.3", built))
	for _, k := range config.Keys() {
		if !strings.Contains(k.Type, "table like") && !strings.Contains(text, " "+k.Name+" = ") {
			t.Errorf("[%s] %s is not described", k.Table, k.Name)
		}
	}
	comment := regexp.MustCompile(`(?m)(?:^# |   # )(.*)$`)
	for _, m := range comment.FindAllStringSubmatch(source, -1) {
		words := strings.Join(strings.Fields(m[1]), " ")
		if strings.HasPrefix(words, "----") {
			continue
		}
		if !strings.Contains(strings.ToLower(text), strings.ToLower(words)) {
			t.Errorf("the page has not: %s", words)
		}
	}
}

func TestSplit(t *testing.T) {
	for in, want := range map[string][2]string{
		`993        # default 993`:         {"993", "default 993"},
		`"a # b"  # c "d"`:                 {`"a # b"`, `c "d"`},
		`'No\. #\' # x`:                    {`'No\. #\'`, "x"},
		`"\"#"`:                            {`"\"#"`, ""},
		`["\\Seen"]  # (a) flag: "\\Seen"`: {`["\\Seen"]`, `(a) flag: "\\Seen"`},
	} {
		if v, c := split(in); v != want[0] || c != want[1] {
			t.Errorf("%s: %q and %q", in, v, c)
		}
	}
}
