package action

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// How a command is ended.
var (
	killGrace   = 5 * time.Second       // from the polite signal to the one that cannot be refused
	groupLookup = 50 * time.Millisecond // how often it is looked whether its group is gone
)

// A process is one run of a command, as a careful service manager does it.
//
//   - It leads a process group of its own, and has no terminal: the whole group is ended
//     when its time is up.
//   - Standard input is a file that has no name. It is there whole before
//     the command starts: nothing that happens to the daemon can cut it, and a
//     command that does not read it disturbs nobody.
//   - Standard output and error are one pipe, read to its end whatever its length; the
//     beginning and the end are kept. When the command has ended, what it
//     left running in the background is let be, but its output is no longer read.
//   - No other descriptor is inherited.
type process struct {
	argv      []string
	env       []string
	directory string // "" is the daemon's own
	stdin     []byte // nil is none
	baseDir   string // what a relative program is relative to
	tempDir   string
	begun     func() // called once the command runs
}

// run makes one attempt.
func (p *process) run(ctx context.Context) Result {
	if ctx.Err() != nil {
		return retry(fmt.Errorf("%s was not started: %w", p.argv[0], context.Cause(ctx)))
	}
	program, err := p.program()
	if err != nil {
		return retry(err)
	}
	stdin, err := p.openStdin()
	if err != nil {
		return retry(fmt.Errorf("write the standard input of %s: %w", p.argv[0], err))
	}
	c, err := p.start(program, stdin)
	stdin.Close()
	if err != nil {
		return p.startError(err)
	}
	p.begun()
	select {
	case <-c.ended:
	case <-ctx.Done():
		how := endGroup(c.process.Pid, c.ended)
		return Result{Outcome: Retry, Output: c.output.Bytes(), Err: fmt.Errorf("%s %s: %w", p.argv[0], how, p.cause(ctx))}
	}
	result := p.verdict(c.state, c.err)
	result.Output = c.output.Bytes()
	return result
}

func (p *process) cause(ctx context.Context) error {
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("its time was up: %w; raise timeout if it needs longer", err)
	}
	return err
}

// verdict reads how it ended.
func (p *process) verdict(state *os.ProcessState, err error) Result {
	switch {
	case err != nil:
		return retry(fmt.Errorf("wait for %s: %w", p.argv[0], err))
	case state.Success():
		return Result{}
	case state.ExitCode() == exitDead:
		return dead(fmt.Errorf("%s exited with %d (EX_DATAERR): it will never take this", p.argv[0], exitDead))
	case state.ExitCode() < 0:
		return retry(fmt.Errorf("%s was ended: %s", p.argv[0], state))
	}
	return retry(fmt.Errorf("%s exited with %d", p.argv[0], state.ExitCode()))
}

// startError says why a command could not be started, and what to do.
func (p *process) startError(err error) Result {
	switch {
	case errors.Is(err, syscall.E2BIG):
		return dead(fmt.Errorf("%s was not started: an argument or variable is over the kernel's limit (128 KiB for one); "+
			"pass the text on standard input, or shorten it with truncate: %w", p.argv[0], err))
	case p.directory != "" && !isDirectory(p.directory):
		return retry(fmt.Errorf("%s was not started: directory %s cannot be entered; create it or change directory: %w", p.argv[0], p.directory, err))
	case errors.Is(err, fs.ErrNotExist):
		return retry(fmt.Errorf("%s was not started: the interpreter in its first line (#!) is missing: %w", p.argv[0], err))
	case errors.Is(err, syscall.ENOEXEC):
		return retry(fmt.Errorf(`%s was not started: it is no program; a script needs a first line like "#!/bin/sh": %w`, p.argv[0], err))
	case errors.Is(err, fs.ErrPermission):
		return retry(fmt.Errorf("%s was not started: the daemon's user may not run it (chmod +x, or a mount with noexec): %w", p.argv[0], err))
	}
	return retry(fmt.Errorf("%s was not started: %w", p.argv[0], err))
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// program finds the command's file: by its path, relative to the config file, or in
// the PATH that the command gets. A PATH's relative directories are passed over.
func (p *process) program() (string, error) {
	name := p.argv[0]
	if strings.ContainsRune(name, filepath.Separator) {
		path := name
		if !filepath.IsAbs(path) {
			path = filepath.Join(p.baseDir, path)
		}
		if !filepath.IsAbs(path) { // relative to the daemon's directory, not to the command's
			if abs, err := filepath.Abs(path); err == nil {
				path = abs
			}
		}
		return path, checkProgram(path)
	}
	var searched string
	for _, v := range p.env {
		if list, ok := strings.CutPrefix(v, "PATH="); ok {
			searched = list
		}
	}
	var denied error
	for _, dir := range filepath.SplitList(searched) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		err := checkProgram(path)
		if err == nil {
			return path, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", fmt.Errorf("command %s not found in PATH (%s); install it, or write its full path", name, searched)
}

// checkProgram tells a file that can be run from one that cannot.
func checkProgram(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("command %s not found; install it, or correct the path: %w", path, err)
	case err != nil:
		return fmt.Errorf("command %s cannot be reached: %w", path, err)
	case info.IsDir():
		return fmt.Errorf("command %s is a directory", path)
	case !executable(info):
		return fmt.Errorf("command %s is not executable; chmod +x it: %w", path, fs.ErrPermission)
	}
	return nil
}

// openStdin returns standard input, at its beginning.
func (p *process) openStdin() (*os.File, error) {
	if len(p.stdin) == 0 {
		return os.Open(os.DevNull)
	}
	if len(p.stdin) <= memoryStdin {
		if f, err := memoryFile(p.stdin); err == nil {
			return f, nil
		} // an old kernel, or no room
	}
	return unlinkedFile(p.tempDir, p.stdin)
}

// unlinkedFile returns a file that holds data and has no name. (A system that
// cannot unlink an open file keeps the name until the directory is cleared.)
func unlinkedFile(dir string, data []byte) (_ *os.File, err error) {
	w, err := os.CreateTemp(dir, "stdin-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	defer os.Remove(w.Name())
	r, err := os.Open(w.Name()) // a descriptor of its own, that can only be read
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(w, bytes.NewReader(data)); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// writeNew makes a private file.
func writeNew(path string, from io.Reader) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
