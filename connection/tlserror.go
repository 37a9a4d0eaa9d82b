package connection

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// testHint ends a hint where Check can find out more; Check takes it away.
const testHint = "; --test-connection finds out"

// ExplainTLS says in a person's words why a handshake with an IMAP server failed, and
// what to do. The pin is that of the refused certificate, "" if none was seen.
// address is the server's, as given to TLSConfig.
func (e *Encryption) ExplainTLS(address string, err error) (text, hint, pin string, permanent bool) {
	return e.explainTLS(speaksIMAP, address, err)
}

// explainTLS is ExplainTLS for a server that speaks p.
func (e *Encryption) explainTLS(p *protocol, address string, err error) (text, hint, pin string, permanent bool) {
	var (
		verification *tls.CertificateVerificationError
		record       tls.RecordHeaderError
		gap          *versionGapError
		pinned       *pinError
	)
	alert := remoteAlert(err)
	offered := strings.Join(e.Versions, ", ")
	versionsHint := fmt.Sprintf("the versions offered were %s: an old server may need versions = [\"TLS1.0\"] or ciphers = \"legacy\", a strict one TLS1.3", offered)
	switch {
	case errors.As(err, &pinned):
		text = "the server's certificate is not one of those in pin_sha256"
		if len(pinned.chain) > 0 {
			pin = Pin(pinned.chain[0])
			text += ": " + describe(pinned.chain[0])
			hint = "if the server has a new key and you trust it, " + pinLine(pin)
		}
		return text, hint, pin, true
	case errors.As(err, &verification):
		text, hint = e.explainCertificate(address, verification)
		if len(verification.UnverifiedCertificates) > 0 {
			pin = Pin(verification.UnverifiedCertificates[0])
			hint += "; or, to trust this certificate as it is, " + pinLine(pin)
		}
		return text, hint, pin, true
	case errors.As(err, &gap):
		return gap.Error(), fmt.Sprintf("add %q to versions, or leave out what is above it", versionName(gap.version)), "", true
	case errors.As(err, &record):
		if looksPlain(record.RecordHeader[:]) {
			return fmt.Sprintf("the server speaks plain %s on this port, not TLS", p.name),
				fmt.Sprintf(`set mode = "explicit" (STARTTLS), or use the TLS port, %d`, p.implicit), "", true
		}
		if strings.HasPrefix(string(record.RecordHeader[:]), "HTTP/") {
			return fmt.Sprintf("a web server answers on this port, not one that speaks %s", p.name), "check address, port and proxy", "", true
		}
		return "what answers on this port does not speak TLS", "check address, port and mode", "", true
	case alert != "":
		switch {
		case strings.HasPrefix(alert, "protocol version"), alert == "inappropriate fallback":
			return fmt.Sprintf("no TLS version in common with the server (alert: %s)", alert), versionsHint + testHint, "", true
		case alert == "handshake failure", alert == "insufficient security level":
			if e.ClientCertificateFile == "" {
				versionsHint += "; or the server wants a client certificate (client_certificate_file)"
			}
			return fmt.Sprintf("no TLS version or cipher in common with the server (alert: %s)", alert), versionsHint + testHint, "", true
		case strings.Contains(alert, "certificate"), alert == "access denied":
			if e.ClientCertificateFile == "" {
				return fmt.Sprintf("the server wants a client certificate (alert: %s)", alert),
					"set client_certificate_file and client_key_file", "", true
			}
			return fmt.Sprintf("the server refuses our client certificate (alert: %s)", alert),
				"check client_certificate_file: is it of a CA that the server knows, and not expired?", "", true
		case alert == "unrecognized name":
			return "the server does not know the name " + e.nameFor(address), "set server_name to a name that it has", "", true
		}
		return fmt.Sprintf("the server broke off the handshake (alert: %s)", alert), versionsHint + testHint, "", false
	case strings.Contains(err.Error(), "selected unsupported protocol version"), strings.Contains(err.Error(), "no supported versions satisfy"):
		return "no TLS version in common with the server: " + lastText(err), versionsHint + testHint, "", true
	case strings.Contains(err.Error(), "unconfigured cipher suite"), strings.Contains(err.Error(), "handshake failure"):
		return "no cipher in common with the server: " + lastText(err), `set ciphers = "legacy" for an old server`, "", true
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		return "the server closed the connection in the handshake without a word; many servers do so if they have no TLS version or cipher in common with us",
			versionsHint + testHint, "", false
	case isTimeout(err):
		return "the server did not answer the TLS handshake in time", fmt.Sprintf(`is it a TLS port? %d has mode = "implicit", %d mode = "explicit"`, p.implicit, p.explicit), "", false
	}
	return "the handshake failed: " + oneLine(strings.TrimPrefix(err.Error(), "tls: ")), "", "", false
}

func (e *Encryption) nameFor(address string) string {
	if e.ServerName != "" {
		return e.ServerName
	}
	return address
}

// remoteAlert returns the text of the alert by which the server ended the
// handshake, or "".
func remoteAlert(err error) string {
	var op *net.OpError
	var alert tls.AlertError
	switch {
	case errors.As(err, &alert):
		return strings.TrimPrefix(alert.Error(), "tls: ")
	case errors.As(err, &op) && op.Op == "remote error" && op.Err != nil:
		return strings.TrimPrefix(op.Err.Error(), "tls: ")
	}
	return ""
}

// looksPlain reports whether the first bytes are of a line of IMAP (or of SMTP's or POP3's greeting).
func looksPlain(b []byte) bool {
	return bytes.HasPrefix(b, []byte("* ")) || bytes.HasPrefix(b, []byte("220")) || bytes.HasPrefix(b, []byte("+OK"))
}

// explainCertificate says what is wrong with a certificate.
func (e *Encryption) explainCertificate(address string, err *tls.CertificateVerificationError) (text, hint string) {
	if len(err.UnverifiedCertificates) == 0 {
		return "the server showed no certificate", "check address and port"
	}
	leaf := err.UnverifiedCertificates[0]
	var (
		host    x509.HostnameError
		invalid x509.CertificateInvalidError
		unknown x509.UnknownAuthorityError
	)
	now := time.Now()
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.Before(leaf.NotBefore):
		return fmt.Sprintf("the certificate is not valid before %s", day(leaf.NotBefore)), "check this machine's clock"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && now.After(leaf.NotAfter):
		return fmt.Sprintf("the certificate expired on %s (%d days ago)", day(leaf.NotAfter), int(now.Sub(leaf.NotAfter).Hours()/24)),
			"the server's administrator must renew it"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "a certificate of the server's chain has expired", "the server's administrator must renew it, or check this machine's clock"
	case errors.As(err, &host):
		names := certificateNames(leaf)
		hint = "set server_name to the name it is for, if that is this server"
		if len(leaf.DNSNames) > 0 && !strings.Contains(leaf.DNSNames[0], "*") {
			hint = fmt.Sprintf("set server_name = %q if that is this server", oneLine(leaf.DNSNames[0]))
		}
		return fmt.Sprintf("the certificate is for %s, not for %s", names, e.nameFor(address)), hint
	case errors.As(err, &unknown) && isSelfSigned(leaf):
		return "the certificate is self-signed: " + describe(leaf), "set ca_file to a file with this certificate"
	case errors.As(err, &unknown):
		where := "this machine's roots"
		if e.CAFile != "" {
			where = "ca_file"
		}
		return fmt.Sprintf("the certificate was issued by %s, which %s do not know", oneLine(issuer(leaf)), where),
			"set ca_file to the issuer's certificate (the server should send its intermediate certificates, too)"
	}
	return "the certificate is refused: " + oneLine(err.Err.Error()), "check the server's certificate"
}

func pinLine(pin string) string {
	return fmt.Sprintf("add to the encryption table: pin_sha256 = [%q]", pin)
}

func isSelfSigned(c *x509.Certificate) bool {
	return bytes.Equal(c.RawIssuer, c.RawSubject)
}

func describe(c *x509.Certificate) string {
	return fmt.Sprintf("%s, issued by %s, valid until %s", certificateNames(c), oneLine(issuer(c)), day(c.NotAfter))
}

func issuer(c *x509.Certificate) string {
	if c.Issuer.CommonName != "" {
		return c.Issuer.CommonName
	}
	if s := c.Issuer.String(); s != "" {
		return s
	}
	return "nobody it names"
}

// certificateNames lists at most four of the names a certificate is for.
func certificateNames(c *x509.Certificate) string {
	names := append([]string(nil), c.DNSNames...)
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) == 0 && c.Subject.CommonName != "" {
		names = append(names, c.Subject.CommonName)
	}
	switch {
	case len(names) == 0:
		return "no name"
	case len(names) > 4:
		names = append(names[:4], "...")
	}
	return oneLine(strings.Join(names, ", "))
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02") }
