package action

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"mailtrigger/trigger/event"
)

// tree returns the files below dir with their contents, sorted: "name=content".
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		content := "(" + d.Type().String() + ")"
		if d.Type().IsRegular() {
			b, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			content = string(b)
		}
		list = append(list, name+"="+content)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(list)
	return list
}

func wantTree(t testing.TB, dir string, want ...string) {
	t.Helper()
	if got := tree(t, dir); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got files %q; want %q", got, want)
	}
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "directory")
	a := ready(t, &Save{Place: Place{Directory: dir, Subdirectory: `{{date "2006/01" .Received}}/{{.Message.Subject}}`, FileMode: "0604", DirectoryMode: "0711"}})
	r := newRun(t, mail("Subject: a/../../b", "", "x"))
	would, err := a.Describe(r)
	if err != nil {
		t.Fatal(err)
	}
	got := a.Run(t.Context(), r)
	wantDone(t, got)
	if len(got.Saved) != 1 || got.Saved[0] != would || !strings.HasSuffix(would, r.Event.ID+".eml") || !strings.HasPrefix(would, dir+"/2026/01/") ||
		strings.Count(strings.TrimPrefix(would, dir), "/") != 4 {
		t.Fatalf("saved %v; Describe %s", got.Saved, would)
	}
	b, err := os.ReadFile(would)
	if err != nil || string(b) != string(r.Event.Raw) {
		t.Errorf("content %q, %v", b, err)
	}
	for path, want := range map[string]fs.FileMode{would: 0o604, filepath.Dir(would): 0o711, dir: 0o711} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want mode %o", path, info.Mode(), err, want)
		}
	}
	// Again under the same event: the same file.
	again := a.Run(t.Context(), r)
	wantDone(t, again)
	if len(tree(t, dir)) != 1 || again.Saved[0] != would {
		t.Errorf("again: %v, %v", again.Saved, tree(t, dir))
	}
}

func TestSaveNameKey(t *testing.T) {
	for _, c := range []struct{ name, fileName, action, file string }{
		{"", "", "save", "{{.ID}}.eml"},
		{"archive", "", "archive", "{{.ID}}.eml"},
		{"{{.UID}}.eml", "", "save", "{{.UID}}.eml"},
		{"last.eml", "", "save", "last.eml"},
		{"archive", "{{.UID}}", "archive", "{{.UID}}"},
	} {
		a := &Save{Common: Common{Type: "save", Name: c.name}, Place: Place{Directory: "/x", FileName: c.fileName}}
		for range 2 { // setting the defaults twice changes nothing
			a.SetDefaults()
			if a.Name != c.action || a.FileName != c.file {
				t.Errorf("name = %q: action %q, file %q", c.name, a.Name, a.FileName)
			}
		}
	}
	list := []Definition{&Save{}, &Exec{}, &Save{}, &SaveAttachments{}, &Save{}, &Save{Common: Common{Name: "kept"}}}
	var names []string
	for _, d := range list {
		d.Base().Type = typeName(d)
		d.SetDefaults()
	}
	Distinguish(list)
	for _, d := range list {
		names = append(names, d.Base().Name)
	}
	if got := strings.Join(names, " "); got != "save exec save-2 save_attachments save-3 kept" {
		t.Errorf("names %s", got)
	}
}

func TestSaveConflict(t *testing.T) {
	for _, c := range []struct {
		conflict string
		want     []string
		named    bool
	}{
		{"number", []string{"x-1.eml=second", "x.eml=first"}, false},
		{"number", []string{"x-1.eml=second", "x.eml=first"}, true},
		{"overwrite", []string{"x.eml=second"}, true},
		{"skip", []string{"x.eml=first"}, false},
		{"skip", []string{"x.eml=first"}, true},
	} {
		dir := t.TempDir()
		a := ready(t, &Save{Common: Common{Name: "x.eml"}, Place: Place{Directory: dir, OnConflict: c.conflict}})
		for _, text := range []string{"first", "second", "second"} { // the third is a retry
			r := newRun(t, func(e *event.Event) { e.Raw, e.ID = []byte(text), "id of "+text })
			r.Key, r.Env.Disk = r.Event.ID, &Disk{named: c.named}
			got := a.Run(t.Context(), r)
			wantDone(t, got)
			if skipped := c.conflict == "skip" && text == "second"; skipped != (len(got.Saved) == 0) || skipped != (len(got.Output) > 0) {
				t.Errorf("%s: saved %v, output %q", c.conflict, got.Saved, got.Output)
			}
		}
		wantTree(t, dir, c.want...)
	}
}

// TestSaveSameBytes proves that the same bytes from another mail are another file,
// while a retry finds its own, whichever number it got.
func TestSaveSameBytes(t *testing.T) {
	dir := t.TempDir()
	a := ready(t, &Save{Common: Common{Name: "x.eml"}, Place: Place{Directory: dir}})
	for _, key := range []string{"a", "b", "c", "b", "a", "c"} {
		r := newRun(t, func(e *event.Event) { e.Raw = []byte("same") })
		r.Key = key
		got := a.Run(t.Context(), r)
		wantDone(t, got)
		if want := map[string]string{"a": "x.eml", "b": "x-1.eml", "c": "x-2.eml"}[key]; filepath.Base(got.Saved[0]) != want {
			t.Errorf("key %s saved as %s; want %s", key, got.Saved[0], want)
		}
	}
	wantTree(t, dir, "x-1.eml=same", "x-2.eml=same", "x.eml=same")
	info, err := os.Stat(filepath.Join(dir, "x.eml"))
	if err != nil || time.Since(info.ModTime()) > time.Minute || time.Since(info.ModTime()) < -2*time.Second {
		t.Errorf("time of modification %v, %v", info.ModTime(), err)
	}
}

// TestSaveWholeSeconds is a file system that drops the mark.
func TestSaveWholeSeconds(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.eml")
	a := ready(t, &Save{Common: Common{Name: "x.eml"}, Place: Place{Directory: dir}})
	r := newRun(t, func(e *event.Event) { e.Raw = []byte("same") })
	wantDone(t, a.Run(t.Context(), r))
	whole := time.Now().Truncate(time.Second)
	if err := os.Chtimes(path, whole, whole); err != nil {
		t.Fatal(err)
	}
	wantDone(t, a.Run(t.Context(), r))
	wantTree(t, dir, "x.eml=same")
}

// TestSaveSymlinks plants links and other traps in the target directory.
func TestSaveSymlinks(t *testing.T) {
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, []byte("untouched"), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := func(e *event.Event) { e.Raw = []byte("mail") }
	for _, conflict := range []string{"number", "overwrite", "skip"} {
		for _, c := range []struct {
			name string
			trap func(dir string) error
			fine bool // a link in place of the file is only a taken name
		}{
			{"file", func(dir string) error { return os.Symlink(victim, dir+"/sub/x.eml") }, true},
			{"dangling", func(dir string) error { return os.Symlink(outside+"/made", dir+"/sub/x.eml") }, true},
			{"relative", func(dir string) error { return os.Symlink("../../"+filepath.Base(outside), dir+"/sub/x.eml") }, true},
			{"directory", func(dir string) error {
				return errors.Join(os.Remove(dir+"/sub"), os.Symlink(outside, dir+"/sub"))
			}, false},
			{"fifo", func(dir string) error { return mkfifo(dir + "/sub/x.eml") }, true},
			{"temporary", func(dir string) error {
				f := file{identity: "key"}
				return os.Symlink(victim, dir+"/sub/"+tempPrefix+fmt.Sprintf("%x", f.digest()[:8])+".tmp")
			}, true},
		} {
			dir := t.TempDir()
			if err := errors.Join(os.Mkdir(dir+"/sub", 0o700), c.trap(dir)); err != nil {
				t.Fatal(err)
			}
			a := ready(t, &Save{Common: Common{Name: "x.eml"}, Place: Place{Directory: dir, Subdirectory: "sub", OnConflict: conflict}})
			r := newRun(t, raw)
			r.Key, r.Env.Disk = "key", &Disk{named: c.name == "temporary"}
			got := a.Run(within(t, 10*time.Second), r)
			if c.fine {
				wantDone(t, got)
			} else {
				wantFailure(t, got, Retry, "a symbolic link leads out of the directory")
			}
			wantTree(t, outside, "victim=untouched")
			for _, path := range got.Saved {
				if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
					t.Errorf("%s, %s: %s is %v, %v", c.name, conflict, path, info, err)
				}
			}
			for _, f := range tree(t, dir) {
				if strings.Contains(f, tempPrefix) {
					t.Errorf("%s, %s: %s is left", c.name, conflict, f)
				}
			}
		}
	}
}

func TestSaveFailures(t *testing.T) {
	if os.Getuid() == 0 {
		t.Log("running as root: what the file's mode forbids cannot be tried")
	}
	a := ready(t, &Save{Place: Place{Directory: filepath.Join("/proc", "no-such-directory")}})
	wantFailure(t, a.Run(t.Context(), newRun(t)), Retry, "open the directory /proc/no-such-directory")
	dir := t.TempDir()
	a = ready(t, &Save{Place: Place{Directory: dir}})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	wantFailure(t, a.Run(ctx, newRun(t)), Retry, "context canceled")
	wantTree(t, dir)
	wantFailure(t, a.Run(t.Context(), newRun(t, func(e *event.Event) { e.Message = nil })), Dead, "no message")
	if err := os.WriteFile(dir+"/sub", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	a = ready(t, &Save{Place: Place{Directory: dir, Subdirectory: "sub"}})
	wantFailure(t, a.Run(t.Context(), newRun(t)), Retry, "open the directory "+dir+"/sub")
}

// TestSaveAtOnce lets many events want one name at once.
func TestSaveAtOnce(t *testing.T) {
	dir := t.TempDir()
	a := ready(t, &Save{Common: Common{Name: "x.eml"}, Place: Place{Directory: dir}})
	var all sync.WaitGroup
	for i := range 30 {
		r := newRun(t, func(e *event.Event) { e.Raw = fmt.Appendf(nil, "%02d", i) })
		r.Key = string(r.Event.Raw)
		all.Go(func() {
			if got := a.Run(t.Context(), r); got.Outcome != Done {
				t.Errorf("%d: %v", i, got.Err)
			}
		})
	}
	all.Wait()
	contents := map[string]bool{}
	for _, f := range tree(t, dir) {
		_, content, _ := strings.Cut(f, "=")
		contents[content] = true
	}
	if len(contents) != 30 {
		t.Errorf("%d of 30 are there: %v", len(contents), tree(t, dir))
	}
}

func TestSaveValidate(t *testing.T) {
	for _, c := range []struct {
		place Place
		want  string
	}{
		{Place{}, "directory: say where to"},
		{Place{Directory: "/x/{{.UID}}"}, "directory: is fixed"},
		{Place{Directory: "/x", Subdirectory: "/y"}, `subdirectory: "/y" is absolute`},
		{Place{Directory: "/x", Subdirectory: "{{.Nothing}}"}, "subdirectory: template: "},
		{Place{Directory: "/x", FileName: "{{.Nothing}}"}, "name: template: "},
		{Place{Directory: "/x", FileMode: "rw"}, `file_mode: "rw" is not a mode`},
		{Place{Directory: "/x", FileMode: "4755"}, `file_mode: "4755" is not a mode`},
		{Place{Directory: "/x", DirectoryMode: "0600"}, `directory_mode: "0600" is not a mode; write octal digits as a string, with at least 0300`},
		{Place{Directory: "/x", OnConflict: "replace"}, `on_conflict: unknown on_conflict "replace"`},
	} {
		if got := strings.Join(problemsOf(&Save{Place: c.place}), "\n"); !strings.Contains(got, c.want) {
			t.Errorf("got %q; want %q", got, c.want)
		}
	}
}

func TestSaveAttachments(t *testing.T) {
	dir := t.TempDir()
	r := newRun(t, threeAttachments)
	a := ready(t, &SaveAttachments{Place: Place{Directory: dir}, Include: []string{"*.CSV", "*.pdf"}, Exclude: []string{"b*"}})
	would, err := a.Describe(r)
	if err != nil || would != dir+"/a.csv\n"+dir+"/report.pdf" {
		t.Errorf("Describe: %s, %v", would, err)
	}
	got := a.Run(t.Context(), r)
	wantDone(t, got)
	wantTree(t, dir, "a.csv=1;2", "report.pdf=%PDF-1.4")
	if strings.Join(got.Saved, "\n") != would || len(got.Paths) != 2 || got.Paths[1] != dir+"/report.pdf" {
		t.Errorf("saved %v, paths %v", got.Saved, got.Paths)
	}
	for _, m := range r.Event.Message.Attachments {
		if m.Path != "" {
			t.Errorf("the event was changed: %+v", m)
		}
	}
}

func TestSelection(t *testing.T) {
	for _, c := range []struct {
		a    SaveAttachments
		want string
	}{
		{SaveAttachments{}, "a.csv report.pdf b.csv"},
		{SaveAttachments{Types: []string{"TEXT/*"}}, "a.csv b.csv"},
		{SaveAttachments{Regex: `^[ab]\.`, MinSize: 3, MaxSize: 3}, "a.csv b.csv"},
		{SaveAttachments{MinSize: 4}, "report.pdf"},
		{SaveAttachments{Include: []string{"[!a]*.csv"}}, "b.csv"},
		{SaveAttachments{Include: []string{"?.csv"}, Exclude: []string{"B.CSV"}}, "a.csv"},
		{SaveAttachments{Include: []string{"*.docx"}}, ""},
	} {
		c.a.Directory = t.TempDir()
		a := ready(t, &c.a)
		var names []string
		for _, e := range perAttachment(newRun(t, threeAttachments).Event, &a.selection) {
			names = append(names, e.Attachment.Name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("%+v takes %q; want %q", c.a.selection, got, c.want)
		}
	}
	bad := &SaveAttachments{Place: Place{Directory: "/x"}, Regex: "(", MinSize: 2, MaxSize: 1, Include: []string{"[b-a]"}}
	if got := strings.Join(problemsOf(bad), "\n"); !strings.Contains(got, "regex: is no regular") || !strings.Contains(got, "min_size: 2B is more than max_size, 1B") || !strings.Contains(got, "include[0]: ") {
		t.Errorf("problems %s", got)
	}
}

// TestSaveAttachmentsTwins: two attachments of one name in one mail are two files,
// whatever on_conflict says of older ones; a retry makes none anew.
func TestSaveAttachmentsTwins(t *testing.T) {
	part := "--x\r\nContent-Type: text/plain\r\nContent-Disposition: attachment; filename=\"../../etc/%s\"\r\n\r\nsame\r\n"
	twins := mail("Subject: twins", "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="x"`, "",
		fmt.Sprintf(part, "n.txt")+fmt.Sprintf(part, "n.txt")+"--x--", "")
	for conflict, want := range map[string][]string{
		"number":    {"-1.txt=same", ".txt=old", "-2.txt=same"},
		"overwrite": {"-1.txt=same", ".txt=same"},
	} {
		dir := t.TempDir()
		a := ready(t, &SaveAttachments{Place: Place{Directory: dir, OnConflict: conflict}})
		r := newRun(t, twins)
		would, err := a.Describe(r)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := strings.Cut(would, "\n")
		if err := os.WriteFile(name, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		first := a.Run(t.Context(), r)
		wantDone(t, first)
		second := a.Run(t.Context(), r)
		wantDone(t, second)
		var files []string
		stem := strings.TrimSuffix(filepath.Base(name), ".txt")
		for _, f := range want {
			files = append(files, stem+f)
		}
		slices.Sort(files)
		wantTree(t, dir, files...)
		if strings.Join(first.Saved, " ") != strings.Join(second.Saved, " ") {
			t.Errorf("%s: first %v, then %v", conflict, first.Saved, second.Saved)
		}
	}
}

func TestNumbered(t *testing.T) {
	for _, c := range []struct {
		name string
		n    int
		want string
	}{
		{"a.pdf", 0, "a.pdf"}, {"a.pdf", 1, "a-1.pdf"}, {"a", 12, "a-12"}, {"a.tar.gz", 1, "a.tar-1.gz"},
		{strings.Repeat("ä", 127) + "x", 1, strings.Repeat("ä", 126) + "-1"},
	} {
		if got := numbered(c.name, c.n); got != c.want || len(got) > 255 {
			t.Errorf("numbered(%q, %d) = %q; want %q", c.name, c.n, got, c.want)
		}
	}
}

func FuzzFileName(f *testing.F) {
	for _, s := range []string{"invoice.pdf", "../../etc/passwd", "/abs", `C:\x`, "..", ".", "", ".ssh", "a/b/c", "con", "x\x00y", "\xff\xfe",
		strings.Repeat("a/", 100), strings.Repeat("ä", 300) + ".pdf", ".mailtriggerd-0123456789abcdef.tmp", "a\u202egnp.exe", "~", "-rf"} {
		f.Add(s, s)
	}
	a := ready(f, &SaveAttachments{Place: Place{Directory: "/target", Subdirectory: "mail/{{.Message.Subject}}/{{.Attachment.Name}}"}})
	f.Fuzz(func(t *testing.T, subject, name string) {
		e := event.Sample(event.KindMessage)
		e.Message.Subject = subject
		e.Attachment = &e.Message.Attachments[0]
		e.Attachment.Name = name
		levels, file, err := a.where(t.Context(), e)
		if err != nil {
			return
		}
		for _, part := range append(levels, file, numbered(file, 9999)) {
			if part == "" || part[0] == '.' || strings.ContainsAny(part, "/\\\x00") || len(part) > maxFileName || !filepath.IsLocal(part) {
				t.Fatalf("%q of %q and %q", part, subject, name)
			}
		}
		if len(levels) > 3 {
			t.Fatalf("a mail made levels: %q", levels)
		}
		if path := a.absolute(Env{}, levels, file); !strings.HasPrefix(path, "/target/mail/") {
			t.Fatalf("%q is outside", path)
		}
	})
}
