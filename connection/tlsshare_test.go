package connection

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// Sessions to servers that are reached alike share what TLS needs.
func TestTLSConfigIsShared(t *testing.T) {
	var share tlsShare
	config := func(address string, change func(*Encryption)) any {
		e := &Encryption{}
		e.SetDefaults()
		if change != nil {
			change(e)
		}
		c, err := share.config(e, address, 993)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	one := config("imap.example.com", nil)
	if config("imap.example.com", nil) != one {
		t.Error("two alike connections have two configurations")
	}
	for name, other := range map[string]any{
		"address":     config("imap.example.org", nil),
		"server_name": config("imap.example.com", func(e *Encryption) { e.ServerName = "other.example.com" }),
		"versions":    config("imap.example.com", func(e *Encryption) { e.Versions = []string{"TLS1.3"} }),
		"ciphers":     config("imap.example.com", func(e *Encryption) { e.Ciphers = CiphersLegacy }),
		"pins":        config("imap.example.com", func(e *Encryption) { e.PinSHA256 = []string{"AAAA"} }),
		"skip":        config("imap.example.com", func(e *Encryption) { e.InsecureSkipVerify = true }),
	} {
		if other == one {
			t.Errorf("another %s, and the same configuration", name)
		}
	}
	runtime.KeepAlive(one)
}

// Connections that trust the same certificates share them; a file that has changed is
// read anew, and what nobody has any more is forgotten.
func TestRootsAreShared(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	var texts [][sha256.Size]byte
	write := func() {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		if err != nil {
			t.Fatal(err)
		}
		text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		texts = append(texts, sha256.Sum256(text))
	}
	var share tlsShare
	read := func() any {
		c, err := share.config(&Encryption{Versions: []string{"TLS1.3"}, CAFile: file}, "localhost", 993)
		if err != nil {
			t.Fatal(err)
		}
		return c.RootCAs
	}
	write()
	first := read()
	if read() != first {
		t.Error("two connections with one ca_file have two pools")
	}
	write()
	if read() == first {
		t.Error("a ca_file that was changed is not read again")
	}
	runtime.KeepAlive(first)
	first = nil
	kept := func() bool {
		rootPools.mu.Lock()
		defer rootPools.mu.Unlock()
		return slices.ContainsFunc(texts, func(text [sha256.Size]byte) bool { _, found := rootPools.by[text]; return found })
	}
	for end := time.Now().Add(10 * time.Second); kept() && time.Now().Before(end); time.Sleep(time.Millisecond) {
		runtime.GC()
	}
	if kept() {
		t.Error("pools are kept that nobody has")
	}
}

// A ca_file is read once, as long as it stays as it is and anybody uses it.
func TestRootsAreReadOnce(t *testing.T) {
	issuer := newIssuer(t)
	text, err := os.ReadFile(issuer.file)
	if err != nil {
		t.Fatal(err)
	}
	write := func(comment string, at time.Time) {
		t.Helper()
		if err := os.WriteFile(issuer.file, append(text, comment...), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(issuer.file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	read := func() *x509.CertPool {
		t.Helper()
		pool, err := readRoots(issuer.file)
		if err != nil {
			t.Fatal(err)
		}
		return pool
	}
	known := func() bool {
		rootFiles.mu.Lock()
		defer rootFiles.mu.Unlock()
		_, found := rootFiles.files[issuer.file]
		return found
	}
	write("# one", time.Now())
	first := read()
	if known() {
		t.Error("a file that was written just now is taken to stay so")
	}
	at := time.Now().Add(-time.Hour)
	write("# one", at)
	if read() != first || !known() {
		t.Error("an old file is not known once it was read")
	}
	write("# two", at) // what is in it is not looked at any more: not even this is seen
	if read() != first {
		t.Error("the file is read again")
	}
	write("# two", at.Add(time.Second))
	if read() == first {
		t.Error("a file that was changed is not read again")
	}
	runtime.KeepAlive(first)
}
