package connection

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"os"
	"runtime"
	"sync"
	"weak"
)

// readRoots reads a ca_file. Who reads the same text gets the same pool, for as long
// as anybody has it: a session keeps its pool, and a pool the certificates that it has
// parsed, so that ten thousand connections with one ca_file would keep 40 MiB of
// nothing else, and parse it ten thousand times.
func readRoots(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(pem)
	pools.Lock()
	defer pools.Unlock()
	if roots := pools.by[key].Value(); roots != nil {
		return roots, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)", file)
	}
	pools.by[key] = weak.Make(roots)
	runtime.AddCleanup(roots, forgetRoots, key)
	return roots, nil
}

// pools are those in use, by the hash of their text.
var pools = struct {
	sync.Mutex
	by map[[sha256.Size]byte]weak.Pointer[x509.CertPool]
}{by: make(map[[sha256.Size]byte]weak.Pointer[x509.CertPool])}

// forgetRoots drops a pool that nobody has any more, unless there is a new one.
func forgetRoots(key [sha256.Size]byte) {
	pools.Lock()
	defer pools.Unlock()
	if pools.by[key].Value() == nil {
		delete(pools.by, key)
	}
}
