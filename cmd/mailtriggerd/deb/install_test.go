package main

import (
	"bufio"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"mailtrigger/connection/connectiontest/rigtest"
)

// programs are those that are built already, by their versions.
var programs struct {
	sync.Mutex
	dir     string
	byMinor map[string]string
}

func TestMain(m *testing.M) {
	code := rigtest.Main(m)
	os.RemoveAll(programs.dir)
	os.Exit(code)
}

// built returns a package of the version. Versions that differ in their last number
// alone have the same program, which is built once.
func built(t *testing.T, version string) string {
	t.Helper()
	programs.Lock()
	defer programs.Unlock()
	if programs.dir == "" {
		dir, err := os.MkdirTemp("", "mailtriggerd-")
		if err != nil {
			t.Fatal(err)
		}
		programs.dir, programs.byMinor = dir, map[string]string{}
	}
	minor := version[:strings.LastIndexByte(version, '.')]
	b := &build{arch: debArch(t), version: minor + ".0", level: gzip.BestSpeed}
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	if programs.byMinor[minor] == "" {
		program := filepath.Join(programs.dir, minor)
		if err := b.compile(program); err != nil {
			t.Fatal(err)
		}
		programs.byMinor[minor] = program
	}
	b.version = version
	file, err := b.pack(t.TempDir(), programs.byMinor[minor])
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// The same sources give the same package.
func TestReproducible(t *testing.T) {
	b := &build{arch: debArch(t), version: "1.0.0", level: gzip.BestSpeed}
	again, err := b.run(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	var sums [2][32]byte
	for i, file := range []string{built(t, "1.0.0"), again} {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = sha256.Sum256(data)
	}
	if sums[0] != sums[1] {
		t.Errorf("two builds differ: %x and %x", sums[0], sums[1])
	}
}

// Debian's own checker finds nothing that is not overridden.
func TestLintian(t *testing.T) {
	lintian := rigtest.Tool(t, "lintian", "lintian")
	out, err := exec.Command(lintian, "--allow-root", "--fail-on", "error,warning", built(t, "1.0.0")).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func debArch(t *testing.T) string {
	t.Helper()
	out, err := exec.Command(rigtest.Tool(t, "dpkg", "dpkg"), "--print-architecture").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// needs are the packages that the package depends on, as far as this machine has a choice.
var needs = []string{"ca-certificates", "tzdata", "systemd"}

// On a new Debian: the package is installed, three lines are written, the daemon is
// started as its unit says, and mail fires. Then an upgrade, a removal, another
// installation, and a purge that leaves nothing but the user.
func TestPackageLife(t *testing.T) {
	r := newRoot(t, needs...)
	mail := newMailHost(t, r)
	log := newSystemLog(t, r)
	before := r.state()

	said := r.install(built(t, "1.0.0"))
	if !strings.Contains(said, "write address, username and password into /etc/mailtriggerd/config.toml") {
		t.Errorf("the installation does not say what to do:\n%s", said)
	}
	for name, want := range map[string]string{
		"/etc/mailtriggerd":             "drwxr-x--- root:mailtriggerd",
		"/etc/mailtriggerd/config.toml": "-rw-r----- root:mailtriggerd",
		"/var/lib/mailtriggerd":         "drwx------ mailtriggerd:mailtriggerd",
	} {
		if got := strings.TrimSpace(r.run("stat", "-c", "%A %U:%G", name)); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	const wants = "/etc/systemd/system/multi-user.target.wants/mailtriggerd.service"
	if !r.exists(wants) {
		t.Error("the unit is not enabled")
	}

	// The config is an example yet: the start ends at once, and says what is missing.
	d := start(t, r)
	if code := d.wait(); code != 78 {
		t.Errorf("with the config as it was installed: exit code %d, want 78\n%s", code, d.log())
	}
	for _, missing := range []string{"connection.work.address", "connection.work.authentication.password"} {
		if !strings.Contains(d.log(), missing) {
			t.Errorf("nothing says that %s is missing:\n%s", missing, d.log())
		}
	}

	edited := edit(t, r.read("etc/mailtriggerd/config.toml"), mail)
	r.write("etc/mailtriggerd/config.toml", edited, 0)
	d = start(t, r)
	d.says("watching from now on")
	deliver(t, "first")
	log.says("mail: first")
	if out, err := call(t, r, "--status").CombinedOutput(); err != nil || !strings.Contains(string(out), "health: ok") {
		t.Errorf("--status: %v\n%s", err, out)
	}

	// An upgrade below the running daemon; mail that comes while it is down; the journal goes on.
	r.install(built(t, "1.1.0"))
	if r.read("etc/mailtriggerd/config.toml") != edited {
		t.Error("the upgrade has changed the config")
	}
	deliver(t, "second")
	log.says("mail: second")
	d.stop()
	deliver(t, "third")
	d = start(t, r)
	log.says("mail: third")
	d.says("version=1.1.0")
	d.stop()

	// A package that brings another config asks, or keeps the edited one.
	r.install(withConfig(t, built(t, "1.1.1"), "# another\n"), "--force-confdef", "--force-confold")
	if r.read("etc/mailtriggerd/config.toml") != edited {
		t.Error("an upgrade with another config has changed the edited one")
	}

	r.run("dpkg", "-r", "mailtriggerd")
	if r.exists("/usr/bin/mailtriggerd") || r.exists("/lib/systemd/system/mailtriggerd.service") {
		t.Error("the removal has left the program or the unit")
	}
	if r.read("etc/mailtriggerd/config.toml") != edited || !r.exists("/var/lib/mailtriggerd/journal.db") {
		t.Error("the removal has not kept the config and the journal")
	}
	deliver(t, "fourth")
	r.install(withConfig(t, built(t, "1.1.2"), "# another\n"))
	d = start(t, r)
	log.says("mail: fourth")
	d.stop()
	for _, subject := range []string{"first", "second", "third", "fourth"} {
		if n := log.count("mail: " + subject); n != 1 {
			t.Errorf("the mail %q fired %d times", subject, n)
		}
	}

	r.must(os.RemoveAll(r.path("run/mailtriggerd"))) // systemd's to remove
	r.run("dpkg", "--purge", "mailtriggerd")
	after := r.state()
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] && !strings.HasPrefix(name, "/dev/") {
			t.Errorf("the purge leaves %s (%s, before %q)", name, after[name], before[name])
		}
	}
	for name := range before {
		if _, there := after[name]; !there {
			t.Errorf("the purge has taken %s away", name)
		}
	}
	if !strings.Contains(r.read("etc/passwd"), "\nmailtriggerd:") {
		t.Error("the purge has taken the user away")
	}
}

// What the maintainer's scripts ask of a systemd that runs: a start if the config is
// good, a restart at an upgrade, a stop at a removal.
func TestPackageAsksSystemd(t *testing.T) {
	r := newRoot(t, needs...)
	r.must(os.MkdirAll(r.path("run/systemd/system"), 0o755))
	r.must(os.Remove(r.path("usr/bin/systemctl")))
	r.write("usr/bin/systemctl", "#!/bin/sh\necho \"$*\" >>/tmp/asked\ncase $* in *is-enabled*) echo enabled ;; esac\n", 0o755)
	asked := func() string {
		b, err := os.ReadFile(r.path("tmp/asked"))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		_ = os.Remove(r.path("tmp/asked"))
		found := regexp.MustCompile(`\b(?:try-restart|restart|start|stop)\b.*mailtriggerd`).FindAllString(string(b), -1)
		return strings.Join(found, "; ")
	}
	for _, step := range []struct {
		what, want string
		do         func()
	}{
		{"a first installation", "", func() { r.install(built(t, "1.0.0")) }},
		{"an upgrade with a bad config", "", func() { r.install(built(t, "1.0.1")) }},
		{"an upgrade with a good one", "try-restart mailtriggerd", func() {
			text := strings.NewReplacer(`address = ""`, `address = "a.example"`, `username = ""`, `username = "u"`, `password = ""`, `password = "p"`).Replace(r.read("etc/mailtriggerd/config.toml"))
			r.write("etc/mailtriggerd/config.toml", text, 0)
			r.install(built(t, "1.0.2"))
		}},
		{"a removal", "stop mailtriggerd", func() { r.run("dpkg", "-r", "mailtriggerd") }},
	} {
		step.do()
		if got := asked(); got != step.want && got != step.want+".service" {
			t.Errorf("%s asks for %q, want %q", step.what, got, step.want)
		}
	}
}

// edit writes the three lines, as the installed config asks.
func edit(t *testing.T, config, host string) string {
	t.Helper()
	for key, value := range map[string]string{"address": host, "username": "alice", "password": "alice-pw"} {
		empty := key + ` = ""`
		if strings.Count(config, "\n"+empty) != 1 {
			t.Fatalf("the installed config has not one line %s:\n%s", empty, config)
		}
		config = strings.Replace(config, "\n"+empty, "\n"+key+` = "`+value+`"`, 1)
	}
	return config
}

func deliver(t *testing.T, subject string) {
	t.Helper()
	rigtest.Run(t, "deliver", "-u", "alice", "-S", subject)
}

// newMailHost makes the rig's Dovecot what a newcomer's server is: a name, the port
// 993, and a certificate that the machine trusts. It returns the name.
func newMailHost(t *testing.T, r *root) string {
	t.Helper()
	const name, address = "imap.rig.test", "127.42.0.1"
	to := net.JoinHostPort(rigtest.Setting(t, "RIG_MAIN_HOST"), rigtest.Setting(t, "RIG_MAIN_IMAPS"))
	l, err := net.Listen("tcp", address+":993")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			go relay(from, to)
		}
	}()
	r.write("etc/hosts", address+" "+name+"\n", 0o644)
	r.copy(rigtest.Setting(t, "RIG_CA"), "usr/local/share/ca-certificates/rig.crt")
	r.must(os.Chmod(r.path("usr/local/share/ca-certificates/rig.crt"), 0o644))
	r.must(os.MkdirAll(r.path("etc/ssl/certs"), 0o755))
	r.run("update-ca-certificates", "--fresh")
	return name
}

func relay(from net.Conn, address string) {
	defer from.Close()
	to, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer to.Close()
	go func() { _, _ = io.Copy(to, from); to.Close() }()
	_, _ = io.Copy(from, to)
}

// A record is lines that come, and can be waited for.
type record struct {
	t    *testing.T
	what string
	mu   sync.Mutex
	all  []string
	grew chan struct{}
}

func newRecord(t *testing.T, what string) *record {
	return &record{t: t, what: what, grew: make(chan struct{}, 1)}
}

func (r *record) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, line)
	select {
	case r.grew <- struct{}{}:
	default:
	}
}

func (r *record) log() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.all, "\n")
}

func (r *record) count(text string) int { return strings.Count(r.log(), text) }

// says waits until a line holds the text.
func (r *record) says(text string) {
	r.t.Helper()
	end := time.After(30 * time.Second)
	for !strings.Contains(r.log(), text) {
		select {
		case <-r.grew:
		case <-end:
			r.t.Fatalf("%s does not say %q:\n%s", r.what, text, r.log())
		}
	}
}

// newSystemLog is the root's /dev/log.
func newSystemLog(t *testing.T, r *root) *record {
	t.Helper()
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: r.path("dev/log")})
	if err != nil {
		t.Fatal(err)
	}
	r.must(os.Chmod(r.path("dev/log"), 0o666))
	t.Cleanup(func() { l.Close() })
	lines := newRecord(t, "the system's log")
	go func() {
		for b := make([]byte, 8192); ; {
			n, err := l.Read(b)
			if err != nil {
				return
			}
			lines.add(string(b[:n]))
		}
	}()
	return lines
}

// A service is the daemon, run by hand as its unit says.
type service struct {
	*record
	cmd   *exec.Cmd
	ended chan struct{}
}

// call is a call of the program in the root, as the service's user.
func call(t *testing.T, r *root, args ...string) *exec.Cmd {
	t.Helper()
	unit := r.read("lib/systemd/system/mailtriggerd.service")
	script := "umask " + setting(t, unit, "UMask") + `; exec "$@"`
	return r.command(append([]string{"setpriv", "--reuid=" + setting(t, unit, "User"), "--regid=" + setting(t, unit, "Group"), "--clear-groups",
		"--no-new-privs", "--inh-caps=-all", "--bounding-set=-all", "sh", "-c", script, "sh", "/usr/bin/mailtriggerd"}, args...)...)
}

// setting returns a setting of a unit.
func setting(t *testing.T, unit, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(unit)
	if m == nil {
		t.Fatalf("the unit has no %s", name)
	}
	return m[1]
}

// start starts the daemon as the unit says, and makes first what systemd makes for it.
func start(t *testing.T, r *root) *service {
	t.Helper()
	unit := r.read("lib/systemd/system/mailtriggerd.service")
	program, args, _ := strings.Cut(setting(t, unit, "ExecStart"), " ")
	if program != "/usr/bin/mailtriggerd" {
		t.Fatalf("the unit starts %s", program)
	}
	runtime := "/run/" + setting(t, unit, "RuntimeDirectory")
	r.run("install", "-d", "-m", setting(t, unit, "RuntimeDirectoryMode"), "-o", setting(t, unit, "User"), "-g", setting(t, unit, "Group"), runtime)
	s := &service{record: newRecord(t, "the daemon"), cmd: call(t, r, strings.Fields(args)...), ended: make(chan struct{})}
	s.cmd.Env = append(s.cmd.Env, "STATE_DIRECTORY=/var/lib/"+setting(t, unit, "StateDirectory"), "RUNTIME_DIRECTORY="+runtime)
	out, err := s.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(s.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			s.add(lines.Text())
		}
		_ = s.cmd.Wait()
	}()
	t.Cleanup(func() { _ = s.cmd.Process.Kill(); <-s.ended })
	return s
}

func (s *service) wait() int {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(30 * time.Second):
		s.t.Fatalf("the daemon does not end:\n%s", s.log())
	}
	return s.cmd.ProcessState.ExitCode()
}

func (s *service) stop() {
	s.t.Helper()
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	if code := s.wait(); code != 0 {
		s.t.Errorf("exit code %d\n%s", code, s.log())
	}
}

// withConfig returns the package with another installed config.
func withConfig(t *testing.T, file, config string) string {
	t.Helper()
	dir := t.TempDir()
	tree := filepath.Join(dir, "tree")
	for _, args := range [][]string{{"-R", file, tree}, {"--root-owner-group", "-Zgzip", "-z1", "-b", tree, filepath.Join(dir, filepath.Base(file))}} {
		if args[0] == "--root-owner-group" {
			if err := os.WriteFile(filepath.Join(tree, "etc/mailtriggerd/config.toml"), []byte(config), 0o640); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := exec.Command("dpkg-deb", args...).CombinedOutput(); err != nil {
			t.Fatalf("dpkg-deb %s: %v\n%s", args, err, out)
		}
	}
	return fmt.Sprintf("%s/%s", dir, filepath.Base(file))
}
