package authres

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"mailtrigger/connection/setting"
	"mailtrigger/trigger/message"
)

// Judge reports whether a message's author is authenticated by what the server
// serverID wrote into it, and why, for people. The message's header is enough.
func Judge(m *message.Message, serverID string) (ok bool, why string) {
	if serverID == "" {
		return false, "the connection has no authserv_id: nobody is believed"
	}
	author, ok := m.Author()
	if !ok {
		return false, "the author is in doubt: not exactly one From field with one address, or a header that had to be mended"
	}
	domain := domainOf(author)
	if domain == "" || !strings.Contains(author, "@") {
		return false, "the author's address has no domain"
	}
	f, why := believed(m.Trace(), serverID)
	if f == nil {
		return false, why
	}
	return f.judge(domain)
}

// believed returns the field that the trusted server wrote; nil, and why, if there is none.
func believed(trace []message.Header, serverID string) (*Field, string) {
	passed := false // the Received field of the trusted server
	for _, h := range trace {
		if strings.EqualFold(h.Name, "Received") {
			switch by := receivedBy(h.Value); {
			case sameServer(by, serverID):
				passed = true
			case passed && !isInternal(by):
				return nil, fmt.Sprintf("no Authentication-Results of %s above the Received field of %s, where the trusted part of the header ends", show(serverID), show(by))
			}
			continue
		}
		id := (&parser{s: h.Value}).serverID()
		if !strings.EqualFold(id, serverID) {
			continue
		}
		f, err := Parse(h.Value)
		if err != nil {
			return nil, fmt.Sprintf("the topmost Authentication-Results of %s is not believed: %v", show(serverID), err)
		}
		return f, ""
	}
	return nil, "no Authentication-Results of " + show(serverID)
}

// serverID reads the first word of a field, whatever comes after it.
func (p *parser) serverID() string {
	if len(p.s) > maxField {
		p.s = p.s[:maxField]
	}
	p.blanks()
	return p.value()
}

// judge says whether the results of a field authenticate a domain.
func (f *Field) judge(domain string) (ok bool, why string) {
	passed := false
	for _, r := range f.Results {
		if r.Method != "dmarc" {
			continue
		}
		from, named := r.Properties["header.from"]
		switch {
		case r.Value == "fail" || r.Value == "permerror" || r.Value == "temperror":
			return false, "dmarc=" + r.Value
		case r.Value == "pass" && named && !aligned(domainOf(from), domain):
			return false, fmt.Sprintf("dmarc=pass is for %s, not for %s", show(from), show(domain))
		case r.Value == "pass":
			passed = true
		}
	}
	if passed {
		return true, "dmarc=pass for " + show(domain)
	}
	var others []string
	for _, r := range f.Results {
		var of string
		switch r.Method {
		case "dkim":
			if of = r.Properties["header.d"]; of == "" {
				of = r.Properties["header.i"]
			}
		case "spf":
			of = r.Properties["smtp.mailfrom"]
		default:
			continue
		}
		if r.Value != "pass" {
			others = append(others, r.Method+"="+r.Value)
			continue
		}
		if aligned(domainOf(of), domain) {
			return true, fmt.Sprintf("%s=pass for %s, aligned with %s", r.Method, show(domainOf(of)), show(domain))
		}
		others = append(others, fmt.Sprintf("%s=pass for %s", r.Method, show(of)))
	}
	if others == nil {
		return false, "no result of dmarc, dkim or spf"
	}
	if len(others) > 5 {
		others = others[:5]
	}
	return false, "nothing passes for " + show(domain) + ": " + strings.Join(others, ", ")
}

// aligned reports whether two domains belong to one organization (RFC 7489,
// section 3.1, relaxed).
func aligned(a, b string) bool {
	return a != "" && b != "" && (a == b || organization(a) != "" && organization(a) == organization(b))
}

// organization returns the domain that somebody registered, "" if there is none.
func organization(domain string) string {
	org, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return org
}

// domainOf returns the domain of an address, or of a domain, in lower-case ASCII.
func domainOf(address string) string {
	address = strings.Trim(address, "<>")
	domain := strings.TrimSuffix(address[strings.LastIndexByte(address, '@')+1:], ".")
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || len(ascii) > 253 || strings.Trim(ascii, ".") != ascii {
		return ""
	}
	return strings.ToLower(ascii)
}

// receivedBy returns the server that added a Received field, "" if it does not say
// (RFC 5321, section 4.4): the word after "by" that is in no comment.
func receivedBy(value string) string {
	if len(value) > maxField {
		return ""
	}
	for p := (&parser{s: value}); ; {
		p.blanks()
		before := p.i
		word := p.value()
		if p.end() || p.i == before {
			return ""
		}
		if strings.EqualFold(word, "by") {
			p.blanks()
			return strings.ToLower(strings.TrimSuffix(p.value(), "."))
		}
	}
}

// sameServer reports whether a host is the trusted server, or one of its organization.
func sameServer(host, serverID string) bool {
	return host != "" && (strings.EqualFold(host, serverID) || aligned(domainOf(host), domainOf(serverID)))
}

// isInternal reports whether a host's name is one that is only used within a
// network, where a message goes through filters.
func isInternal(host string) bool {
	if ip, err := netip.ParseAddr(strings.TrimPrefix(strings.Trim(host, "[]"), "ipv6:")); err == nil {
		return ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	if !strings.Contains(host, ".") {
		return true
	}
	for _, end := range []string{".local", ".localdomain", ".internal", ".lan", ".home.arpa", ".localhost"} {
		if strings.HasSuffix(host, end) {
			return true
		}
	}
	return false
}

// show makes a stranger's text fit for a line.
func show(s string) string {
	if s == "" {
		return "nobody"
	}
	return setting.Printable(s, 100)
}
