package action

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/crashpoint"
	"mailtrigger/trigger/event"
)

// Append adds one line to a file for each event: its JSON.
//
// The line is one write at the end of the file, and synced. A line torn by a crash
// stays torn, but the next begins on a line of its own. A retry whose line is
// already among the last of the file adds none; if much has been added since, it
// does: an event is in the file at least once, and readers tell by its id and action.
type Append struct {
	Common
	File     string `toml:"file,path"`
	FileMode string `toml:"file_mode"` // octal, default 0640; of a file that is made

	mode os.FileMode
}

// appendLookBack is how much of the file, beyond the length of the line, is searched
// for a line of the same event.
const appendLookBack = 256 << 10

// SetDefaults implements Definition.
func (a *Append) SetDefaults() {
	a.Common.SetDefaults()
	setDefault(&a.FileMode, "0640")
}

// Validate implements Definition.
func (a *Append) Validate() []setting.Problem {
	problems := a.check(needs{})
	switch {
	case a.File == "":
		problems = append(problems, setting.Problem{Key: "file", Text: "say which file the lines go to"})
	case isTemplateText(a.File):
		problems = append(problems, setting.Problem{Key: "file", Text: "is fixed, so that no mail chooses where lines go; the line itself says all of the event"})
	}
	mode, err := strconv.ParseUint(a.FileMode, 8, 32)
	if err != nil || mode > 0o777 || mode&0o600 != 0o600 {
		problems = append(problems, setting.Problem{Key: "file_mode", Text: fmt.Sprintf(`%q is not a mode; write octal digits as a string, with at least 0600: "0640"`, a.FileMode)})
	}
	a.mode = os.FileMode(mode)
	return problems
}

// Describe implements Local.
func (a *Append) Describe(r *Run) (string, error) { return a.path(r.Env), nil }

func (a *Append) path(env Env) string {
	if filepath.IsAbs(a.File) {
		return filepath.Clean(a.File)
	}
	path := filepath.Join(env.BaseDir, a.File)
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// Run implements Local.
func (a *Append) Run(ctx context.Context, r *Run) Result {
	line, err := r.Event.JSON()
	if err != nil {
		return dead(fmt.Errorf("write the event as JSON: %w", err))
	}
	path := a.path(r.Env)
	unlock, err := appending.lock(ctx, path)
	if err != nil {
		return retry(fmt.Errorf("wait for %s: %w", path, err))
	}
	defer unlock()
	if err := a.append(path, append(line, '\n'), r.Event); err != nil {
		return retry(fileError("append to "+path, err))
	}
	return Result{}
}

func (a *Append) append(path string, line []byte, e *event.Event) (err error) {
	dir, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	f, made, err := a.open(dir, filepath.Base(path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return errors.New("it is no regular file")
	}
	tail := make([]byte, min(info.Size(), int64(len(line))+appendLookBack))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if holds(tail, e) {
		return nil
	}
	if len(tail) > 0 && tail[len(tail)-1] != '\n' {
		line = append([]byte{'\n'}, line...) // after a line that was torn
	}
	if n, err := f.Write(line); err != nil {
		if n > 0 { // the disk is full: take back the part that went in
			err = errors.Join(err, takeBack(f, info.Size(), int64(n)))
		}
		return err
	}
	crashpoint.Hit("action.append.written")
	if err := f.Sync(); err != nil {
		return err
	}
	if made {
		return syncRoot(dir)
	}
	return nil
}

// syncRoot makes a directory's entries durable.
func syncRoot(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	return theDisk.syncFile(f)
}

// open opens the file, which no symbolic link leads out of its directory, or makes it.
func (a *Append) open(dir *os.Root, name string) (f *os.File, made bool, err error) {
	const flags = os.O_RDWR | os.O_APPEND | syscall.O_NONBLOCK // a FIFO would hold the action up
	f, err = dir.OpenFile(name, flags, 0)
	if !errors.Is(err, os.ErrNotExist) {
		return f, false, err
	}
	f, err = dir.OpenFile(name, flags|os.O_CREATE|os.O_EXCL, a.mode)
	if errors.Is(err, os.ErrExist) { // another program was quicker
		f, err = dir.OpenFile(name, flags, 0)
		return f, false, err
	}
	if err == nil {
		err = f.Chmod(a.mode) // whatever the umask
	}
	return f, true, err
}

// takeBack cuts off what was written if nobody else has written since.
func takeBack(f *os.File, size, written int64) error {
	info, err := f.Stat()
	if err != nil || info.Size() != size+written {
		return err
	}
	return f.Truncate(size)
}

// holds reports whether a whole line of the text is of this event and action.
func holds(text []byte, e *event.Event) bool {
	id, err := json.Marshal(e.ID)
	if err != nil {
		return false
	}
	for line := range bytes.Lines(text) {
		if !bytes.HasSuffix(line, []byte("\n")) || !bytes.Contains(line, id) {
			continue
		}
		var is struct{ ID, Action string }
		if json.Unmarshal(line, &is) == nil && is.ID == e.ID && is.Action == e.Action {
			return true
		}
	}
	return false
}

// locks are one lock a name, for as long as somebody wants it.
type locks struct {
	mu   sync.Mutex
	held map[string]*lock
}

type lock struct {
	free    chan struct{} // holds one value while nobody has the lock
	wanting int
}

// appending has the files that are being appended to, by path: the look at the end
// of a file and the write that follows must not be torn apart.
var appending = locks{held: map[string]*lock{}}

// lock waits for the lock of a name until ctx ends.
func (l *locks) lock(ctx context.Context, name string) (unlock func(), err error) {
	l.mu.Lock()
	k := l.held[name]
	if k == nil {
		k = &lock{free: make(chan struct{}, 1)}
		k.free <- struct{}{}
		l.held[name] = k
	}
	k.wanting++
	l.mu.Unlock()
	leave := func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.wanting--; k.wanting == 0 {
			delete(l.held, name)
		}
	}
	select {
	case <-k.free:
		return func() { k.free <- struct{}{}; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, context.Cause(ctx)
	}
}
