package action

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// A directory is an open one that files are placed in.
//
// A file is only as durable as the entries that lead to it. What this process has
// not yet synced itself is not believed to be: another message, or a run that was
// killed, may have made a directory a moment ago. So the parent of a directory that
// was made is synced along with the files, and that of one that was there at once,
// the first time that this process comes to it.
type directory struct {
	*os.Root
	path   string
	self   *os.File // to be synced by
	id     identity
	volume *volume

	made []*directory // those above it in which an entry was made that leads here, still open
	ways []way        // these entries
}

// A way is a directory whose own entry was made.
type way struct {
	path string
	id   identity
}

// enter opens the directory at levels below root, and makes what of it is missing. use is
// called with each directory on the way before anything is made in it.
func (d *Disk) enter(root string, levels []string, mode fs.FileMode, use func(*directory) error) (*directory, error) {
	if err := d.ensure(root, mode); err != nil {
		return nil, err
	}
	at, err := os.OpenRoot(root)
	if err != nil {
		return nil, err
	}
	dir, err := open(at, root)
	if err != nil {
		return nil, err
	}
	for _, level := range levels {
		if err := use(dir); err != nil {
			return nil, errors.Join(err, dir.Close())
		}
		if dir, err = d.descend(dir, level, mode); err != nil {
			return nil, err
		}
	}
	if err := use(dir); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return dir, nil
}

// ensure makes the root and what is above it, if it is missing.
func (d *Disk) ensure(root string, mode fs.FileMode) error {
	info, err := os.Stat(root)
	switch {
	case err == nil:
		id := identityOf(info)
		if d.knows(root, id) {
			return nil
		}
		// A parent that may not be read cannot be synced.
		if err := d.syncPath(filepath.Dir(root)); err != nil && !errors.Is(err, fs.ErrPermission) {
			return err
		}
		d.learn(root, id)
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	parent := filepath.Dir(root)
	if parent == root {
		return err
	}
	if err := d.ensure(parent, mode); err != nil {
		return err
	}
	if err := os.Mkdir(root, mode); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return d.ensure(root, mode) // another was quicker
		}
		return err
	}
	if err := os.Chmod(root, mode); err != nil { // whatever the umask
		return err
	}
	d.forget(root)
	return d.ensure(root, mode)
}

func (d *Disk) syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return d.syncFile(f)
}

// open takes over an open root.
func open(at *os.Root, path string) (*directory, error) {
	self, err := at.Open(".")
	if err != nil {
		return nil, errors.Join(err, at.Close())
	}
	info, err := self.Stat()
	if err != nil {
		return nil, errors.Join(err, self.Close(), at.Close())
	}
	return &directory{Root: at, path: path, self: self, id: identityOf(info)}, nil
}

// descend goes one level down. It closes dir, unless that is to be synced later.
func (d *Disk) descend(dir *directory, level string, mode fs.FileMode) (*directory, error) {
	next, made, err := dir.child(level, mode)
	if err == nil && !made && !d.knows(next.path, next.id) {
		if err = d.syncFile(dir.self); err == nil {
			d.learn(next.path, next.id)
		}
	}
	if err != nil {
		if next != nil {
			err = errors.Join(err, next.Close())
		}
		return nil, errors.Join(err, dir.Close())
	}
	if made {
		d.forget(next.path)
		next.made, next.ways = append(dir.made, dir), append(dir.ways, way{next.path, next.id})
		dir.made = nil
		return next, nil
	}
	next.made, next.ways = dir.made, dir.ways
	dir.made = nil
	return next, dir.Close()
}

// child opens the level, or makes it.
func (dir *directory) child(level string, mode fs.FileMode) (next *directory, made bool, err error) {
	switch err := dir.Mkdir(level, mode); {
	case err == nil:
		made = true
		if err := dir.Chmod(level, mode); err != nil { // whatever the umask
			return nil, false, err
		}
	case !errors.Is(err, fs.ErrExist):
		return nil, false, err
	}
	at, err := dir.OpenRoot(level)
	if err != nil {
		return nil, false, err
	}
	next, err = open(at, filepath.Join(dir.path, level))
	return next, made, err
}

// arrived notes that the way to the directory is durable.
func (d *Disk) arrived(dir *directory) error {
	for _, w := range dir.ways {
		d.learn(w.path, w.id)
	}
	var err error
	for _, above := range dir.made {
		err = errors.Join(err, above.Close())
	}
	dir.made, dir.ways = nil, nil
	return err
}

// Close closes the directory.
func (dir *directory) Close() error {
	err := errors.Join(dir.self.Close(), dir.Root.Close())
	for _, above := range dir.made {
		err = errors.Join(err, above.Close())
	}
	return err
}
