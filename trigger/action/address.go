package action

import (
	"context"
	"errors"
	"net"
	"net/url"
	"strings"

	"mailtrigger/trigger/event"
)

// An address is a webhook's URL: all but its query is fixed, so that no mail chooses
// where the event goes. What a template puts into the query is escaped.
type address struct {
	fixed url.URL
	query *text
}

func newAddress(s string) (*address, error) {
	head, query, hasQuery := strings.Cut(s, "?")
	if i := strings.LastIndexByte(query, '#'); i >= 0 && !strings.Contains(query[i:], "}}") {
		query = query[:i] // a fragment is never sent
	}
	if isTemplateText(head) {
		return nil, errors.New("a template may be in the query only (after ?): the rest is fixed, so that no mail chooses where the event goes")
	}
	u, err := url.Parse(head)
	switch {
	case err != nil:
		return nil, errors.New("is no URL; write https://host/path, and percent-encode what has a meaning in URLs") // err may quote a password
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "", u.Opaque != "":
		return nil, errors.New("write a whole URL: https://host/path")
	}
	u.Fragment, u.RawFragment = "", ""
	a := &address{fixed: *u}
	a.fixed.ForceQuery = hasQuery && query == ""
	if a.query, err = newText(query, maxText, "query"); err != nil {
		return nil, err
	}
	return a, nil
}

// url returns the URL for an event.
func (a *address) url(ctx context.Context, e *event.Event) (*url.URL, error) {
	u := a.fixed
	query, err := a.query.run(ctx, e)
	if err != nil {
		return nil, err
	}
	u.RawQuery = query
	if _, err := url.Parse(u.String()); err != nil {
		return nil, errors.New("the query is not one any more; escape what it is made of with urlquery")
	}
	return &u, nil
}

// shown is a URL for people: what are likely secrets, the password and the values of
// parameters so named, are hidden.
func (a *address) shown(u *url.URL) string {
	c := *u
	user := c.User
	c.User = nil
	pairs := strings.Split(c.RawQuery, "&")
	for i, pair := range pairs {
		if name, value, _ := strings.Cut(pair, "="); value != "" && sensitive(name) {
			pairs[i] = name + "=<secret>"
		}
	}
	c.RawQuery = strings.Join(pairs, "&")
	s := c.String()
	if user != nil {
		s = strings.Replace(s, "://", "://"+user.Username()+":<secret>@", 1)
	}
	return s
}

// kindOf says what kind of error it is without what it is about.
func kindOf(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &dns):
		return "its host's name cannot be resolved"
	case errors.As(err, &op) && op.Op == "dial":
		return "no connection: " + op.Err.Error()
	case errors.As(err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return "the request failed"
}
