package action

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"mailtrigger/trigger/crashpoint"
)

// tempPrefix begins the names of files that are not yet whole.
const tempPrefix = ".mailtriggerd-"

// A file is one that is to be placed.
//
// Nothing is written outside the root, whatever a name or a planted symbolic link
// says: everything goes through an os.Root. A file appears under its name whole or
// not at all: it is written under a name that begins with a dot, synced, and
// linked (or renamed, to overwrite) into place.
//
// A retry finds the file that an attempt before it made, though the record of that
// was lost: the fraction of a second of the file's time of modification is a mark
// of the event. Same bytes and same mark is the same file; the same bytes from
// another mail are another. On a file system that keeps whole seconds only, same
// bytes are enough.
type file struct {
	root     string   // absolute
	levels   []string // directories below it, each one safe
	name     string   // a safe name
	identity string   // of the event, the action and the part
	size     int64
	open     func() io.Reader

	conflict                string
	fileMode, directoryMode fs.FileMode
	// taken are the names this run gave to other parts of the same message: they
	// are numbered though the conflict should be resolved in another way.
	taken map[string]bool
}

// install places the file and returns the name it got; "" if it was skipped.
func (f *file) install(ctx context.Context) (name string, err error) {
	dir, err := f.enter()
	if err != nil {
		return "", fileError("open the directory "+filepath.Join(f.root, filepath.Join(f.levels...)), err)
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	temp := tempPrefix + hex.EncodeToString(f.digest()[:8]) + ".tmp"
	conflict := f.conflict
	if f.taken[f.name] {
		conflict = conflictNumber
	}
	if conflict != conflictOverwrite {
		name, free := f.find(dir)
		if !free {
			_ = dir.Remove(temp) // there if the daemon died right after link
			return name, nil
		}
		if conflict == conflictSkip && name != f.name {
			return "", nil
		}
	}
	if err := f.write(ctx, dir, temp); err != nil {
		_ = dir.Remove(temp)
		return "", fileError("write "+f.name+" in "+dir.Name(), err)
	}
	crashpoint.Hit("action.file.written")
	name, err = f.link(dir, temp, conflict)
	crashpoint.Hit("action.file.linked")
	if err == nil {
		err = syncDirectory(dir)
	}
	if err != nil {
		_ = dir.Remove(temp)
		return "", fileError("place "+f.name+" in "+dir.Name(), err)
	}
	return name, nil
}

// enter opens the directory, and makes what of it is missing.
func (f *file) enter() (*os.Root, error) {
	if err := f.makeRoot(); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(f.root)
	if err != nil {
		return nil, err
	}
	for _, level := range f.levels {
		next, err := f.descend(dir, level)
		if err = errors.Join(err, dir.Close()); err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

func (f *file) makeRoot() error {
	if _, err := os.Stat(f.root); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(f.root, f.directoryMode); err != nil {
		return err
	}
	return os.Chmod(f.root, f.directoryMode) // whatever the umask
}

func (f *file) descend(dir *os.Root, level string) (*os.Root, error) {
	switch err := dir.Mkdir(level, f.directoryMode); {
	case err == nil:
		if err := errors.Join(dir.Chmod(level, f.directoryMode), syncDirectory(dir)); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, err
	}
	return dir.OpenRoot(level)
}

// find returns the first name that is free, or the name under which the file
// already is.
func (f *file) find(dir *os.Root) (name string, free bool) {
	for n := range maxNumber {
		name = numbered(f.name, n)
		if f.taken[name] {
			continue
		}
		info, err := dir.Lstat(name)
		if err != nil {
			return name, true // if it is not free, link will say so
		}
		if f.same(dir, name, info) {
			return name, false
		}
	}
	return name, true
}

// same reports whether what is there under a name is this file.
func (f *file) same(dir *os.Root, name string, info fs.FileInfo) bool {
	mark := info.ModTime().Nanosecond()
	if !info.Mode().IsRegular() || info.Size() != f.size || mark != 0 && mark != f.mark() {
		return false
	}
	there, err := dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false
	}
	defer there.Close()
	return sameBytes(there, f.open())
}

func sameBytes(a, b io.Reader) bool {
	p, q := make([]byte, 32<<10), make([]byte, 32<<10)
	for {
		n, errA := io.ReadFull(a, p)
		m, errB := io.ReadFull(b, q)
		if n != m || !bytes.Equal(p[:n], q[:m]) {
			return false
		}
		if errA != nil || errB != nil {
			return n < len(p) && isEOF(errA) && isEOF(errB)
		}
	}
}

func isEOF(err error) bool { return err == io.EOF || err == io.ErrUnexpectedEOF }

func (f *file) digest() []byte {
	sum := sha256.Sum256([]byte(f.identity))
	return sum[:]
}

// mark is the fraction of a second that says whose file it is, in nanoseconds: in
// steps of 100, which is what the coarser of the file systems keep, and never 0.
func (f *file) mark() int {
	return int(binary.BigEndian.Uint64(f.digest()[8:])%9_999_999+1) * 100
}

// write makes the file under a temporary name. The name is always the same for the
// same file, so that one which a crash left behind is replaced.
func (f *file) write(ctx context.Context, dir *os.Root, temp string) (err error) {
	if err := dir.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	n, err := io.Copy(w, untilEnd{ctx, f.open()})
	if err != nil {
		return err
	}
	if n != f.size {
		return fmt.Errorf("%d bytes came of %d", n, f.size)
	}
	if err := w.Chmod(f.fileMode); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	at := time.Now().Truncate(time.Second).Add(time.Duration(f.mark()))
	if err := dir.Chtimes(temp, at, at); err != nil {
		return err
	}
	return w.Sync()
}

// link gives the temporary file its name.
func (f *file) link(dir *os.Root, temp, conflict string) (string, error) {
	if conflict == conflictOverwrite {
		return f.name, dir.Rename(temp, f.name)
	}
	for n := range maxNumber {
		name := numbered(f.name, n)
		if f.taken[name] {
			continue
		}
		err := linkNew(dir, temp, name)
		if err == nil {
			return name, nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		if conflict == conflictSkip {
			return "", dir.Remove(temp)
		}
	}
	return "", fmt.Errorf("there are %d files of this name", maxNumber)
}

// linkNew moves temp to name, which must be free.
func linkNew(dir *os.Root, temp, name string) error {
	err := dir.Link(temp, name)
	if err == nil {
		crashpoint.Hit("action.file.named")
		return dir.Remove(temp)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	// A file system without hard links: take the name, then replace what took it.
	f, err := dir.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), dir.Rename(temp, name))
}

// syncDirectory makes the directory's entries durable, where the file system can.
func syncDirectory(dir *os.Root) error {
	f, err := dir.Open(".")
	if err != nil {
		return err
	}
	defer f.Close()
	err = f.Sync()
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return err
}

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

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
