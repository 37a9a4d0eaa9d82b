package connection

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
	"weak"
)

// Ten thousand connections may name one ca_file, and it may hold all the roots that
// there are: while anybody uses it, it is read once, and again when it has changed.

// rootPools are what the ca_files in use hold, by the hash of their text.
var rootPools intern[[sha256.Size]byte, x509.CertPool]

// readRoots reads a ca_file. Who reads the same text gets the same pool. It may be called
// from any goroutine.
func readRoots(file string) (*x509.CertPool, error) { return rootFiles.read(file) }

var rootFiles rootFileCache

// A rootFileCache knows the files that were read, by their names.
type rootFileCache struct {
	mu    sync.Mutex
	files map[string]rootFile
}

// A rootFile is what a file was like when it was read.
type rootFile struct {
	info os.FileInfo
	pool weak.Pointer[x509.CertPool]
}

// freshFile is how long ago a file must have been changed for its time to tell of the
// next change: some file systems count in seconds.
const freshFile = 3 * time.Second

func (c *rootFileCache) read(file string) (*x509.CertPool, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, found := c.files[file]; found && os.SameFile(known.info, info) && known.info.Size() == info.Size() && known.info.ModTime().Equal(info.ModTime()) {
		if pool := known.pool.Value(); pool != nil {
			return pool, nil
		}
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool, err := rootPools.get(sha256.Sum256(pem), func() (*x509.CertPool, error) { return parseRoots(file, pem) })
	if err != nil {
		return nil, err
	}
	c.know(file, rootFile{info, weak.Make(pool)})
	return pool, nil
}

// know keeps what a file was like, unless it may change without a sign, and forgets files
// that nobody uses any more. c.mu is held.
func (c *rootFileCache) know(file string, as rootFile) {
	for name, f := range c.files {
		if f.pool.Value() == nil {
			delete(c.files, name)
		}
	}
	if time.Since(as.info.ModTime()) < freshFile {
		delete(c.files, file)
		return
	}
	if c.files == nil {
		c.files = map[string]rootFile{}
	}
	c.files[file] = as
}

func parseRoots(file string, pem []byte) (*x509.CertPool, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", file)
	}
	return roots, nil
}
