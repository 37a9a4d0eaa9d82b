package journal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
)

// files is what the journal does to the disk. Tests put errors in its place.
type files struct {
	openDB   func(path string, o *bolt.Options) (*bolt.DB, error)
	commit   func(tx *bolt.Tx) error
	write    func(f *os.File, p []byte) (int, error)               // spool files
	writeAt  func(f *os.File, p []byte, off int64) (int, error)    // results.log
	truncate func(f *os.File, size int64) error                    // results.log
	sync     func(f *os.File) error                                // spool files, directories
	rename   func(from, to string) error                           // spool files
	free     func(dir string) (bytes int64, known bool, err error) // free disk space for an ordinary user
}

func osFiles() files {
	return files{
		openDB:   func(path string, o *bolt.Options) (*bolt.DB, error) { return bolt.Open(path, 0o600, o) },
		commit:   (*bolt.Tx).Commit,
		write:    (*os.File).Write,
		writeAt:  (*os.File).WriteAt,
		truncate: (*os.File).Truncate,
		sync:     (*os.File).Sync,
		rename:   os.Rename,
		free:     freeSpace,
	}
}

// boltOptions: the freelist is not written with each commit (it is found again by
// the walk over the pages at the start) and is kept as a map.
func boltOptions(readOnly bool) *bolt.Options {
	return &bolt.Options{
		Timeout:         500 * time.Millisecond,
		NoFreelistSync:  true,
		FreelistType:    bolt.FreelistMapType,
		InitialMmapSize: 64 << 20, // addresses only: fewer remaps, which wait for readers
		NoStatistics:    true,
		ReadOnly:        readOnly,
	}
}

// syncDir makes what was named in a directory durable.
func (f *files) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return f.sync(d)
}

// isFull says whether an error means that there is no room, now: the write it comes from
// may succeed later. A failed sync is never that, whatever its errno: what was
// written before it may be gone from the cache without being on the disk. bbolt
// returns a failed fdatasync as a bare errno, a failed write as a *fs.PathError,
// and flattens the errors of growing the file into text.
func isFull(err error) bool {
	if err == nil {
		return false
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Op != "sync" && noRoom(path.Err)
	}
	text := err.Error()
	return strings.HasPrefix(text, "file resize error:") &&
		(strings.HasSuffix(text, syscall.ENOSPC.Error()) || strings.HasSuffix(text, syscall.EDQUOT.Error()))
}

func noRoom(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// The names in the state directory.
func dbPath(dir string) string      { return filepath.Join(dir, "journal.db") }
func resultsPath(dir string) string { return filepath.Join(dir, "results.log") }
func spoolPath(dir string) string   { return filepath.Join(dir, "spool") }
func lockPath(dir string) string    { return filepath.Join(dir, "lock") }
