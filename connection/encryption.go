package connection

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"mailtrigger/connection/setting"
)

// Encryption is the table [connection.NAME.encryption].
type Encryption struct {
	Protocol              string   `toml:"protocol"`
	Mode                  string   `toml:"mode"`
	Versions              []string `toml:"versions"`
	Ciphers               string   `toml:"ciphers"`
	ServerName            string   `toml:"server_name"`
	CAFile                string   `toml:"ca_file,path"`
	ClientCertificateFile string   `toml:"client_certificate_file,path"`
	ClientKeyFile         string   `toml:"client_key_file,path"`
	PinSHA256             []string `toml:"pin_sha256"`
	InsecureSkipVerify    bool     `toml:"insecure_skip_verify"`
}

// The values of Encryption's fields.
const (
	ProtocolNone = "none"
	ProtocolSSL  = "ssl" // the same protocol family as "tls", and the same as it here
	ProtocolTLS  = "tls"

	ModeImplicit = "implicit" // TLS from the first byte
	ModeExplicit = "explicit" // STARTTLS

	CiphersDefault = "default"
	CiphersLegacy  = "legacy" // also those with RSA key exchange, for old servers
)

// tlsVersions are the versions by name, oldest first.
var tlsVersions = []struct {
	name   string
	number uint16
}{
	{"TLS1.0", tls.VersionTLS10}, {"TLS1.1", tls.VersionTLS11}, {"TLS1.2", tls.VersionTLS12}, {"TLS1.3", tls.VersionTLS13},
}

func versionNames() []string {
	names := make([]string, len(tlsVersions))
	for i, v := range tlsVersions {
		names[i] = v.name
	}
	return names
}

// versionNumber returns the number of a version in its uniform spelling, or 0.
func versionNumber(name string) uint16 {
	for _, v := range tlsVersions {
		if v.name == name {
			return v.number
		}
	}
	return 0
}

// versionName returns a version's name in the configuration.
func versionName(number uint16) string {
	for _, v := range tlsVersions {
		if v.number == number {
			return v.name
		}
	}
	return tls.VersionName(number)
}

// normalize makes spellings uniform.
func (e *Encryption) normalize() {
	e.Protocol = strings.ToLower(strings.TrimSpace(e.Protocol))
	e.Mode = strings.ToLower(strings.TrimSpace(e.Mode))
	e.Ciphers = strings.ToLower(strings.TrimSpace(e.Ciphers))
	e.Versions, e.PinSHA256 = slices.Clone(e.Versions), slices.Clone(e.PinSHA256) // others may share them
	for i, v := range e.Versions {
		e.Versions[i] = normalVersion(v)
	}
	for i, p := range e.PinSHA256 {
		p = strings.TrimSpace(p)
		for _, prefix := range []string{"sha256//", "sha256/", "sha256:"} {
			p = strings.TrimPrefix(p, prefix)
		}
		e.PinSHA256[i] = p
	}
}

// versionNoise takes out what spellings of a version differ by.
var versionNoise = strings.NewReplacer(" ", "", "_", "", "-", "", "V", "", "v", "")

// normalVersion makes "tls 1.2", "TLSv1.2" and "TLS12" to "TLS1.2", "TLS1" to "TLS1.0", "SSLv3.0" to "SSL3".
func normalVersion(s string) string {
	v := strings.ToUpper(versionNoise.Replace(s))
	switch digits, found := strings.CutPrefix(v, "TLS"); {
	case found && digits == "1":
		return "TLS1.0"
	case found && len(digits) == 2 && !strings.Contains(digits, "."):
		return "TLS" + digits[:1] + "." + digits[1:]
	}
	switch v {
	case "SSL2.0", "SSL3.0":
		return v[:4]
	case "SSL2", "SSL3", "TLS1.0", "TLS1.1", "TLS1.2", "TLS1.3":
		return v
	}
	return s
}

// SetDefaults fills in what is not set. The mode is implicit unless it is set
// already: what the port says of it is for the owner of the port to know.
func (e *Encryption) SetDefaults() {
	e.normalize()
	if e.Protocol == "" {
		e.Protocol = ProtocolTLS
	}
	if e.Mode == "" && e.Protocol != ProtocolNone {
		e.Mode = ModeImplicit
	}
	if len(e.Versions) == 0 {
		e.Versions = []string{"TLS1.2", "TLS1.3"}
	}
	if e.Ciphers == "" {
		e.Ciphers = CiphersDefault
	}
}

// Validate reports everything that is wrong. It reads the files named.
func (e *Encryption) Validate() []setting.Problem { return e.validate(nil) }

// validate is Validate for a server whose preset is p, if it has one.
func (e *Encryption) validate(p *Preset) []setting.Problem {
	var ps []setting.Problem
	add := func(key, format string, args ...any) {
		ps = append(ps, setting.Problem{Key: key, Text: fmt.Sprintf(format, args...)})
	}
	oneOf := func(key, value string, words ...string) {
		if !slices.Contains(words, value) {
			add(key, "unknown %s %q%s; use %s", key, value, didYouMean(value, words), strings.Join(words, ", "))
		}
	}
	switch e.Protocol {
	case "starttls":
		add("protocol", `"starttls" is a mode; write protocol = "tls" and mode = "explicit"`)
	default:
		oneOf("protocol", e.Protocol, ProtocolNone, ProtocolSSL, ProtocolTLS)
	}
	switch {
	case e.Mode == "starttls":
		add("mode", `the mode with STARTTLS is called "explicit"`)
	case e.Protocol == ProtocolNone && e.Mode != "":
		add("mode", `protocol = "none" has no mode; leave mode out, or set protocol = "tls"`)
	case e.Protocol != ProtocolNone:
		oneOf("mode", e.Mode, ModeImplicit, ModeExplicit)
	}
	for i, v := range e.Versions {
		key := fmt.Sprintf("versions[%d]", i)
		switch {
		case v == "SSL2" || v == "SSL3":
			add(key, "%s", noSSL(v, p))
		case versionNumber(v) == 0:
			add(key, "unknown version %q%s; use %s", v, didYouMean(v, versionNames()), strings.Join(versionNames(), ", "))
		}
	}
	oneOf("ciphers", e.Ciphers, CiphersDefault, CiphersLegacy)
	if text := checkAddress(e.ServerName, speaksIMAP); e.ServerName != "" && text != "" {
		add("server_name", "%s", text)
	}
	if e.CAFile != "" {
		if _, err := readRoots(e.CAFile); err != nil {
			add("ca_file", "%v", err)
		}
	}
	switch {
	case (e.ClientCertificateFile == "") != (e.ClientKeyFile == ""):
		key, other := "client_certificate_file", "client_key_file"
		if e.ClientCertificateFile == "" {
			key, other = other, key
		}
		add(key, "%s is missing; a client certificate needs both", other)
	case e.ClientCertificateFile != "":
		if _, err := tls.LoadX509KeyPair(e.ClientCertificateFile, e.ClientKeyFile); err != nil {
			add("client_certificate_file", "%v; give PEM files of a certificate and its unencrypted key", err)
		}
	}
	for i, pin := range e.PinSHA256 {
		if text := checkPin(pin); text != "" {
			add(fmt.Sprintf("pin_sha256[%d]", i), "%s", text)
		}
	}
	return ps
}

// noSSL says why SSL 2 and 3 cannot be had, and what to do instead.
func noSSL(version string, p *Preset) string {
	why := "it was withdrawn in 2015 (RFC 7568) because anybody in between can read it, and no current TLS library has it"
	if version == "SSL2" {
		why = "it was withdrawn in 2011 (RFC 6176) because anybody in between can read it, and no current TLS library has it"
	}
	what := `leave versions out, or list "TLS1.0" for a server that is really that old`
	if p != nil {
		what = fmt.Sprintf("%s takes TLS1.2 and TLS1.3: use preset = %q and leave versions out", p.Provider, p.Name)
	}
	return fmt.Sprintf("%s cannot be had: %s; %s", version, why, what)
}

// checkPin says what is wrong with a pin, or returns "".
func checkPin(pin string) string {
	if b, err := base64.StdEncoding.DecodeString(pin); err == nil && len(b) == sha256.Size {
		return ""
	}
	if b, err := hex.DecodeString(strings.ReplaceAll(pin, ":", "")); err == nil && len(b) == sha256.Size {
		return fmt.Sprintf("%q is hexadecimal; in base64 it is %q, if it is the hash of the public key (SPKI) and not of the whole certificate", pin, base64.StdEncoding.EncodeToString(b))
	}
	return fmt.Sprintf("%.80q is not the base64 of a SHA-256 hash (44 characters); --test-connection prints the right line", pin)
}

// Pin returns a certificate's value for pin_sha256: the base64 of the SHA-256
// of its public key (SubjectPublicKeyInfo), as in RFC 7469 section 2.4.
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// TLSConfig returns what a handshake with the server at address (a DNS name or
// an IP address) needs. It reads the files named. It must not be called where the
// protocol is "none".
//
// Where pins are given, a certificate is good if and only if its public key is
// pinned, whatever its chain, name and dates. Each handshake is a full one.
func (e *Encryption) TLSConfig(address string) (*tls.Config, error) {
	var roots *x509.CertPool
	if e.CAFile != "" {
		var err error
		if roots, err = readRoots(e.CAFile); err != nil {
			return nil, fmt.Errorf("ca_file: %w", err)
		}
	}
	return e.tlsConfig(address, roots)
}

// tlsConfig is TLSConfig with what the ca_file holds; nil: there is none.
func (e *Encryption) tlsConfig(address string, roots *x509.CertPool) (*tls.Config, error) {
	c := &tls.Config{
		ServerName:             strings.TrimSuffix(address, "."),
		RootCAs:                roots,
		SessionTicketsDisabled: true,
	}
	if e.ServerName != "" {
		c.ServerName = e.ServerName
	}
	var allowed []uint16
	for _, name := range e.Versions {
		if n := versionNumber(name); n != 0 {
			allowed = append(allowed, n)
		}
	}
	if len(allowed) == 0 {
		return nil, fmt.Errorf("versions allow none of %s", strings.Join(versionNames(), ", "))
	}
	c.MinVersion, c.MaxVersion = slices.Min(allowed), slices.Max(allowed)
	if e.Ciphers == CiphersLegacy {
		c.CipherSuites = legacyCiphers()
	}
	if e.ClientCertificateFile != "" {
		pair, err := tls.LoadX509KeyPair(e.ClientCertificateFile, e.ClientKeyFile)
		if err != nil {
			return nil, fmt.Errorf("client_certificate_file: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	pins := slices.Clone(e.PinSHA256)
	c.InsecureSkipVerify = e.InsecureSkipVerify || len(pins) > 0
	c.VerifyConnection = func(s tls.ConnectionState) error {
		// crypto/tls takes a range; a set may have gaps.
		if !slices.Contains(allowed, s.Version) {
			return &versionGapError{s.Version}
		}
		if len(pins) > 0 && !e.InsecureSkipVerify {
			if len(s.PeerCertificates) == 0 || !slices.Contains(pins, Pin(s.PeerCertificates[0])) {
				return &pinError{s.PeerCertificates}
			}
		}
		return nil
	}
	return c, nil
}

// legacyCiphers returns the usual cipher suites and those with RSA key exchange,
// which Go no longer offers by itself. RC4 stays out.
func legacyCiphers() []uint16 {
	var ids []uint16
	for _, s := range tls.CipherSuites() {
		ids = append(ids, s.ID)
	}
	for _, s := range tls.InsecureCipherSuites() {
		if !strings.Contains(s.Name, "RC4") {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

// versionGapError: the handshake ended at a version between allowed ones.
type versionGapError struct{ version uint16 }

func (e *versionGapError) Error() string {
	return "the server chose " + versionName(e.version) + ", which versions does not allow"
}

// pinError: the certificate is not one of those pinned.
type pinError struct{ chain []*x509.Certificate }

func (e *pinError) Error() string { return "the certificate is not one of those in pin_sha256" }
