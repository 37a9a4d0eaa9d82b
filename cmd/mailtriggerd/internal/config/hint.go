package config

import (
	"fmt"
	"reflect"
	"strings"

	"mailtrigger/connection/setting"
)

// suggest returns `; did you mean "work"?` for the likest of known, or what is
// known if nothing is like it and it is short.
func suggest(name string, known []string) string {
	best := setting.DidYouMean(name, known)
	switch {
	case best != "":
		return fmt.Sprintf("; did you mean %q?", best)
	case len(known) == 0:
		return "; there is none"
	case len(known) <= 20:
		return "; there is " + strings.Join(known, ", ")
	}
	return ""
}

// suggestKey returns what an unknown key of the table t probably means, relative
// to t ("" if nothing is near), and the hint that says so.
func suggestKey(t reflect.Type, key string) (meant, hint string) {
	known := keysOf(t)
	if say, found := sayings[fold(key)]; found {
		return "", "; " + say
	}
	if meant = meaning(t, key, known); meant != "" {
		return meant, fmt.Sprintf("; did you mean %q?", meant)
	}
	if len(known) <= 12 {
		return "", "; there is " + strings.Join(known, ", ")
	}
	return "", ""
}

// meaning looks among the words of other programs, the known keys, and the keys
// of the tables below.
func meaning(t reflect.Type, key string, known []string) string {
	for _, m := range words[fold(key)] {
		if path, found := findKey(t, m); found {
			return path
		}
	}
	if best := setting.DidYouMean(key, known); best != "" {
		return best
	}
	path, _ := findKey(t, key)
	return path
}

// keysOf returns the keys of a table, its virtual ones too.
func keysOf(t reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(t) {
		keys = append(keys, f.key)
	}
	if inherits(t) {
		keys = append(keys, "extends")
	}
	return keys
}

// findKey looks for a key in the table t and the tables below it, and returns its path relative to t.
func findKey(t reflect.Type, key string) (string, bool) {
	if key == "extends" {
		return key, inherits(t)
	}
	head, rest, dotted := strings.Cut(key, ".")
	if f, found := fieldOf(t, head); found {
		if !dotted {
			return key, true
		}
		if below := f.table(); below != nil {
			_, found := findKey(below, rest)
			return key, found
		}
	}
	if dotted {
		return "", false
	}
	for _, f := range fieldsOf(t) {
		if below := f.table(); below != nil && below != t && f.typ.Kind() != reflect.Slice {
			if path, found := findKey(below, key); found {
				return f.key + "." + path, true
			}
		}
	}
	return "", false
}

// words are what other programs, and the document that the connection layer
// follows, call our keys. The first that the table has is meant. Spelling is
// folded: SecurityMode, security-mode and security_mode are one word.
var words = map[string][]string{
	"codepage":              {"code_page"},
	"charset":               {"code_page"},
	"encoding":              {"code_page"},
	"host":                  {"address"},
	"hostname":              {"address"},
	"server":                {"address", "smtp"},
	"imaphost":              {"address"},
	"imapserver":            {"address"},
	"ip":                    {"address"},
	"imapport":              {"port"},
	"user":                  {"username", "authentication.username"},
	"login":                 {"username", "authentication.username"},
	"account":               {"username", "authentication.username"},
	"email":                 {"username", "authentication.username"},
	"pass":                  {"password", "authentication.password"},
	"passwd":                {"password", "authentication.password"},
	"secret":                {"password", "authentication.password", "client_secret"},
	"passwordcommand":       {"password_command", "authentication.password_command"},
	"passcmd":               {"password_command", "authentication.password_command"},
	"sharedmailbox":         {"alias", "authentication.alias"},
	"auth":                  {"authentication", "mechanism"},
	"authmechanism":         {"mechanism", "authentication.mechanism"},
	"oauth":                 {"oauth2", "authentication.oauth2"},
	"securitymode":          {"mode", "encryption.mode"},
	"security":              {"mode", "encryption.mode"},
	"starttls":              {"mode", "encryption.mode"},
	"implicit":              {"mode", "encryption.mode"},
	"explicit":              {"mode", "encryption.mode"},
	"allowedversions":       {"versions", "encryption.versions"},
	"allowedssltlsversions": {"versions", "encryption.versions"},
	"allowedsslversions":    {"versions", "encryption.versions"},
	"allowedtlsversions":    {"versions", "encryption.versions"},
	"sslversion":            {"versions", "encryption.versions"},
	"sslversions":           {"versions", "encryption.versions"},
	"tlsversion":            {"versions", "encryption.versions"},
	"tlsversions":           {"versions", "encryption.versions"},
	"minversion":            {"versions", "encryption.versions"},
	"version":               {"versions", "encryption.versions"},
	"cryptographicprotocol": {"protocol", "encryption.protocol"},
	"encryptionprotocol":    {"protocol", "encryption.protocol"},
	"ssl":                   {"protocol", "encryption.protocol"},
	"tls":                   {"protocol", "encryption"},
	"ssltls":                {"protocol", "encryption.protocol"},
	"cafile":                {"ca_file", "encryption.ca_file"},
	"cacert":                {"ca_file", "encryption.ca_file"},
	"certificate":           {"client_certificate_file", "certificate_file", "encryption.client_certificate_file"},
	"cert":                  {"client_certificate_file", "certificate_file", "encryption.client_certificate_file"},
	"certfile":              {"client_certificate_file", "certificate_file", "encryption.client_certificate_file"},
	"clientcertificate":     {"client_certificate_file", "encryption.client_certificate_file"},
	"clientkey":             {"client_key_file", "encryption.client_key_file"},
	"keyfile":               {"client_key_file", "encryption.client_key_file"},
	"fingerprint":           {"pin_sha256", "encryption.pin_sha256"},
	"insecure":              {"insecure_skip_verify", "encryption.insecure_skip_verify"},
	"verify":                {"insecure_skip_verify", "encryption.insecure_skip_verify"},
	"sni":                   {"server_name", "encryption.server_name"},
	"proxytype":             {"type", "proxy.type"},
	"proxyaddress":          {"address", "proxy.address"},
	"proxyhost":             {"address", "proxy.address"},
	"proxyport":             {"port", "proxy.port"},
	"proxyusername":         {"username", "proxy.username"},
	"proxyuser":             {"username", "proxy.username"},
	"proxypassword":         {"password", "proxy.password"},
	"proxydomain":           {"domain", "proxy.domain"},
	"usecredentials":        {"use_credentials", "proxy.use_credentials"},
	"connectiontimeout":     {"timeout"},
	"inherit":               {"extends"},
	"base":                  {"extends"},
	"provider":              {"preset", "provider"},

	"connections":       {"connection"},
	"mailbox":           {"mailboxes"},
	"folder":            {"mailboxes", "mailbox"},
	"folders":           {"mailboxes"},
	"conditions":        {"condition"},
	"filter":            {"condition"},
	"filters":           {"condition"},
	"rule":              {"condition"},
	"actions":           {"action"},
	"task":              {"action"},
	"tasks":             {"action"},
	"codepagemode":      {"code_page_mode"},
	"concurrent":        {"concurrency"},
	"equals":            {"is"},
	"equal":             {"is"},
	"regex":             {"matches", "regex"},
	"regexp":            {"matches", "regex"},
	"match":             {"match", "matches"},
	"greater":           {"above"},
	"less":              {"below"},
	"cmd":               {"command"},
	"args":              {"command"},
	"argv":              {"command"},
	"cwd":               {"directory"},
	"dir":               {"directory"},
	"path":              {"directory", "file"},
	"environment":       {"env"},
	"environ":           {"env"},
	"sender":            {"from"},
	"recipient":         {"to"},
	"recipients":        {"to"},
	"rcpt":              {"to"},
	"message":           {"body"},
	"text":              {"body"},
	"content":           {"body"},
	"attach":            {"as_attachment"},
	"uri":               {"url"},
	"header":            {"headers"},
	"continue":          {"continue_on_error"},
	"ignoreerror":       {"continue_on_error"},
	"maxretries":        {"retry.attempts", "attempts"},
	"retries":           {"retry.attempts", "attempts"},
	"loglevel":          {"log.level"},
	"statedirectory":    {"state_dir"},
	"datadir":           {"state_dir"},
	"includes":          {"include"},
	"listenaddress":     {"listen", "metrics.listen"},
	"subjects":          {"show_subjects"},
	"ratelimit":         {"connect_rate", "limit"},
	"socket":            {"control"},
	"interval":          {"poll_interval", "session.poll_interval"},
	"pollinterval":      {"poll_interval", "session.poll_interval"},
	"idletimeout":       {"idle_refresh", "session.idle_refresh"},
	"clientid":          {"client_id", "authentication.oauth2.client_id"},
	"clientsecret":      {"client_secret", "authentication.oauth2.client_secret"},
	"refreshtoken":      {"refresh_token_file"},
	"maxattachmentsize": {"max_size"},
}

// sayings are for words that no key stands for.
var sayings = map[string]string{
	"name":     "the table's own name is the name: [connection.NAME], [trigger.NAME]",
	"operator": operators,
	"value":    operators,
}

const operators = `the operator is the key: is = "...", or is_not, contains, not_contains, matches, not_matches, glob, above, below`

// fold takes what does not matter from a spelling.
func fold(s string) string {
	return strings.NewReplacer("_", "", "-", "", " ", "", "/", "").Replace(strings.ToLower(s))
}
