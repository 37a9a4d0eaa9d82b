package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// signer signs JSON Web Tokens (RFC 7519) by JWS (RFC 7515), with RS256 for an
// RSA key and ES256 for one on P-256 (RFC 7518).
type signer struct {
	key    crypto.Signer
	alg    string
	header map[string]string // beside alg and typ: kid, or x5t and x5t#S256
}

// claims are those of an assertion (RFC 7523 section 3).
type claims struct {
	Issuer   string `json:"iss"`
	Subject  string `json:"sub,omitempty"`
	Audience string `json:"aud"`
	Scope    string `json:"scope,omitempty"` // Google's
	ID       string `json:"jti"`
	NotYet   int64  `json:"nbf"`
	Issued   int64  `json:"iat"`
	Expires  int64  `json:"exp"`
}

// assertionLife is short, as an assertion is used at once; the minute before it
// is for clocks that differ.
const assertionLife = 10 * time.Minute

// assertion returns a signed token of c.
func (s *signer) assertion(c claims, now time.Time) (string, error) {
	c.ID = rand.Text()
	c.NotYet = now.Add(-time.Minute).Unix()
	c.Issued = c.NotYet
	c.Expires = now.Add(assertionLife).Unix()
	header := map[string]string{"alg": s.alg, "typ": "JWT"}
	for k, v := range s.header {
		header[k] = v
	}
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode(h) + "." + encode(b)
	sum := sha256.Sum256([]byte(text))
	signature, err := s.sign(sum[:])
	if err != nil {
		return "", fmt.Errorf("cannot sign an assertion: %w", err)
	}
	return text + "." + encode(signature), nil
}

func (s *signer) sign(sum []byte) ([]byte, error) {
	key, ok := s.key.(*ecdsa.PrivateKey)
	if !ok {
		return s.key.Sign(rand.Reader, sum, crypto.SHA256)
	}
	r, t, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		return nil, err
	}
	b := make([]byte, 64) // RFC 7518 section 3.4: not DER
	r.FillBytes(b[:32])
	t.FillBytes(b[32:])
	return b, nil
}

// newSigner reads a certificate and its key, both in PEM. The certificate is named
// in the header by its hashes, as Microsoft wants it.
func newSigner(certificateFile, keyFile string) (*signer, error) {
	cert, err := readPEM(certificateFile, "CERTIFICATE")
	if err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(cert)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", certificateFile, err)
	}
	der, err := readPEM(keyFile, "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY")
	if err != nil {
		return nil, err
	}
	s, err := parseKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", keyFile, err)
	}
	if public, ok := parsed.PublicKey.(interface{ Equal(crypto.PublicKey) bool }); !ok || !public.Equal(s.key.Public()) {
		return nil, fmt.Errorf("the key in %s does not belong to the certificate in %s", keyFile, certificateFile)
	}
	one, two := sha1.Sum(cert), sha256.Sum256(cert)
	encode := base64.RawURLEncoding.EncodeToString
	s.header = map[string]string{"x5t": encode(one[:]), "x5t#S256": encode(two[:])}
	return s, nil
}

// serviceAccount is Google's JSON key file, as far as it is needed.
type serviceAccount struct {
	Type         string `json:"type"`
	ClientEmail  string `json:"client_email"`
	PrivateKeyID string `json:"private_key_id"`
	PrivateKey   string `json:"private_key"`
	TokenURI     string `json:"token_uri"`

	signer *signer
}

func readServiceAccount(path string) (*serviceAccount, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	a := &serviceAccount{}
	if err := json.Unmarshal(b, a); err != nil || a.Type != "service_account" || a.ClientEmail == "" || a.PrivateKey == "" {
		return nil, errors.New(path + ` is not the JSON key file of a service account (type "service_account", client_email, private_key)`)
	}
	if a.TokenURI == "" {
		a.TokenURI = presets["google"].token
	}
	block, _ := pem.Decode([]byte(a.PrivateKey))
	if block == nil {
		return nil, errors.New(path + ": private_key is not in PEM form")
	}
	if a.signer, err = parseKey(block.Bytes); err != nil {
		return nil, fmt.Errorf("%s: private_key: %w", path, err)
	}
	if a.PrivateKeyID != "" {
		a.signer.header = map[string]string{"kid": a.PrivateKeyID}
	}
	return a, nil
}

// parseKey reads a private key in PKCS #8, PKCS #1 or SEC 1 form.
func parseKey(der []byte) (*signer, error) {
	var key any
	var err error
	if key, err = x509.ParsePKCS8PrivateKey(der); err != nil {
		if key, err = x509.ParsePKCS1PrivateKey(der); err != nil {
			if key, err = x509.ParseECPrivateKey(der); err != nil {
				return nil, errors.New("is not an unencrypted RSA or EC private key")
			}
		}
	}
	switch k := key.(type) {
	case *rsa.PrivateKey:
		return &signer{key: k, alg: "RS256"}, nil
	case *ecdsa.PrivateKey:
		if k.Curve == elliptic.P256() {
			return &signer{key: k, alg: "ES256"}, nil
		}
	}
	return nil, errors.New("is neither an RSA key nor one on the curve P-256")
}

// readPEM returns the first block of one of the types.
func readPEM(path string, types ...string) ([]byte, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, err
	}
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			return nil, fmt.Errorf("%s holds no %s in PEM form", path, types[0])
		}
		for _, t := range types {
			if block.Type == t {
				return block.Bytes, nil
			}
		}
	}
}

// maxFile is the most bytes of a key, a certificate or a refresh token's file.
const maxFile = 256 << 10

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%s is larger than %d bytes; is it the right file?", path, maxFile)
	}
	return b, err
}
