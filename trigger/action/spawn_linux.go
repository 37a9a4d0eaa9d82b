package action

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// PrepareExec makes ready what starts commands. The first command does it otherwise, and
// waits the longer for it the more descriptors are open.
func PrepareExec() { commandSpawner() }

// commandSpawner is the spawner of all commands; nil if this system allows none.
var commandSpawner = sync.OnceValue(func() *spawner {
	keepDescriptors()
	s, err := newSpawner(ownTable)
	if err != nil {
		return nil
	}
	return s
})

// startProcess is os.StartProcess, or the spawner's start where that is faster. attr.Env
// must be set, and at most maxHanded attr.Files.
func startProcess(name string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	if s := commandSpawner(); s != nil && many(attr.Files) {
		if p, err := s.start(name, argv, attr); !errors.Is(err, errNotHanded) {
			return p, err
		}
	}
	return os.StartProcess(name, argv, attr)
}

// manyDescriptors is from how many open descriptors on the detour by the spawner's thread
// is worth it. It takes 0.05 ms, and 0.2 where others want the processors; without it each
// descriptor takes 0.1 to 0.3 µs.
var manyDescriptors = 500 // tests lower it

// manySeen is whether a command was ever started with many descriptors open.
var manySeen atomic.Bool

// many reports whether many descriptors are open, to judge by files. The kernel gives the
// lowest number that is free, so as many others were open as theirs say at least. It goes
// by the most there ever were: one closed among thousands makes the next number a low one.
func many(files []*os.File) bool {
	for _, f := range files {
		if int(f.Fd()) >= manyDescriptors {
			manySeen.Store(true)
		}
	}
	return manySeen.Load()
}

// A spawner starts processes from a thread that has a descriptor table of its own, with
// hardly anything in it.
//
// clone(2) copies the table of the thread that calls it, and execve(2) closes what was
// copied: every socket of the daemon twice, while the command waits. With 9,400 connections
// that was 2.2 ms of the 4.7 from mail to action. By a spawner it is 0.2, however many there
// are (see BenchmarkRun too). And the command cannot inherit what its parent does not have.
//
// The thread belongs to a goroutine that never leaves it, and this is what keeps the
// two tables apart:
//
//   - The runtime makes no thread from it: where the goroutine is locked, another thread
//     does (newm in runtime/proc.go). It runs no other goroutine either.
//   - It may come to the runtime's poller nevertheless, when it sets a timer or ends a
//     collection. The poller's descriptors have the same numbers in both tables.
//   - It is not the process's first thread. /proc/self/fd is that one's table, and who
//     looks there means the daemon's.
//   - Nothing else is in the table. A copy of a socket would keep the connection open that
//     the daemon has closed, and one of a lock file the lock.
//
// What a command is to have as 0, 1 and 2 reaches the table by SCM_RIGHTS (unix(7)), and
// is closed there before start returns. It is safe for concurrent use; as syscall.ForkExec
// lets one fork at a time, so does this.
type spawner struct {
	calls   chan func() // what the thread is to do next
	receive int         // end of a socket, in the thread's table

	mu    sync.Mutex // held while the thread is called
	send  int        // the other end, in the daemon's table
	count uint64     // messages sent
}

const maxHanded = 3 // descriptors of a command

// errNotHanded is the error of start if the thread did not get the descriptors: nothing
// was started then.
var errNotHanded = errors.New("the descriptors were not handed over")

// newSpawner starts the thread and calls table in it, which is ownTable.
func newSpawner(table func(keep int) error) (*spawner, error) {
	// Both have to be there before the tables part: the runtime's poller, of which this is
	// the first use perhaps, and os's test of pidfds, which forks.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Release()
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	s := &spawner{calls: make(chan func()), send: pair[0], receive: pair[1]}
	made := make(chan error)
	go s.serve(table, made)
	err = <-made
	unix.Close(pair[1]) // the thread has its own
	if err != nil {
		unix.Close(pair[0])
		return nil, err
	}
	return s, nil
}

// close ends the thread.
func (s *spawner) close() {
	close(s.calls)
	unix.Close(s.send)
}

// serve is the thread.
func (s *spawner) serve(table func(keep int) error, made chan<- error) {
	runtime.LockOSThread()
	if unix.Gettid() == unix.Getpid() { // the first thread: it stays ours until another is found
		other := make(chan error)
		go s.serve(table, other)
		made <- <-other
		runtime.UnlockOSThread()
		return
	}
	err := table(s.receive)
	made <- err
	if err != nil {
		return // locked, so the thread ends, and with it its table
	}
	for call := range s.calls {
		call()
	}
}

// call runs f in the thread. s.mu is held.
func (s *spawner) call(f func()) {
	done := make(chan struct{})
	s.calls <- func() { defer close(done); f() }
	<-done
}

// start is os.StartProcess.
func (s *spawner) start(name string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	pid, err := s.fork(name, argv, attr)
	switch {
	case errors.Is(err, errNotHanded):
		return nil, err
	case err != nil:
		return nil, &os.PathError{Op: "fork/exec", Path: name, Err: err}
	}
	return os.FindProcess(pid) // its number cannot be another's before it is waited for
}

func (s *spawner) fork(name string, argv []string, attr *os.ProcAttr) (pid int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.hand(attr.Files); err != nil {
		return 0, err
	}
	s.call(func() {
		var fds []int
		fds, err = s.take()
		defer closeAll(fds)
		if err != nil {
			return
		}
		files := make([]uintptr, len(fds))
		for i, fd := range fds {
			files[i] = uintptr(fd)
		}
		pid, err = syscall.ForkExec(name, argv, &syscall.ProcAttr{Dir: attr.Dir, Env: attr.Env, Files: files, Sys: attr.Sys})
	})
	return pid, err
}

// hand sends files to the thread, under a new number.
func (s *spawner) hand(files []*os.File) error {
	fds := make([]int, len(files))
	for i, f := range files {
		fds[i] = int(f.Fd())
	}
	s.count++
	err := unix.Sendmsg(s.send, binary.NativeEndian.AppendUint64(nil, s.count), unix.UnixRights(fds...), nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
	runtime.KeepAlive(files)
	if err != nil {
		return fmt.Errorf("%w: sendmsg: %w", errNotHanded, err)
	}
	return nil
}

// take receives in the thread what hand has sent last. What a call before it that failed
// has left behind is closed.
func (s *spawner) take() ([]int, error) {
	for {
		number := make([]byte, 8)
		control := make([]byte, unix.CmsgSpace(4*maxHanded))
		n, controls, flags, _, err := unix.Recvmsg(s.receive, number, control, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		if err != nil {
			return nil, fmt.Errorf("%w: recvmsg: %w", errNotHanded, err)
		}
		if n == 0 {
			return nil, fmt.Errorf("%w: the socket was closed", errNotHanded)
		}
		fds, err := descriptors(control[:controls])
		if err == nil && flags&unix.MSG_CTRUNC == 0 && binary.NativeEndian.Uint64(number) == s.count {
			return fds, nil
		}
		closeAll(fds)
	}
}

// descriptors reads a message's SCM_RIGHTS.
func descriptors(control []byte) ([]int, error) {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil, err
	}
	if len(messages) != 1 {
		return nil, fmt.Errorf("%d control messages", len(messages))
	}
	return unix.ParseUnixRights(&messages[0])
}

// ownTable gives the calling thread a descriptor table of its own, which holds 0, 1, 2,
// keep and the descriptors of the runtime's poller. Another poller's of the process are
// there too: they look the same, and do no harm. On an error nothing has been closed.
func ownTable(keep int) error {
	// Only to unshare the table: nothing is in the range. A container may refuse
	// unshare(2), whatever it is for, and a kernel before 5.9 does not have this.
	if unix.CloseRange(math.MaxUint32, math.MaxUint32, unix.CLOSE_RANGE_UNSHARE) != nil {
		if err := unix.Unshare(unix.CLONE_FILES); err != nil {
			return os.NewSyscallError("unshare", err)
		}
	}
	const dir = "/proc/thread-self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	pollers, events := 0, 0
	var rest []int
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			return err
		}
		if fd <= 2 || fd == keep {
			continue
		}
		is, err := os.Readlink(dir + "/" + e.Name())
		switch {
		case errors.Is(err, os.ErrNotExist): // dir's own, of a moment ago
		case err != nil:
			return err
		case is == "anon_inode:[eventpoll]":
			pollers++
		case is == "anon_inode:[eventfd]":
			events++
		default:
			rest = append(rest, fd)
		}
	}
	if pollers == 0 || events == 0 {
		return errors.New("the runtime's poller was not found")
	}
	closeAll(rest)
	return nil
}

func closeAll(fds []int) {
	for _, fd := range fds {
		unix.Close(fd)
	}
}
