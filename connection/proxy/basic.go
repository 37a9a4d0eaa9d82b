package proxy

import "encoding/base64"

// basic is the Basic scheme (RFC 7617), in UTF-8. It is sent at once if it is
// configured; with "auto" it is the last resort.
type basic struct{ c *call }

func (b *basic) first() (string, error) {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(b.c.username+":"+b.c.password.Reveal())), nil
}

func (b *basic) next(string) (string, bool, error) {
	if b.c.cfg.Authentication == "basic" { // it was in the first request already
		return "", false, nil
	}
	c := *b.c
	c.cfg.Authentication = "basic"
	b.c = &c
	a, err := b.first()
	return a, true, err
}
