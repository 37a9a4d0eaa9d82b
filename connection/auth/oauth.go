package auth

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"time"

	"mailtrigger/connection/setting"
)

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

func (o *OAuth2) setDefaults(string) {}

func (o *OAuth2) validate(string) []setting.Problem { return nil }

type token struct {
	access string
	expiry time.Time
}

type tokens struct{}

func newTokens(*OAuth2, string, Options) (*tokens, error) { return &tokens{}, nil }

func (t *tokens) get(context.Context) (*token, error) { return nil, errors.New("no token") }

func (a *Authenticator) forget(*token) bool { return false }
