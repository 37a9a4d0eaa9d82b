package action

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"mailtrigger/trigger/crashpoint"
)

// An installation places the files of one message, several in each step:
//
//  1. they are written under temporary names,
//  2. their bytes are synced, and the entries of directories that were made for them,
//  3. they get their names,
//  4. the entries of their directories are synced.
//
// Only then is any of them placed. What fails ends the installation; the files before
// the one that failed are placed all the same.
type installation struct {
	ctx    context.Context
	run    *Run
	disk   *Disk
	dirs   map[string]*directory      // open, by path
	on     []*volume                  // where they are
	taken  map[string]map[string]bool // names given to files of this message, by directory
	batch  []*file                    // written, not placed
	failed *file                      // the first that could not be placed
	err    error                      // why
}

// maxBatch is how many files of a message are open at once.
const maxBatch = 8

func newInstallation(ctx context.Context, r *Run) *installation {
	in := &installation{ctx: ctx, run: r, disk: r.Env.Disk, dirs: make(map[string]*directory), taken: make(map[string]map[string]bool)}
	if in.disk == nil {
		in.disk = &theDisk
	}
	return in
}

// add writes a file, and places those before it if it cannot be placed together with them.
// It reports false once something has failed.
func (in *installation) add(f *file) bool {
	if len(in.batch) == maxBatch || in.hasTwin(f) {
		in.place()
	}
	if in.err == nil {
		in.fail(f, in.prepare(f))
	}
	return in.err == nil
}

// finish places what is left, and returns the first file that failed and why; nil if none did.
func (in *installation) finish() (failed *file, err error) {
	in.run.settling()
	in.place()
	for _, dir := range in.dirs {
		if err := dir.Close(); err != nil && in.err == nil {
			in.err = fileError("close the directory "+dir.path, err)
		}
	}
	for _, v := range in.on {
		v.release()
	}
	return in.failed, in.err
}

// use finds out which file system a directory is on.
func (in *installation) use(dir *directory) (err error) {
	for _, v := range in.on {
		if v.device == dir.id.device {
			dir.volume = v
			return nil
		}
	}
	if dir.volume, err = in.disk.use(dir); err == nil {
		in.on = append(in.on, dir.volume)
	}
	return err
}

func (in *installation) fail(f *file, err error) {
	if err != nil && in.err == nil {
		in.failed, in.err = f, err
	}
}

// hasTwin reports whether a file of the batch wants the same name: who gets it must
// be known before the other looks for one.
func (in *installation) hasTwin(f *file) bool {
	for _, b := range in.batch {
		if b.path == f.path && b.name == f.name {
			return true
		}
	}
	return false
}

// prepare writes the file, unless it is there.
func (in *installation) prepare(f *file) (err error) {
	if f.dir = in.dirs[f.path]; f.dir == nil {
		if f.dir, err = in.disk.enter(f.root, f.levels, f.directoryMode, in.use); err != nil {
			return fileError("open the directory "+f.path, err)
		}
		in.dirs[f.path] = f.dir
	}
	if in.taken[f.path] == nil {
		in.taken[f.path] = make(map[string]bool)
	}
	if f.taken = in.taken[f.path]; f.taken[f.name] {
		f.conflict = conflictNumber
	}
	if f.conflict != conflictOverwrite {
		name, free := f.find()
		if !free {
			_ = f.dir.Remove(f.tempName()) // there if the daemon died right after link
			f.made = name
			f.taken[name] = true
			in.batch = append(in.batch, f)
			return nil
		}
		if f.conflict == conflictSkip && name != f.name {
			return nil
		}
	}
	if f.temp, err = f.write(in.ctx); err != nil {
		return fileError("write "+f.name+" in "+f.path, err)
	}
	in.batch = append(in.batch, f)
	return nil
}

// place gives the files of the batch their names, all durably.
func (in *installation) place() {
	batch := in.batch
	in.batch = nil
	if len(batch) == 0 {
		return
	}
	crashpoint.Hit("action.file.unsynced")
	if err := syncBytes(batch); err != nil {
		drop(batch)
		in.fail(batch[0], fileError("write "+several(batch), err))
		return
	}
	crashpoint.Hit("action.file.written")
	for i, f := range batch {
		if err := f.giveName(); err != nil {
			in.fail(f, fileError("place "+several(batch[i:i+1]), err))
			drop(batch[i:])
			batch = batch[:i]
			break
		}
	}
	crashpoint.Hit("action.file.linked")
	if err := syncNames(batch); err != nil {
		for _, f := range batch {
			f.takeBack()
		}
		in.failed, in.err = batch[0], fileError("place "+several(batch), err)
		return
	}
	for _, f := range batch {
		f.placed = f.made != ""
	}
}

// syncBytes makes durable what the files of a batch hold, and the ways to their directories.
func syncBytes(batch []*file) (err error) {
	for v, on := range byVolume(batch) {
		var files []*os.File
		var above []*directory
		for _, f := range on {
			if f.temp != nil {
				files = append(files, f.temp.File)
			}
		}
		for _, dir := range directories(on) {
			above = append(above, dir.made...)
		}
		if len(files)+len(above) > 0 {
			err = errors.Join(err, v.sync(files, above))
		}
	}
	if err != nil {
		return err
	}
	for _, dir := range directories(batch) {
		err = errors.Join(err, dir.volume.disk.arrived(dir))
	}
	return err
}

// syncNames makes durable which names the files of a batch have.
func syncNames(batch []*file) (err error) {
	for v, on := range byVolume(batch) {
		err = errors.Join(err, v.sync(nil, directories(on)))
	}
	return err
}

func byVolume(batch []*file) map[*volume][]*file {
	m := make(map[*volume][]*file, 1)
	for _, f := range batch {
		m[f.dir.volume] = append(m[f.dir.volume], f)
	}
	return m
}

// directories lists those of the files, each once.
func directories(of []*file) (list []*directory) {
	for _, f := range of {
		if !slices.Contains(list, f.dir) {
			list = append(list, f.dir)
		}
	}
	return list
}

// drop does away with files that get no name.
func drop(batch []*file) {
	for _, f := range batch {
		if f.temp != nil {
			f.temp.drop()
		}
	}
}

// several names the files that an error is about.
func several(batch []*file) string {
	more := ""
	if n := len(batch) - 1; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return batch[0].name + more + " in " + batch[0].path
}
