package connection

import "context"

// Authorize has a person consent to the connection's OAuth 2.0 access and stores
// the refresh token that this gives: see auth.Authenticator.Authorize.
func (d *Dialer) Authorize(ctx context.Context, cfg *Config, prompt func(url, code string)) error {
	ctx, stop := d.bound(ctx)
	defer stop()
	s, err := d.share(cfg)
	if err != nil {
		return err
	}
	return s.auth.Authorize(ctx, prompt)
}
