package journal

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// After a failed sync the kernel may show pages that never reached the disk, and
// takes them for written: no later sync writes them. A restart alone would build on
// them. So a journal that has failed leaves a mark, and the next Open first writes
// journal.db anew, page by page, into another file.

func markPath(dir string) string { return filepath.Join(dir, "journal.failed") }

// mark says that the disk has failed. The disk that has may refuse that too: then
// the next start is as good as without.
func (j *Journal) mark() {
	err := os.WriteFile(markPath(j.dir), []byte("the disk failed while journal.db was written; the next start writes it anew\n"), 0o600)
	if err == nil {
		err = j.fs.syncDir(j.dir)
	}
	if err != nil {
		j.log.Warn("the failure could not be marked", "err", err)
	}
}

// renew writes journal.db anew if the disk has failed before.
func (j *Journal) renew() error {
	if _, err := os.Stat(markPath(j.dir)); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	temp := dbPath(j.dir) + ".new"
	switch err := j.copyFile(dbPath(j.dir), temp); {
	case errors.Is(err, fs.ErrNotExist): // nothing was there to fail
	case err != nil:
		return err
	default:
		if err := os.Rename(temp, dbPath(j.dir)); err != nil {
			return err
		}
		j.log.Warn("the disk failed at the last run: journal.db was written anew")
	}
	if err := j.fs.syncDir(j.dir); err != nil {
		return err
	}
	return os.Remove(markPath(j.dir))
}

// copyFile copies and syncs a file's bytes: not its extents, which the system might share.
func (j *Journal) copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{dst}, struct{ io.Reader }{src}, make([]byte, 1<<20))
	if err == nil {
		err = j.fs.sync(dst)
	}
	return errors.Join(err, dst.Close())
}
