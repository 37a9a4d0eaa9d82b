package auth

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// store keeps the refresh token of one account in a file of its own, mode 0600.
// It is read at each use, as --authorize and other processes write it, and
// replaced as a whole (a temporary file, synced, renamed), so that neither a crash
// nor a full disk leaves half of one: a provider that rotates refresh tokens takes
// each once.
type store struct {
	path string // "": there is no place

	mu sync.Mutex
	// A token that could not be stored is used in place of the one it replaces.
	replaced, replacement string
}

var errNoRefreshToken = errors.New("no refresh token is stored")

func newStore(file, stateDir, connection string) *store {
	if file == "" && stateDir != "" && connection != "" {
		file = filepath.Join(stateDir, "oauth2", url.PathEscape(connection)+".refresh-token")
	}
	return &store{path: file}
}

// load returns the refresh token, or errNoRefreshToken.
func (s *store) load() (string, error) {
	if s.path == "" {
		return "", errors.New("there is neither refresh_token_file nor a state directory")
	}
	b, err := readFile(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", errNoRefreshToken
	}
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(b))
	if token == "" {
		return "", errNoRefreshToken
	}
	if hasControl(token) {
		return "", errors.New(s.path + " holds more than a refresh token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.replacement != "" && token == s.replaced {
		return s.replacement, nil
	}
	return token, nil
}

// modified is when the file was last written; zero where there is none.
func (s *store) modified() time.Time {
	info, err := os.Stat(s.path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// rotate stores the token that the server has given in place of old.
func (s *store) rotate(old, token string) error {
	err := s.save(token)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.replaced, s.replacement = "", ""
		return nil
	}
	if s.replacement == "" {
		s.replaced = old
	}
	s.replacement = token
	return err
}

// save stores the token. It makes the directory if need be.
func (s *store) save(token string) (err error) {
	if s.path == "" {
		return errors.New("there is neither refresh_token_file nor a state directory")
	}
	if hasControl(token) {
		return errors.New("the server's refresh token holds control characters")
	}
	dir := filepath.Dir(s.path)
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := giveAway(dir, filepath.Dir(dir)); err != nil {
			return err
		}
	}
	f, err := os.CreateTemp(dir, ".refresh-token-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.WriteString(token + "\n"); err != nil {
		return err
	}
	if err = giveAway(f.Name(), s.path, dir); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), s.path); err != nil {
		return err
	}
	return syncDir(dir)
}
