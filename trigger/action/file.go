package action

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// A file is one that is to be placed.
//
// Nothing is written outside the root, whatever a name or a planted symbolic link
// says: every directory is opened through an os.Root. A file appears under its name
// whole or not at all: it is written without a name, or under one that begins with a
// dot, synced, and linked (or renamed, to overwrite) into place.
//
// A retry finds the file that an attempt before it made, though the record of that
// was lost: the fraction of a second of the file's time of modification is a mark
// of the event. Same bytes and same mark is the same file; the same bytes from
// another mail are another. On a file system that keeps whole seconds only, same
// bytes are enough.
type file struct {
	root     string   // absolute
	levels   []string // directories below it, each one safe
	path     string   // of the directory
	name     string   // a safe name
	identity string   // of the event, the action and the part
	size     int64
	open     func() io.Reader

	conflict                string
	fileMode, directoryMode fs.FileMode

	// What its installation finds out.
	dir    *directory
	taken  map[string]bool // names of other files of the same message in dir: not free, whatever conflict says
	temp   *temporary      // nil: it was there
	made   string          // the name it got; "" if it is skipped
	placed bool            // durably
}

// find returns the first name that is free, or the name under which the file
// already is.
func (f *file) find() (name string, free bool) {
	for n := range maxNumber {
		name = numbered(f.name, n)
		if f.taken[name] {
			continue
		}
		info, err := f.dir.Lstat(name)
		if err != nil {
			return name, true // if it is not free, link will say so
		}
		if f.same(name, info) {
			return name, false
		}
	}
	return name, true
}

// same reports whether what is there under a name is this file.
func (f *file) same(name string, info fs.FileInfo) bool {
	mark := info.ModTime().Nanosecond()
	if !info.Mode().IsRegular() || info.Size() != f.size || mark != 0 && mark != f.mark() {
		return false
	}
	there, err := f.dir.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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

// giveName gives the file that is written its name.
func (f *file) giveName() error {
	if f.temp == nil {
		return nil
	}
	if f.conflict == conflictOverwrite {
		f.made = f.name
		f.taken[f.name] = true
		return f.temp.rename(f.name)
	}
	for n := range maxNumber {
		name := numbered(f.name, n)
		if f.taken[name] {
			continue
		}
		err := f.temp.link(name)
		if err == nil {
			f.made = name
			f.taken[name] = true
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
		if f.conflict == conflictSkip {
			f.temp.drop()
			return nil
		}
	}
	return fmt.Errorf("there are %d files of this name", maxNumber)
}

// takeBack takes the name away again: that it has it may not be on the disk, and the
// next attempt, which would find the file, could not know.
func (f *file) takeBack() {
	if f.temp != nil && f.made != "" && f.conflict != conflictOverwrite {
		_ = f.dir.Remove(f.made)
	}
	f.made = ""
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func isReadOnly(err error) bool { return errors.Is(err, syscall.EROFS) }
