package config

import (
	"strings"
	"testing"
)

const canaries = `[connection.work]
address = "imap.example.com"
[connection.work.authentication]
username = "ops"
password = "canaryOne"
[connection.home]
preset = "office365"
[connection.home.authentication]
username = "ops@example.com"
[connection.home.authentication.oauth2]
provider = "microsoft"
grant = "client_credentials"
tenant = "t"
client_id = "c"
client_secret = 'canaryTwo'
[connection.home.proxy]
type = "http"
address = "proxy.example.com"
username = "ops"
password = """canaryThree"""
[connection.third]
address = "imap.example.com"
authentication = {username = "ops", password = "canaryFour"}
[trigger.t]
connection = "*"
[[trigger.t.action]]
type = "webhook"
url = "https://me:canaryFive@example.com/?token=canarySeven"
headers.Authorization = "Bearer canarySix"
`

// TestNoSecretIsShown makes every mistake of one character around secrets: one
// more, one less, a character twice. Nothing that is said may show a secret.
func TestNoSecretIsShown(t *testing.T) {
	dir := t.TempDir()
	tries, wrong := 0, 0
	try := func(text string) {
		tries++
		_, problems := Load(writeFile(t, dir, text), Options{})
		if problems != nil {
			wrong++
		}
		for _, p := range problems {
			if strings.Contains(p.Error(), "anary") {
				t.Errorf("a secret is shown: %s\nof:\n%s", p.Error(), text)
			}
		}
	}
	try(canaries)
	if wrong > 0 {
		t.Fatal("the text has mistakes before any is made")
	}
	for line := range strings.Lines(canaries) {
		if !strings.Contains(line, "canary") {
			continue
		}
		at := strings.Index(canaries, line)
		for i := at; i < at+len(line); i++ {
			try(canaries[:i] + canaries[i+1:])
			for _, c := range []string{`"`, "'", "=", "[", "{", "#", ".", "\n", "\\", "\xff", "0", ":"} {
				try(canaries[:i] + c + canaries[i:])
			}
		}
	}
	if wrong < tries/3 {
		t.Errorf("only %d of %d changes were mistakes", wrong, tries)
	}
}
