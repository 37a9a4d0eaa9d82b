package journal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"mailtrigger/trigger/crashpoint"
)

// The spool keeps bodies over MaxInline, one file each, named by the body's id.
// A file is whole and durable before the transaction that refers to it begins, and goes after the one
// that drops it: what a crash leaves over is removed at the next Open.

func spoolFile(dir string, id uint64) string {
	return filepath.Join(spoolPath(dir), fmt.Sprintf("%016x.eml", id))
}

// writeSpool writes one file: temp, sync, rename. The directory is synced by the
// caller, once for all files of a transaction.
func writeSpool(dir string, f *files, id uint64, body []byte) (err error) {
	name := spoolFile(dir, id)
	temp := strings.TrimSuffix(name, ".eml") + ".tmp"
	t, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(temp) // gives the room back; a remainder is swept at the next start
		}
	}()
	for p := body; len(p) > 0; {
		n, err := f.write(t, p)
		if err != nil {
			t.Close()
			return err
		}
		if n <= 0 {
			t.Close()
			return fmt.Errorf("write %s: nothing was written", temp)
		}
		p = p[n:]
	}
	crashpoint.Hit("journal.spool.written")
	if err := f.sync(t); err != nil {
		t.Close()
		return spoolSync(err)
	}
	if err := t.Close(); err != nil {
		return err
	}
	crashpoint.Hit("journal.spool.synced")
	if err := f.rename(temp, name); err != nil {
		return err
	}
	crashpoint.Hit("journal.spool.renamed")
	return nil
}

// spoolSync: a full disk that shows only in the sync is no more than that here,
// because the file is thrown away and written anew.
func spoolSync(err error) error {
	if noRoom(err) {
		return &fs.PathError{Op: "write", Path: "spool file", Err: err}
	}
	return err
}

// sweepSpool removes the files that no body refers to.
func sweepSpool(dir string, keep map[uint64]bool) (removed int, err error) {
	list, err := os.ReadDir(spoolPath(dir))
	if err != nil {
		return 0, err
	}
	for _, e := range list {
		hex, ok := strings.CutSuffix(e.Name(), ".eml")
		if id, err := strconv.ParseUint(hex, 16, 64); ok && err == nil && keep[id] {
			continue
		}
		if !ok && !strings.HasSuffix(e.Name(), ".tmp") || e.IsDir() {
			continue // not ours
		}
		if err := os.Remove(filepath.Join(spoolPath(dir), e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// readSpool reads one file of a known size.
func readSpool(dir string, ref bodyRef) ([]byte, error) {
	name := spoolFile(dir, ref.id)
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() != ref.size {
		return nil, fmt.Errorf("%w: %s has %d bytes, not %d", ErrCorrupt, name, st.Size(), ref.size)
	}
	return os.ReadFile(name)
}
