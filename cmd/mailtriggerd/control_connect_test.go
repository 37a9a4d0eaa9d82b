package main

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection"
)

// serviceWithSecrets is a service with secrets in its environment and credentials,
// which calls beside it do not have.
func serviceWithSecrets(t *testing.T, configuration string, secrets map[string]string) *daemonUnderTest {
	t.Helper()
	d := newService(t, configuration)
	credentials := d.path("credentials")
	if err := os.Mkdir(credentials, 0o700); err != nil {
		t.Fatal(err)
	}
	d.env = append(d.env, "CREDENTIALS_DIRECTORY="+credentials)
	for name, value := range secrets {
		d.write("credentials/"+name, value)
		d.env = append(d.env, strings.ToUpper(name)+"="+value)
	}
	return d
}

// A connection is tested beside the daemon with the daemon's secrets: those of
// its environment and of systemd, that no other process has.
func TestConnectionIsTestedByTheDaemon(t *testing.T) {
	srv := newMailServer(t)
	for key, source := range map[string]string{"password_env": "OFFICE", "password_credential": "office"} {
		t.Run(key, func(t *testing.T) {
			config := strings.Replace(officeConfig(srv, `metrics.listen = ""`, invoiceTrigger), `password_file = "password"`, key+` = "`+source+`"`, 1)
			d := serviceWithSecrets(t, config, map[string]string{"office": servicePassword})
			if out, _, code := d.call("--test-connection", "office"); code != exitFailed || !strings.Contains(out, "FAIL") {
				t.Errorf("without the daemon and its secrets: %d\n%s", code, out)
			}
			d.start()
			d.says(1, 30*time.Second, "watching from now on")
			out, stderr, code := d.call("--test-connection", "office")
			if code != exitOK || !strings.Contains(out, "office: good") || stderr != "" {
				t.Errorf("beside the daemon: %d\n%s%s", code, out, stderr)
			}
			out, _, _ = d.call("--test-connection", "office", "--json")
			if r := jsonLines[checkResult](t, out); len(r) != 1 || !r[0].OK || r[0].Steps[0].Step != connection.StageSecrets || len(r[0].Steps) < 8 {
				t.Errorf("%s", out)
			}

			// What the file says now counts, reloaded or not.
			d.write("config.toml", strings.Replace(config, "[connection.office]", "[connection.next]\nextends = \"office\"\n[connection.office]", 1))
			if out, stderr, code := d.call("--test-connection", "next"); code != exitOK {
				t.Errorf("a connection that is not loaded yet: %d\n%s%s", code, out, stderr)
			}
			// Another file is none of the daemon's business.
			d.write("other.toml", strings.Replace(config, "[log]", "", 1))
			d.write("config.toml", config)
			out, stderr, code = d.call("--config", d.path("other.toml"), "--test-connection", "office")
			if code != exitFailed || !strings.Contains(stderr, "has another config") {
				t.Errorf("by another file: %d\n%s%s", code, out, stderr)
			}
		})
	}
}

// A connection whose login was refused is tried again in 20 minutes or more; at once
// when somebody who has mended the password tests it, or reloads.
func TestMendedPasswordIsTriedAtOnce(t *testing.T) {
	for _, how := range []string{"test", "reload"} {
		t.Run(how, func(t *testing.T) {
			srv := newMailServer(t)
			d := newService(t, officeConfig(srv, `metrics.listen = ""`, invoiceTrigger))
			d.write("password", "wrong\n")
			d.start()
			d.says(1, 30*time.Second, "cannot connect")
			d.write("password", servicePassword+"\n")
			if how == "test" {
				if out, stderr, code := d.call("--test-connection", "office"); code != exitOK {
					t.Fatalf("%d\n%s%s", code, out, stderr)
				}
			} else {
				d.signal(syscall.SIGHUP)
			}
			d.says(1, 30*time.Second, "watching from now on")
		})
	}
}
