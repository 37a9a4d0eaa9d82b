package condition

import (
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"mailtrigger/trigger/message"
)

// RecipientFields are the header fields whose addresses are the field recipient:
// those that people write, and those that servers add for whom they deliver to.
var RecipientFields = []string{
	"To", "Cc", "Bcc", "Resent-To", "Resent-Cc", "Resent-Bcc",
	"Delivered-To", "X-Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "Original-Recipient", "Apparently-To", "X-Rcpt-To",
}

// recipients returns all that RecipientFields name, each address once.
func recipients(m *message.Message) (list []message.Address) {
	list = slices.Concat(m.To, m.Cc, m.Bcc)
	for _, h := range m.Headers {
		i := slices.IndexFunc(RecipientFields, func(name string) bool { return strings.EqualFold(name, h.Name) })
		if i < 3 || len(list) >= message.MaxAddresses {
			continue
		}
		if _, address, typed := strings.Cut(h.Value, ";"); typed && RecipientFields[i] == "Original-Recipient" {
			h.Value = address // RFC 3798, section 2.3: rfc822;anna@example.com
		}
		list = append(list, message.ParseAddresses(h.Value)...)
	}
	seen := make(map[string]bool, len(list))
	return slices.DeleteFunc(list, func(a message.Address) bool {
		key := a.Name + "\x00" + a.Address
		if a.Name == "" {
			key = a.Address
		}
		defer func() { seen[key], seen[a.Address] = true, true }()
		return seen[key]
	})
}

// valuesOf returns addresses as conditions compare them: alone, or as "Name <address>".
func valuesOf(list []message.Address, alone bool) []value {
	values := make([]value, 0, len(list))
	for _, a := range list {
		v := value{show: a.Address, also: otherSpellings(a.Address)}
		if !alone && a.Name != "" {
			v.show = withName(a.Name, a.Address)
			for i := range v.also {
				v.also[i] = withName(a.Name, v.also[i])
			}
		}
		values = append(values, v)
	}
	return values
}

func withName(name, address string) string { return name + " <" + address + ">" }

// otherSpellings returns the address with its domain in the other form, Unicode
// or ASCII (RFC 5891), so that people may write the one that they know.
func otherSpellings(address string) (list []string) {
	at := strings.LastIndexByte(address, '@')
	domain := address[at+1:]
	if at < 0 || len(domain) > 255 || !strings.Contains(strings.ToLower(domain), "xn--") && isASCII(domain) {
		return nil
	}
	if u, err := idna.Lookup.ToUnicode(domain); err == nil && u != domain {
		list = append(list, address[:at+1]+u)
	}
	if a, err := idna.Lookup.ToASCII(domain); err == nil && a != domain {
		list = append(list, address[:at+1]+a)
	}
	return list
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}
