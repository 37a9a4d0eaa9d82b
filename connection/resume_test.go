package connection

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// A testIssuer issues certificates for localhost.
type testIssuer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // for ca_file
}

func newIssuer(t *testing.T) *testIssuer {
	t.Helper()
	i := &testIssuer{t: t, file: filepath.Join(t.TempDir(), "ca.pem")}
	i.cert, i.key = i.make(&x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	if err := os.WriteFile(i.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return i
}

func (i *testIssuer) make(template *x509.Certificate, issuer *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	i.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		i.t.Fatal(err)
	}
	template.SerialNumber, _ = rand.Int(rand.Reader, big.NewInt(1<<62))
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(48*time.Hour)
	signer := i.key
	if issuer == nil {
		issuer, signer = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		i.t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		i.t.Fatal(err)
	}
	return cert, key
}

// issue returns a new certificate for the names.
func (i *testIssuer) issue(names ...string) tls.Certificate {
	i.t.Helper()
	cert, key := i.make(&x509.Certificate{DNSNames: names, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}, i.cert)
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}
}

// newTLS returns a server's configuration. All of them know each other's tickets, unless
// the key is another one.
func newTLS(cert tls.Certificate, ticketKey byte) *tls.Config {
	c := &tls.Config{Certificates: []tls.Certificate{cert}}
	c.SetSessionTicketKeys([][32]byte{{ticketKey}})
	return c
}

// meet does a handshake, and reads on until the tickets have come.
func meet(t *testing.T, client, server *tls.Config) (tls.ConnectionState, error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	near, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer far.Close()
		s := tls.Server(far, server)
		if s.Handshake() == nil {
			_, _ = s.Write([]byte("."))
			_, _ = io.Copy(io.Discard, s)
		}
	}()
	c := tls.Client(near, client)
	if err = c.Handshake(); err == nil {
		_, err = io.ReadFull(c, make([]byte, 1))
	}
	state := c.ConnectionState()
	near.Close()
	<-ended
	return state, err
}

// resumes does a handshake that must go well, and says whether it went on with an earlier one.
func resumes(t *testing.T, client, server *tls.Config) bool {
	t.Helper()
	state, err := meet(t, client, server)
	if err != nil {
		t.Fatal(err)
	}
	if len(state.PeerCertificates) == 0 {
		t.Error("it is not known what the certificate is")
	}
	return state.DidResume
}

// A resumeRig is what most of these tests need.
type resumeRig struct {
	*testIssuer
	share  tlsShare
	server *tls.Config
	cert   tls.Certificate
}

func newResumeRig(t *testing.T) *resumeRig {
	r := &resumeRig{testIssuer: newIssuer(t)}
	r.cert = r.issue("localhost")
	r.server = newTLS(r.cert, 1)
	return r
}

// config returns the configuration of sessions with the server.
func (r *resumeRig) config(change func(e *Encryption)) *tls.Config {
	r.t.Helper()
	e := &Encryption{CAFile: r.file}
	e.SetDefaults()
	if change != nil {
		change(e)
	}
	c, err := r.share.config(e, "localhost", 993)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { runtime.KeepAlive(c) }) // as a session keeps it
	return c
}

// Sessions resume each other's TLS sessions, in all versions that may.
func TestTLSResumes(t *testing.T) {
	for _, c := range []struct {
		versions []string
		want     bool
	}{
		{nil, true},
		{[]string{"TLS1.2"}, true},
		{[]string{"TLS1.3"}, true},
		{[]string{"TLS1.0", "TLS1.2"}, false},
		{[]string{"TLS1.0", "TLS1.3"}, false},
	} {
		r := newResumeRig(t)
		config := r.config(func(e *Encryption) {
			if c.versions != nil {
				e.Versions = c.versions
			}
		})
		if resumes(t, config, r.server) {
			t.Fatalf("%v: the first handshake was no full one", c.versions)
		}
		for range 3 {
			if got := resumes(t, config, r.server); got != c.want {
				t.Errorf("%v: resumed: %v; want %v", c.versions, got, c.want)
			}
		}
	}
}

// A ticket is for who would have done the same handshake.
func TestTLSResumesAlikeOnly(t *testing.T) {
	r := newResumeRig(t)
	other := newIssuer(t)
	both := r.issue("localhost", "other.example.com") // a server of two names, which knows its tickets
	r.server = newTLS(both, 1)
	pins := []string{Pin(both.Leaf), Pin(r.cert.Leaf)}
	config := r.config(nil)
	if resumes(t, config, r.server); !resumes(t, config, r.server) {
		t.Fatal("it is not resumed at all")
	}
	for name, change := range map[string]func(*Encryption){
		"server_name":          func(e *Encryption) { e.ServerName = "other.example.com" },
		"versions":             func(e *Encryption) { e.Versions = []string{"TLS1.3"} },
		"ciphers":              func(e *Encryption) { e.Ciphers = CiphersLegacy },
		"pin_sha256":           func(e *Encryption) { e.PinSHA256 = pins },
		"pin_sha256, fewer":    func(e *Encryption) { e.PinSHA256 = pins[:1] },
		"insecure_skip_verify": func(e *Encryption) { e.InsecureSkipVerify = true },
	} {
		if resumes(t, r.config(change), r.server) {
			t.Errorf("another %s, and the ticket of others is used", name)
		}
	}
	for name, change := range map[string]func(*Encryption){
		"ca_file":    func(e *Encryption) { e.CAFile = other.file },
		"pin_sha256": func(e *Encryption) { e.PinSHA256 = pins[1:] },
	} {
		if _, err := meet(t, r.config(change), r.server); err == nil {
			t.Errorf("another %s, which is not the server's, and nothing is wrong", name)
		}
	}
	e := &Encryption{CAFile: r.file}
	e.SetDefaults()
	port, err := r.share.config(e, "localhost", 143)
	if err != nil {
		t.Fatal(err)
	}
	if resumes(t, port, r.server) {
		t.Error("another port, and the ticket of others is used")
	}
}

// Pins and names hold for a resumed session by what the full handshake has shown; within
// resumeFor the next one looks again.
func TestTLSResumesNotForLong(t *testing.T) {
	for _, version := range []string{"TLS1.2", "TLS1.3"} {
		r := newResumeRig(t)
		config := r.config(func(e *Encryption) { e.Versions, e.PinSHA256 = []string{version}, []string{Pin(r.cert.Leaf)} })
		box := boxOf(config)
		if resumes(t, config, r.server); !resumes(t, config, r.server) {
			t.Fatal("it is not resumed at all")
		}
		box.shown = box.shown.Add(-resumeFor)
		if resumes(t, config, r.server) {
			t.Errorf("%s: resumed after %v", version, resumeFor)
		}
		if !resumes(t, config, r.server) {
			t.Errorf("%s: not resumed though the certificate was just looked at again", version)
		}
		changed := newTLS(r.issue("localhost"), 1)
		box.shown = box.shown.Add(-resumeFor)
		var wrong *pinError
		if _, err := meet(t, config, changed); !errors.As(err, &wrong) {
			t.Errorf("%s: a certificate that is not pinned any more: %v", version, err)
		}
	}
}

// A server that has another certificate gives tickets for the earlier one, too, to
// sessions that were resumed. They do not prolong its life.
func TestTLSResumesByTheNewCertificate(t *testing.T) {
	r := newResumeRig(t)
	config := r.config(nil)
	box := boxOf(config)
	resumes(t, config, r.server)
	old := box.ticket
	changed := newTLS(r.issue("localhost"), 1)
	box.shown = box.shown.Add(-resumeFor)
	if resumes(t, config, changed) {
		t.Fatal("resumed too late")
	}
	box.fail() // as if the ticket had not come yet
	box.Put("", old)
	if box.offers() {
		t.Error("the ticket of a certificate that the server no longer has is kept")
	}
	resumes(t, config, changed)
	if state, err := meet(t, config, changed); err != nil || !state.DidResume || !state.PeerCertificates[0].Equal(changed.Certificates[0].Leaf) {
		t.Errorf("resumed: %v, %v; want the new certificate's session", state.DidResume, err)
	}
}

// A certificate that has expired is no longer good in a resumed session either.
func TestTLSResumesNoExpired(t *testing.T) {
	r := newResumeRig(t)
	now := time.Now()
	config := r.config(func(e *Encryption) { e.Versions = []string{"TLS1.3"} })
	config.Time = func() time.Time { return now }
	if resumes(t, config, r.server); !resumes(t, config, r.server) {
		t.Fatal("it is not resumed at all")
	}
	now = r.cert.Leaf.NotAfter.Add(time.Second)
	var expired x509.CertificateInvalidError
	if _, err := meet(t, config, r.server); !errors.As(err, &expired) {
		t.Errorf("a handshake after the certificate has expired: %v", err)
	}
}

// A server that was restarted does not know its tickets: the handshake is a full one, and
// its ticket takes the place of the other.
func TestTLSResumesAfterRestart(t *testing.T) {
	r := newResumeRig(t)
	config := r.config(nil)
	resumes(t, config, r.server)
	restarted := newTLS(r.cert, 2)
	if resumes(t, config, restarted) {
		t.Fatal("a server has resumed what it does not know")
	}
	if !resumes(t, config, restarted) {
		t.Error("the ticket of before the restart is offered again")
	}
}

// With a client certificate each handshake is a full one.
func TestTLSResumesNoClientCertificate(t *testing.T) {
	r := newResumeRig(t)
	key, err := x509.MarshalPKCS8PrivateKey(r.cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "client.pem")
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.cert.Leaf.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})...)
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	r.server.ClientAuth = tls.RequireAnyClientCert
	config := r.config(func(e *Encryption) { e.ClientCertificateFile, e.ClientKeyFile = file, file })
	for range 3 {
		if resumes(t, config, r.server) {
			t.Error("resumed")
		}
	}
}

// There are never more than maxTickets; the newest stay.
func TestTicketsAreFew(t *testing.T) {
	r := newResumeRig(t)
	config := r.config(nil)
	resumes(t, config, r.server)
	first := boxOf(config)
	leaf, ticket := first.leaf, first.ticket
	var boxes []*ticketBox
	for range maxTickets {
		b := &ticketBox{shelf: &r.share.tickets}
		b.show(leaf)
		b.Put("", ticket)
		if !b.offers() {
			t.Fatal("a ticket was not taken")
		}
		boxes = append(boxes, b)
	}
	if first.offers() {
		t.Errorf("more than %d tickets are kept", maxTickets)
	}
	boxes[3].fail()
	if n := len(r.share.tickets.full); n != maxTickets-1 || boxes[3].offers() || !boxes[4].offers() {
		t.Errorf("%d tickets are kept after one was thrown away", n)
	}
}
