//go:build !unix

package journal

import "os"

// lockDir leaves the locking to bbolt, which locks journal.db itself.
func lockDir(dir string, _ bool) (*os.File, error) {
	return os.OpenFile(lockPath(dir), os.O_RDWR|os.O_CREATE, 0o600)
}
