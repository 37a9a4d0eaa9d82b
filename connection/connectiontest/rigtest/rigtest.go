// Package rigtest gives tests the rig of real servers in connection/testdata/rig:
// Dovecot, Cyrus, proxies of every kind, an OAuth 2.0 server.
//
// Each test process that asks for a unit gets a rig of its own, on free ports, so
// that packages tested at the same time do not break each other's servers. Where
// the servers are not installed, tests are skipped; with CI=true they fail.
//
// A package that uses it has
//
//	func TestMain(m *testing.M) { os.Exit(rigtest.Main(m)) }
//
// To work on one test for long, keep a rig running and export what it prints:
// where RIG_DIR is set, that rig is used.
package rigtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

var rig struct {
	sync.Mutex
	dir      string   // "" until the first unit is asked for
	base     int      // its first port
	lock     *os.File // keeps other processes off the ports
	started  map[string]bool
	settings map[string]string
}

// Main runs the tests and removes the rig, if one was started. It returns the
// exit code.
func Main(m *testing.M) int {
	code := m.Run()
	rig.Lock()
	defer rig.Unlock()
	if rig.lock != nil {
		if out, err := command("clean").CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "rig clean: %v\n%s", err, out)
		}
		os.RemoveAll(rig.dir)
		rig.lock.Close()
	}
	return code
}

// Setting returns a setting that the rig prints for a unit ("RIG_MAIN_IMAPS"), or
// for all ("RIG_CA"), and starts the unit if need be.
func Setting(t testing.TB, name string) string {
	t.Helper()
	unit := unitOf(name)
	Start(t, unit)
	rig.Lock()
	defer rig.Unlock()
	v, ok := rig.settings[name]
	if !ok {
		t.Fatalf("the rig has no setting %s", name)
	}
	return v
}

// unitOf returns the unit whose setting it is; main for a common one.
func unitOf(setting string) string {
	name := strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(setting, "RIG_"), "_", "-"))
	found := "main"
	longest := 0
	for _, u := range units {
		if (name == u || strings.HasPrefix(name, u+"-")) && len(u) > longest {
			found, longest = u, len(u)
		}
	}
	return found
}

var units = strings.Fields(`oauth toxiproxy haproxy main plain tls10 tls11 tls12 tls13 expired wronghost selfsigned
	mtls external limit minimal dot cyrus submission sink socks socksauth socks4 microsocks tinyproxy tinyproxy-basic
	squid-basic squid-digest squid-ntlm squid-ntlmfake tlsproxy`)

// Start starts units that do not run yet.
func Start(t testing.TB, units ...string) {
	t.Helper()
	rig.Lock()
	defer rig.Unlock()
	if rig.dir == "" {
		open(t)
	}
	var missing []string
	for _, u := range units {
		if !rig.started[u] {
			missing = append(missing, u)
		}
	}
	if len(missing) == 0 {
		return
	}
	out, err := command(append([]string{"start"}, missing...)...).Output()
	if err != nil {
		t.Fatalf("rig start %s: %v\n%s%s", strings.Join(missing, " "), err, out, stderrOf(err))
	}
	for line := range strings.Lines(string(out)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			rig.settings[k] = v
		}
	}
	for _, u := range missing {
		rig.started[u] = true
	}
}

// Run runs a command of the rig, such as "fault", "freeze", "main".
func Run(t testing.TB, args ...string) string {
	t.Helper()
	Start(t)
	out, err := command(args...).CombinedOutput()
	if err != nil {
		t.Fatalf("rig %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// open finds the rig that runs, or a place for one of its own.
func open(t testing.TB) {
	t.Helper()
	rig.started, rig.settings = make(map[string]bool), make(map[string]string)
	if dir := os.Getenv("RIG_DIR"); dir != "" {
		rig.dir = dir
		return
	}
	for _, program := range []string{"dovecot", "openssl", "python3"} {
		if _, err := lookPath(program); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s is not installed: see connection/testdata/rig/README.md", program)
			}
			t.Skipf("%s is not installed: see connection/testdata/rig/README.md", program)
		}
	}
	rig.base, rig.lock = freePorts(t)
	// The servers run as another user, who must be able to enter it: not t.TempDir.
	dir, err := os.MkdirTemp("/tmp", "rig-")
	if err == nil {
		err = os.Chmod(dir, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	rig.dir = dir
}

func lookPath(program string) (string, error) {
	if p, err := exec.LookPath(program); err == nil {
		return p, nil
	}
	return exec.LookPath("/usr/sbin/" + program)
}

// freePorts finds a range of ports that nothing listens on and no other test
// process has taken.
func freePorts(t testing.TB) (base int, lock *os.File) {
	t.Helper()
	const first, width, ranges = 26000, 70, 60
	for n := range ranges {
		base := first + n*width
		f, err := os.OpenFile(fmt.Sprintf("/tmp/mailtriggerd-rig-%d.lock", base), os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			continue
		}
		if take(f) && allFree(base, width) {
			return base, f
		}
		f.Close()
	}
	t.Fatalf("no free range of ports from %d on", first)
	return 0, nil
}

func allFree(base, width int) bool {
	for port := base; port < base+width; port++ {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}

// command returns a call of the rig. What it starts must not keep the test
// binary's descriptors: its own output goes to pipes, which units do not inherit.
func command(args ...string) *exec.Cmd {
	_, here, _, _ := runtime.Caller(0)
	cmd := exec.Command(filepath.Join(filepath.Dir(here), "../../testdata/rig/rig"), args...)
	cmd.Env = os.Environ()
	if rig.lock != nil {
		cmd.Env = append(cmd.Env, "RIG_DIR="+rig.dir, fmt.Sprintf("RIG_PORT_BASE=%d", rig.base))
	}
	return cmd
}

func stderrOf(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return string(e.Stderr)
	}
	return ""
}

// Tool returns the path of a program that a test needs from a Debian package.
// Where it is not installed the test is skipped; with CI=true it fails.
func Tool(t testing.TB, name, debianPackage string) string {
	t.Helper()
	path, err := lookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("CI") == "true" {
		t.Fatalf("%s is missing: apt-get install %s", name, debianPackage)
	}
	t.Skipf("%s is not here (Debian's package %s)", name, debianPackage)
	return ""
}
