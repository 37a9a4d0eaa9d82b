package config

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"mailtrigger/connection/setting"
)

// A secret is a key that holds one, or says where it is.
type secret struct {
	at    *node
	field field
}

// guard checks who can read the secrets written in the files, and, if asked to,
// whether those kept elsewhere can be read.
func (l *loader) guard(files []string) {
	for _, file := range files {
		l.guardFile(file)
	}
	if !l.options.CheckSecrets {
		return
	}
	for _, s := range l.secrets {
		l.look(s)
	}
}

// guardFile refuses a file that holds a secret and can be read by everybody,
// and warns of one that everybody can write.
func (l *loader) guardFile(file string) {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return
	}
	const readable, writable = fs.FileMode(0o004), fs.FileMode(0o002)
	if info.Mode()&writable != 0 {
		l.config.Warnings = append(l.config.Warnings, Problem{File: file, Text: "everybody on this machine can change this file, and so run programs as the daemon; run: chmod o-w " + file})
	}
	if info.Mode()&readable == 0 {
		return
	}
	for _, s := range l.secrets {
		if s.field.part == literal && s.at.file == file && !isPublic(s) {
			l.add(Problem{file, s.at.line, s.at.path, fmt.Sprintf("this file holds a secret here and everybody on this machine can read it; run: chmod o-rwx %s", file)})
			return
		}
	}
}

// isPublic reports whether a literal is no secret after all: a URL without a
// password in it, or a header field that does not say who asks.
func isPublic(s secret) bool {
	if s.field.key == "headers" {
		name := strings.ToLower(s.at.path[strings.LastIndexByte(s.at.path, '.')+1:])
		return !credentials.MatchString(name)
	}
	if s.field.key == "url" {
		return !userinfo.MatchString(s.at.text())
	}
	return false
}

// credentials are the header fields that say who asks.
var credentials = regexp.MustCompile(`authorization|cookie|token|secret|password|api-?key`)

// look reports a secret that cannot be read. Programs are not run for it. A
// systemd credential exists only in the service, so outside of it there is nothing to look at.
func (l *loader) look(s secret) {
	switch s.field.part {
	case fromFile:
		l.lookInto(s.at, l.absolute(s.at.text()), "")
	case fromEnv:
		if l.options.Getenv(s.at.text()) == "" {
			l.problem(s.at, "environment variable %s is not set; set it in the service's environment", s.at.text())
		}
	case credential:
		dir, name := l.options.Getenv("CREDENTIALS_DIRECTORY"), s.at.text()
		if dir == "" {
			return
		}
		if name != filepath.Base(name) || name == ".." {
			l.problem(s.at, "credential %q: the name must not contain a path", name)
			return
		}
		l.lookInto(s.at, filepath.Join(dir, name), "; add LoadCredential="+name+":/path to the service")
	}
}

// lookInto reports that the secret in a file cannot be read, and warns if everybody
// can. A pipe is left alone: what is read from it here the login would lack.
func (l *loader) lookInto(at *node, file, hint string) {
	info, err := os.Stat(file)
	switch {
	case err == nil && info.IsDir():
		l.problem(at, "%s is a directory; name the file with the secret", file)
		return
	case err == nil && !info.Mode().IsRegular():
		return
	}
	if _, err := (setting.Source{File: file}).Read(context.Background()); err != nil {
		l.problem(at, "%v%s", err, hint)
		return
	}
	if info != nil && info.Mode()&0o004 != 0 {
		l.config.Warnings = append(l.config.Warnings, Problem{at.file, at.line, at.path, "everybody on this machine can read this secret; run: chmod o-rwx " + file})
	}
}
