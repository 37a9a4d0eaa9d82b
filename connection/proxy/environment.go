package proxy

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpproxy"

	"mailtrigger/connection/setting"
)

// environment takes the proxy from environment variables, at each dial:
//
//   - The first that is set and not empty of ALL_PROXY, all_proxy, HTTPS_PROXY
//     and https_proxy is used. HTTP_PROXY is not: it is for plain HTTP, which
//     is never spoken here.
//   - Its value is a URL, scheme://user:password@host:port, with one of the
//     schemes http, https, socks4, socks4a, socks5, socks5h and socks (the last
//     two are socks5). Without a scheme it is http. User and password are
//     percent-encoded; a user with a backslash is DOMAIN\user for NTLM.
//   - NO_PROXY, or no_proxy, lists what is reached directly, separated by
//     commas: "*" (everything), an IP address, a range (10.0.0.0/8), a domain
//     (example.com: with all names below it; .example.com: only those below),
//     each optionally with a :port.
//   - localhost and loopback addresses are always reached directly.
//   - Nothing set: everything is reached directly.
type environment struct{ forward ContextDialer }

// DialContext implements ContextDialer.
func (e *environment) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	name, value := proxyOfEnvironment()
	if value == "" || bypassed(address) {
		return e.forward.DialContext(ctx, network, address)
	}
	cfg, err := parseProxyURL(value)
	if err != nil {
		return nil, &Error{Proxy: "environment " + name, Stage: StageConfig, Text: fmt.Sprintf("$%s %v", name, err), Hint: "give it as scheme://host:port", Permanent: true}
	}
	d, err := cfg.Dialer(e.forward)
	if err != nil {
		return nil, err
	}
	return d.DialContext(ctx, network, address)
}

func proxyOfEnvironment() (name, value string) {
	return firstSet("ALL_PROXY", "all_proxy", "HTTPS_PROXY", "https_proxy")
}

func firstSet(names ...string) (name, value string) {
	for _, n := range names {
		if v := os.Getenv(n); v != "" {
			return n, v
		}
	}
	return "", ""
}

// bypassed reports whether NO_PROXY exempts the address, by the rules of
// x/net/http/httpproxy.
func bypassed(address string) bool {
	_, no := firstSet("NO_PROXY", "no_proxy")
	choose := (&httpproxy.Config{HTTPSProxy: "http://proxy.invalid", NoProxy: no}).ProxyFunc()
	u, err := choose(&url.URL{Scheme: "https", Host: address})
	return err == nil && u == nil
}

// parseProxyURL reads a proxy's URL. Its errors do not hold the value, as there
// may be a password in it.
func parseProxyURL(value string) (*Config, error) {
	if !strings.Contains(value, "://") {
		value = "http://" + value
	}
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("is not the URL of a proxy")
	}
	c := &Config{Type: strings.ToLower(u.Scheme), Address: u.Hostname()}
	switch c.Type {
	case "socks", "socks5h":
		c.Type = "socks5"
	case "http", "https", "socks4", "socks4a", "socks5":
	default:
		return nil, fmt.Errorf("has the unknown scheme %q", setting.Printable(u.Scheme, 30))
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return nil, fmt.Errorf("has a port that is not from 1 to 65535")
		}
		c.Port = int(n)
	}
	if u.User != nil {
		c.Username = u.User.Username()
		if c.isHTTP() {
			if domain, user, found := strings.Cut(c.Username, `\`); found {
				c.Domain, c.Username = domain, user
			}
		}
		password, _ := u.User.Password()
		if c.Type != "socks4" && c.Type != "socks4a" {
			c.Password = setting.Source{Literal: setting.NewSecret(password)}
		}
	}
	c.SetDefaults()
	return c, nil
}
