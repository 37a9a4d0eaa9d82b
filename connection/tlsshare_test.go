package connection

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
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
		c, err := share.config(e, address)
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
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var share tlsShare
	read := func() any {
		c, err := share.config(&Encryption{Versions: []string{"TLS1.3"}, CAFile: file}, "localhost")
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
	for end := time.Now().Add(10 * time.Second); share.pools.size() > 0 && time.Now().Before(end); time.Sleep(time.Millisecond) {
		runtime.GC()
	}
	if n := share.pools.size(); n > 0 {
		t.Errorf("%d pools are kept that nobody has", n)
	}
}
