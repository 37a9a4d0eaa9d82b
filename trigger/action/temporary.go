package action

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"
	"time"

	"mailtrigger/trigger/crashpoint"
)

// tempPrefix begins the names of files that are not yet whole.
const tempPrefix = ".mailtriggerd-"

// A temporary is a file that is written and does not have its name yet. Where the
// system can, it has none at all (see unnamed): one that a crash leaves vanishes then.
type temporary struct {
	*os.File
	dir  *directory
	name string // "": none
}

// write makes the file.
func (f *file) write(ctx context.Context) (t *temporary, err error) {
	if t, err = f.create(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			t.drop()
			t = nil
		}
	}()
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	n, err := io.CopyBuffer(onlyWriter{t.File}, untilEnd{ctx, f.open()}, *buffer)
	if err != nil {
		return t, err
	}
	if n != f.size {
		return t, fmt.Errorf("%d bytes came of %d", n, f.size)
	}
	if err := t.Chmod(f.fileMode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return t, err
	}
	return t, t.setTime(time.Now().Truncate(time.Second).Add(time.Duration(f.mark())))
}

// create makes the file without a name, or under a temporary one. That is always the
// same for the same file, so that one which a crash left behind is replaced.
func (f *file) create() (*temporary, error) {
	if f.conflict != conflictOverwrite && !f.dir.volume.disk.named { // a rename needs a name
		if w := unnamed(f.dir); w != nil {
			return &temporary{w, f.dir, ""}, nil
		}
	}
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	name := f.tempName()
	w, err := f.dir.OpenFile(name, flags, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if err = f.dir.Remove(name); err == nil {
			w, err = f.dir.OpenFile(name, flags, 0o600)
		}
	}
	if err != nil {
		return nil, err
	}
	return &temporary{w, f.dir, name}, nil
}

func (f *file) tempName() string { return tempPrefix + hex.EncodeToString(f.digest()[:8]) + ".tmp" }

func (t *temporary) setTime(at time.Time) error {
	if t.name == "" {
		return setTime(t.File, at)
	}
	return t.dir.Chtimes(t.name, at, at)
}

// link gives the file a name that must be free.
func (t *temporary) link(name string) error {
	if t.name == "" {
		if err := linkUnnamed(t.File, t.dir, name); err != nil {
			return err
		}
		return t.Close()
	}
	err := t.dir.Link(t.name, name)
	if err == nil {
		crashpoint.Hit("action.file.named")
		return errors.Join(t.dir.Remove(t.name), t.Close())
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without hard links: take the name, then replace what took it.
	w, err := t.dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(w.Close(), t.rename(name))
}

// rename gives the file a name, whatever has it.
func (t *temporary) rename(name string) error {
	return errors.Join(t.dir.Rename(t.name, name), t.Close())
}

// drop does away with the file.
func (t *temporary) drop() {
	_ = t.Close()
	if t.name != "" {
		_ = t.dir.Remove(t.name)
	}
}

// buffers are for copying. One of its own for each file would be as much garbage as the
// files of small mail are large.
var buffers = sync.Pool{New: func() any { b := make([]byte, 32<<10); return &b }}

// onlyWriter is a writer that copies with the buffer it is given.
type onlyWriter struct{ io.Writer }

// untilEnd is a reader that stops when ctx ends.
type untilEnd struct {
	ctx context.Context
	r   io.Reader
}

func (u untilEnd) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}
