package setting

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Secret is a string that must not be seen. Every way of printing it gives
// "<secret>"; only Reveal gives the value.
type Secret struct{ value string }

// NewSecret returns value as a Secret.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the value. It belongs only where the value is sent to the
// party that asked for it.
func (s Secret) Reveal() string { return s.value }

// IsZero reports whether there is no value.
func (s Secret) IsZero() bool { return s.value == "" }

const hidden = "<secret>"

// String returns "<secret>".
func (s Secret) String() string { return hidden }

// GoString returns "<secret>", for %#v.
func (s Secret) GoString() string { return hidden }

// Format writes "<secret>" whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) }

// MarshalText returns "<secret>".
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Secret) UnmarshalText(text []byte) error { s.value = string(text); return nil }

// A Source says where a secret comes from: at most one of its fields is set.
// In a table it is the five keys NAME, NAME_file, NAME_env, NAME_credential and
// NAME_command.
type Source struct {
	Literal    Secret   // the value itself
	File       string   // path of a file that holds it
	Env        string   // name of an environment variable
	Credential string   // name of a systemd credential, a file in $CREDENTIALS_DIRECTORY
	Command    []string // argv of a program that prints it
}

// The limits of reading a secret.
const (
	maxSecret     = 64 << 10         // bytes of a secret
	secretCommand = 30 * time.Second // how long a program may take to print one
)

// IsZero reports whether no source is given.
func (s Source) IsZero() bool { return s.count() == 0 }

func (s Source) count() int {
	n := 0
	for _, set := range []bool{!s.Literal.IsZero(), s.File != "", s.Env != "", s.Credential != "", len(s.Command) > 0} {
		if set {
			n++
		}
	}
	return n
}

// Validate checks that at most one way is given. key is the name of the secret's key.
func (s Source) Validate(key string) []Problem {
	if s.count() > 1 {
		return []Problem{{key, fmt.Sprintf("give exactly one of %[1]s, %[1]s_file, %[1]s_env, %[1]s_credential and %[1]s_command", key)}}
	}
	return nil
}

// Read gets the secret, anew at each call, so that a changed file is used at the
// next login. One line end at the end of a file's or a command's text is
// removed. The error says which way failed and what to do, without the value.
func (s Source) Read(ctx context.Context) (Secret, error) {
	switch {
	case s.File != "":
		return readFile(s.File, "file")
	case s.Env != "":
		v, found := os.LookupEnv(s.Env)
		if !found || v == "" {
			return Secret{}, fmt.Errorf("environment variable %s is not set; set it in the service's environment", s.Env)
		}
		return Secret{v}, nil
	case s.Credential != "":
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return Secret{}, fmt.Errorf("credential %s: $CREDENTIALS_DIRECTORY is not set; credentials exist only in a systemd service with LoadCredential=%s:/path", s.Credential, s.Credential)
		}
		if s.Credential != filepath.Base(s.Credential) || s.Credential == ".." {
			return Secret{}, fmt.Errorf("credential %q: the name must not contain a path", s.Credential)
		}
		return readFile(filepath.Join(dir, s.Credential), "credential")
	case len(s.Command) > 0:
		return runCommand(ctx, s.Command)
	}
	return s.Literal, nil
}

func readFile(path, what string) (Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		hint := "check the path"
		if errors.Is(err, fs.ErrPermission) {
			hint = "let the daemon's user read it"
		}
		return Secret{}, fmt.Errorf("secret %s: %w; %s", what, err, hint)
	}
	defer f.Close()
	b := make([]byte, maxSecret+1)
	n := 0
	for n < len(b) {
		k, err := f.Read(b[n:])
		n += k
		if err != nil {
			break
		}
	}
	if n > maxSecret {
		return Secret{}, fmt.Errorf("secret %s %s is larger than %d bytes; is it the right file?", what, path, maxSecret)
	}
	v := trimLineEnd(string(b[:n]))
	if v == "" {
		return Secret{}, fmt.Errorf("secret %s %s is empty", what, path)
	}
	return Secret{v}, nil
}

func runCommand(ctx context.Context, argv []string) (Secret, error) {
	ctx, cancel := context.WithTimeout(ctx, secretCommand)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errText limitedBuffer
	cmd.Stdout, cmd.Stderr = &out, &errText
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil {
		return Secret{}, fmt.Errorf("secret command %s: %w: %s", argv[0], err, strings.TrimSpace(errText.String()))
	}
	v := trimLineEnd(out.String())
	if v == "" {
		return Secret{}, fmt.Errorf("secret command %s printed nothing", argv[0])
	}
	return Secret{v}, nil
}

func trimLineEnd(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// limitedBuffer keeps the first maxSecret bytes and takes the rest without keeping it.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	if room := maxSecret - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}
