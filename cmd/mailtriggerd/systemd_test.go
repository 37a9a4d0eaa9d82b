package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest/rigtest"
)

// unit puts the unit, and a drop-in of all that the example offers, where
// systemd-analyze finds them. The program is there, as systemd wants to see one.
func unit(t *testing.T, withDropIn bool) (path string) {
	t.Helper()
	dir := t.TempDir()
	text := readFile(t, filepath.Join(root, "systemd", "mailtriggerd.service"))
	if n := strings.Count(text, "/usr/local/bin/mailtriggerd --config /etc/mailtriggerd/config.toml"); n < 1 {
		t.Fatalf("the unit does not run the program")
	}
	text = strings.ReplaceAll(text, "/usr/local/bin/mailtriggerd", "/bin/true")
	text = regexp.MustCompile(`(?m)^#(LoadCredential=)`).ReplaceAllString(text, "$1")
	path = filepath.Join(dir, "mailtriggerd.service")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if withDropIn {
		example := readFile(t, filepath.Join(root, "systemd", "actions.conf.example"))
		used := regexp.MustCompile(`(?m)^#([A-Z][A-Za-z]+=)`).ReplaceAllString(example, "$1")
		if used == example {
			t.Fatal("the drop-in offers nothing")
		}
		if err := os.Mkdir(path+".d", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(path+".d", "actions.conf"), []byte(used), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func TestUnitVerify(t *testing.T) {
	analyze := rigtest.Tool(t, "systemd-analyze", "systemd")
	for _, withDropIn := range []bool{false, true} {
		out, err := exec.Command(analyze, "verify", unit(t, withDropIn)).CombinedOutput()
		if err != nil || bytes.Contains(out, []byte("mailtriggerd")) || bytes.Contains(out, []byte("actions.conf")) {
			t.Errorf("with the drop-in %v: %v\n%s", withDropIn, err, out)
		}
	}
}

// The unit's exposure is at most 2.0 of 10.
func TestUnitSecurity(t *testing.T) {
	analyze := rigtest.Tool(t, "systemd-analyze", "systemd")
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", unit(t, false)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	m := regexp.MustCompile(`Overall exposure level for mailtriggerd.service: ([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		t.Fatalf("no level in\n%s", out)
	}
	if level, err := strconv.ParseFloat(string(m[1]), 64); err != nil || level > 2.0 {
		t.Errorf("exposure %s, want 2.0 or less\n%s", m[1], out)
	}
}

// The exit codes that a restart cannot mend are the program's.
func TestUnitExitCodes(t *testing.T) {
	text := readFile(t, filepath.Join(root, "systemd", "mailtriggerd.service"))
	want := strings.Join([]string{"RestartPreventExitStatus=" + strconv.Itoa(exitUsage), strconv.Itoa(exitState), strconv.Itoa(exitRunning), strconv.Itoa(exitConfig)}, " ")
	if !strings.Contains(text, "\n"+want+"\n") {
		t.Errorf("the unit has not %s", want)
	}
}

// SIGHUP, the unit's ExecReload, tells of a mistake in the config and ends nothing, and takes a good one.
func TestHangup(t *testing.T) {
	srv := newMailServer(t)
	n := newNotifySocket(t)
	d := newService(t, officeConfig(srv, `metrics.listen = "unix:@DIR@/m.sock"`, invoiceTrigger))
	d.env = []string{"NOTIFY_SOCKET=" + n.path}
	d.start()
	n.until("READY=1")
	good := readFile(t, d.path("config.toml"))
	d.write("config.toml", strings.Replace(good, "timeout", "timeuot", 1))
	_ = d.cmd.Process.Signal(syscall.SIGHUP)
	n.until("RELOADING=1\nMONOTONIC_USEC=")
	n.until("READY=1")
	d.says(1, 30*time.Second, "level=ERROR", "was not reloaded", "timeuot")
	if text := scrapeService(t, d); !strings.Contains(text, "\nmailtriggerd_config_last_reload_successful 0\n") {
		t.Error("the metric does not tell of the mistake")
	}
	d.write("config.toml", good)
	_ = d.cmd.Process.Signal(syscall.SIGHUP)
	n.until("READY=1")
	d.says(1, 30*time.Second, "the configuration was reloaded")
	if text := scrapeService(t, d); !strings.Contains(text, "\nmailtriggerd_config_last_reload_successful 1\n") {
		t.Error("the metric does not tell that the mistake is mended")
	}
	if code := d.terminate(); code != exitOK {
		t.Errorf("exit code %d\n%s", code, d.log())
	}
}
