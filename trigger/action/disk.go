package action

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Disk makes files durable, those of many messages by few syncs. The zero Disk is
// ready; it is safe for concurrent use.
//
// A sync costs the disk a write of its own and a flush, whatever it is of, and the
// processor several changes of threads. What is asked for while one is under way
// waits and goes together into the next: a lone sync begins at once, many share.
// How a group is synced depends on its size:
//
//   - Up to wholeFrom files: each with fsync(2), side by side, a directory that
//     several messages want once.
//   - More: the whole file system with one syncfs(2), where the system says that it
//     reports every failed write by it (see canSyncWhole). It waits for what other
//     programs have written there too; where that takes long it is not used for a
//     while.
//
// Measured with 32 messages at a time, each a file in one directory and one in a new
// directory of its own, on two cores: by groups of fsyncs 2,400 to 3,600 messages/s
// and 290 µs of CPU a message, by groups of syncfs 5,900 and 180, with no sync at all
// 13,000 and 130. On an ext4 with a journal (the first has none), in a file: 1,800 and 340,
// 2,600 and 220. One message at a time is faster by fsync: 580 against 370.
//
// After a failed sync the system may count as written what is not on the disk, and
// says so once. So an error of a whole file system reaches all who have written to
// it and are not durable yet, not only those who waited: what they do is done again
// from the beginning.
type Disk struct {
	// How it is done. nil is the system's way; tests put another in its place.
	SyncFile  func(f *os.File) error // makes one file durable, or the entries of one directory
	SyncWhole func(f *os.File) error // makes all of the file system durable that f is on

	// Tests set these too.
	wholeFrom int  // 0: the constant
	named     bool // files that are written have temporary names, as where the system cannot do without

	mu      sync.Mutex
	volumes map[uint64]*volume  // those in use, by device
	known   map[string]identity // directories whose own entries are durable, by path
}

// theDisk is the one of this process.
var theDisk Disk

const (
	wholeFrom  = 5                      // files from which on one sync of all is the cheaper one
	wholeSlow  = 250 * time.Millisecond // a sync of all that takes longer waits for other programs ...
	wholePause = 10 * time.Second       // ... and is not used for so long
	gatherFor  = time.Millisecond       // how long a sync waits for company that is under way
	syncers    = 16                     // fsyncs side by side
	maxKnown   = 1000
)

// A volume is a file system to which somebody writes.
type volume struct {
	disk   *Disk
	device uint64
	whole  *os.File // opened before any of its users wrote: it will be told of each failed write; nil: no SyncWhole

	// Guarded by disk.mu.
	users   int   // messages
	failed  error // what is written there is in doubt
	next    []*syncing
	working bool

	gathered chan struct{} // told once enough wait

	slowUntil time.Time // the worker's
}

// syncing is what one caller waits for.
type syncing struct {
	files []*os.File
	dirs  []*directory
	err   error
	done  chan struct{}
}

// use returns the file system that a directory is on, for one message. It is called
// before anything is written there that is to be synced; release is to be called in the end.
func (d *Disk) use(dir *directory) (*volume, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v := d.volumes[dir.id.device]
	if v == nil {
		v = &volume{disk: d, device: dir.id.device, gathered: make(chan struct{}, 1)}
		if canSyncWhole(dir.self) || d.SyncWhole != nil {
			var err error
			if v.whole, err = dir.Open("."); err != nil {
				return nil, err
			}
		}
		if d.volumes == nil {
			d.volumes = make(map[uint64]*volume)
		}
		d.volumes[v.device] = v
	}
	v.users++
	return v, nil
}

func (v *volume) release() {
	d := v.disk
	d.mu.Lock()
	defer d.mu.Unlock()
	if v.users--; v.users > 0 {
		return
	}
	v.forget()
	if v.whole != nil {
		_ = v.whole.Close()
	}
}

// forget has the next user begin with another volume. disk.mu is held.
func (v *volume) forget() {
	if v.disk.volumes[v.device] == v {
		delete(v.disk.volumes, v.device)
	}
}

// sync returns once the files and the entries of the directories are durable. After an
// error none of them is to be taken as durable, nor by another sync.
func (v *volume) sync(files []*os.File, dirs []*directory) error {
	s := &syncing{files: files, dirs: dirs, done: make(chan struct{})}
	v.disk.mu.Lock()
	if v.failed != nil {
		defer v.disk.mu.Unlock()
		return v.failed
	}
	v.next = append(v.next, s)
	switch {
	case !v.working:
		v.working = true
		go v.work()
	case v.enough():
		select {
		case v.gathered <- struct{}{}:
		default:
		}
	}
	v.disk.mu.Unlock()
	<-s.done
	return s.err
}

// work syncs one group after the other until nobody waits.
func (v *volume) work() {
	for {
		v.gather()
		v.disk.mu.Lock()
		group := v.next
		v.next = nil
		if len(group) == 0 || v.failed != nil {
			v.working = false
			v.end(group, v.failed)
			v.disk.mu.Unlock()
			return
		}
		v.disk.mu.Unlock()
		list := distinct(group)
		if v.whole != nil && len(list) >= cmp.Or(v.disk.wholeFrom, wholeFrom) && time.Now().After(v.slowUntil) {
			v.syncWhole(group)
		} else {
			v.syncEach(list)
			v.end(group, nil)
		}
	}
}

// gather waits a moment while most of those who write have not yet come to their sync.
func (v *volume) gather() {
	v.disk.mu.Lock()
	enough := v.enough()
	select {
	case <-v.gathered: // of an earlier group
	default:
	}
	v.disk.mu.Unlock()
	if enough {
		return
	}
	late := time.NewTimer(gatherFor)
	defer late.Stop()
	select {
	case <-v.gathered:
	case <-late.C:
	}
}

// enough reports whether a sync is worth its while, or nobody waits. disk.mu is held.
func (v *volume) enough() bool {
	return len(v.next) == 0 || len(v.next) >= v.users*2/3
}

func (v *volume) end(group []*syncing, err error) {
	for _, s := range group {
		s.err = errors.Join(s.err, err)
		close(s.done)
	}
}

func (v *volume) syncWhole(group []*syncing) {
	sync := syncWhole
	if v.disk.SyncWhole != nil {
		sync = v.disk.SyncWhole
	}
	start := time.Now()
	err := sync(v.whole)
	if time.Since(start) > wholeSlow {
		v.slowUntil = time.Now().Add(wholePause)
	}
	if err != nil {
		err = &fs.PathError{Op: "sync the file system of", Path: v.whole.Name(), Err: err}
		v.disk.mu.Lock()
		v.failed = err
		v.forget()
		v.disk.mu.Unlock()
	}
	v.end(group, err)
}

// A synced is a file, or a directory, and who wants it durable.
type synced struct {
	file *os.File
	by   []*syncing
	err  error
}

// distinct lists what a group wants synced, each directory once.
func distinct(group []*syncing) []*synced {
	var list []*synced
	dirs := make(map[identity]*synced)
	for _, s := range group {
		for _, f := range s.files {
			list = append(list, &synced{file: f, by: []*syncing{s}})
		}
		for _, dir := range s.dirs {
			y := dirs[dir.id]
			if y == nil || !dir.id.known() {
				y = &synced{file: dir.self}
				dirs[dir.id] = y
				list = append(list, y)
			}
			y.by = append(y.by, s)
		}
	}
	return list
}

// syncEach syncs one by one, several side by side. An error is that of those who
// wanted this file.
func (v *volume) syncEach(list []*synced) {
	if len(list) == 1 {
		list[0].err = v.disk.syncFile(list[0].file)
	} else {
		var all sync.WaitGroup
		places := make(chan struct{}, syncers)
		for _, y := range list {
			places <- struct{}{}
			all.Go(func() {
				y.err = v.disk.syncFile(y.file)
				<-places
			})
		}
		all.Wait()
	}
	for _, y := range list {
		for _, s := range y.by {
			s.err = errors.Join(s.err, y.err)
		}
	}
}

// syncFile syncs one file, or one directory where the file system can.
func (d *Disk) syncFile(f *os.File) error {
	sync := (*os.File).Sync
	if d.SyncFile != nil {
		sync = d.SyncFile
	}
	err := sync(f)
	if errors.Is(err, errors.ErrUnsupported) || errors.Is(err, syscall.EINVAL) {
		if info, e := f.Stat(); e == nil && info.IsDir() {
			return nil
		}
	}
	return err
}

// knows reports whether this process has made durable that the directory is there.
func (d *Disk) knows(path string, id identity) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, ok := d.known[path]
	return ok && known == id && id.known()
}

// learn notes that it has.
func (d *Disk) learn(path string, id identity) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known == nil || len(d.known) >= maxKnown {
		d.known = make(map[string]identity)
	}
	d.known[path] = id
}

// forget is called when the directory was made anew, even with the identity of an old one.
func (d *Disk) forget(path string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, path)
}

// An identity tells a file from all others that are there at the same time. The zero
// identity is one that the system does not tell.
type identity struct{ device, inode uint64 }

func (i identity) known() bool { return i != identity{} }
