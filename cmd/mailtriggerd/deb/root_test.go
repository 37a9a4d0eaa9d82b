package main

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"mailtrigger/connection/connectiontest/rigtest"
)

// A root is a Debian of the test's own: the essential packages and what the package
// depends on, with dpkg's database of them, copied from this machine, and nobody's
// config. What happens in it happens nowhere else, and it takes a second where
// debootstrap takes a minute and a network.
type root struct {
	t   *testing.T
	dir string
}

func newRoot(t *testing.T, also ...string) *root {
	t.Helper()
	rigtest.Tool(t, "dpkg-query", "dpkg")
	if os.Geteuid() != 0 {
		t.Skip("only root can install a package")
	}
	r := &root{t, t.TempDir()}
	r.must(os.Chmod(r.dir, 0o755))
	for _, link := range []string{"bin", "sbin", "lib", "lib32", "lib64", "libx32"} {
		if to, err := os.Readlink("/" + link); err == nil {
			r.must(os.MkdirAll(r.path(to), 0o755))
			r.must(os.Symlink(to, r.path(link)))
		}
	}
	packages := closure(t, also)
	r.copyPackages(packages)
	r.copyDatabase(packages)
	for name, from := range map[string]string{
		"etc/passwd":        "/usr/share/base-passwd/passwd.master",
		"etc/group":         "/usr/share/base-passwd/group.master",
		"etc/nsswitch.conf": "/usr/share/libc-bin/nsswitch.conf",
	} {
		r.copy(from, name)
	}
	r.must(os.Chmod(r.path("tmp"), 0o1777))
	for name, device := range map[string]int{"null": 1<<8 | 3, "zero": 1<<8 | 5, "random": 1<<8 | 8, "urandom": 1<<8 | 9} {
		r.must(syscall.Mknod(r.path("dev/"+name), syscall.S_IFCHR|0o666, device))
		r.must(os.Chmod(r.path("dev/"+name), 0o666))
	}
	return r
}

func (r *root) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *root) path(name string) string { return filepath.Join(r.dir, name) }

func (r *root) read(name string) string {
	r.t.Helper()
	b, err := os.ReadFile(r.path(name))
	r.must(err)
	return string(b)
}

// write writes a file, and leaves owner and mode as they are if it is there.
func (r *root) write(name, text string, mode fs.FileMode) {
	r.t.Helper()
	r.must(os.MkdirAll(filepath.Dir(r.path(name)), 0o755))
	r.must(os.WriteFile(r.path(name), []byte(text), mode))
}

func (r *root) exists(name string) bool {
	_, err := os.Lstat(r.path(name))
	return err == nil
}

// command is a program of the root, run there as root.
func (r *root) command(args ...string) *exec.Cmd {
	cmd := exec.Command(args[0], args[1:]...)
	if strings.Contains(args[0], "/") {
		cmd.Path = args[0]
	} else if path := r.lookPath(args[0]); path != "" {
		cmd.Path, cmd.Err = path, nil
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: r.dir}
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

func (r *root) lookPath(name string) string {
	for _, dir := range []string{"/usr/sbin/", "/usr/bin/", "/sbin/", "/bin/"} {
		if r.exists(dir + name) {
			return dir + name
		}
	}
	return ""
}

// run runs a program of the root, which must succeed, and returns what it prints.
func (r *root) run(args ...string) string {
	r.t.Helper()
	out, err := r.command(args...).CombinedOutput()
	if err != nil {
		r.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// install has dpkg install a package, which is copied into the root, and returns what it says.
func (r *root) install(file string, options ...string) string {
	r.t.Helper()
	name := "tmp/" + filepath.Base(file)
	r.copy(file, name)
	defer os.Remove(r.path(name))
	return r.run(append(append([]string{"dpkg"}, options...), "-i", "/"+name)...)
}

// closure returns the essential packages, these, and all that they depend on.
func closure(t *testing.T, names []string) (closed []string) {
	t.Helper()
	out, err := exec.Command("dpkg-query", "-W", "-f", "${db:Status-Abbrev}\t${Package}\t${Essential}\t${Provides}\t${Pre-Depends}, ${Depends}\n").Output()
	if err != nil {
		t.Fatal(err)
	}
	needs, provides := map[string]string{}, map[string]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if !strings.HasPrefix(f[0], "ii") {
			continue
		}
		needs[f[1]], provides[f[1]] = f[4], f[1]
		for virtual := range strings.SplitSeq(f[3], ",") {
			if virtual, _, _ = strings.Cut(strings.TrimSpace(virtual), " "); provides[virtual] == "" {
				provides[virtual] = f[1]
			}
		}
		if f[2] == "yes" {
			names = append(names, f[1])
		}
	}
	seen := map[string]bool{}
	for len(names) > 0 {
		name := provides[names[0]]
		names = names[1:]
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		closed = append(closed, name)
		for group := range strings.SplitSeq(needs[name], ",") {
			for alternative := range strings.SplitSeq(group, "|") {
				dep, _, _ := strings.Cut(strings.TrimSpace(alternative), " ")
				dep, _, _ = strings.Cut(dep, ":")
				if provides[dep] != "" {
					names = append(names, dep)
					break
				}
			}
		}
	}
	return closed
}

// unneeded are files of packages that no program looks for.
var unneeded = []string{"/usr/share/doc/", "/usr/share/man/", "/usr/share/locale/", "/usr/share/info/", "/usr/share/zoneinfo/", "/usr/share/lintian/"}

func (r *root) copyPackages(packages []string) {
	r.t.Helper()
	out, err := exec.Command("dpkg-query", append([]string{"-L"}, packages...)...).Output()
	if err != nil {
		r.t.Fatal(err)
	}
	files := strings.Fields(string(out))
	slices.Sort(files)
	for _, file := range slices.Compact(files) {
		if file == "/." || !strings.HasPrefix(file, "/") || slices.ContainsFunc(unneeded, func(dir string) bool { return strings.HasPrefix(file, dir) }) {
			continue
		}
		r.copy(file, file)
	}
}

// copy copies a file, a link or a directory alone, with its owner and mode.
func (r *root) copy(from, name string) {
	r.t.Helper()
	info, err := os.Lstat(from)
	if err != nil { // what a package has and the machine's owner has removed
		return
	}
	to := r.path(name)
	if _, err := os.Lstat(to); err == nil {
		return // a directory of several packages, or a merged one
	}
	r.must(os.MkdirAll(filepath.Dir(to), 0o755))
	switch info.Mode().Type() {
	case fs.ModeDir:
		r.must(os.Mkdir(to, info.Mode().Perm()))
	case fs.ModeSymlink:
		target, err := os.Readlink(from)
		r.must(err)
		r.must(os.Symlink(target, to))
		return
	default:
		in, err := os.Open(from)
		r.must(err)
		defer in.Close()
		out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o600)
		r.must(err)
		_, err = io.Copy(out, in)
		r.must(err)
		r.must(out.Close())
	}
	if stat, is := info.Sys().(*syscall.Stat_t); is {
		r.must(os.Chown(to, int(stat.Uid), int(stat.Gid)))
	}
	r.must(os.Chmod(to, info.Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)))
}

// copyDatabase gives dpkg what it knows of the packages.
func (r *root) copyDatabase(packages []string) {
	r.t.Helper()
	status, err := exec.Command("dpkg-query", append([]string{"-s"}, packages...)...).Output()
	r.must(err)
	r.write("var/lib/dpkg/status", string(bytes.TrimLeft(status, "\n"))+"\n", 0o644)
	for _, name := range []string{"available", "diversions", "statoverride"} {
		r.write("var/lib/dpkg/"+name, "", 0o644)
	}
	for _, dir := range []string{"updates", "triggers", "alternatives", "info"} {
		r.must(os.MkdirAll(r.path("var/lib/dpkg/"+dir), 0o755))
	}
	r.copy("/var/lib/dpkg/info/format", "var/lib/dpkg/info/format")
	for _, p := range packages {
		for _, pattern := range []string{p + ".*", p + ":*"} {
			files, err := filepath.Glob("/var/lib/dpkg/info/" + pattern)
			r.must(err)
			for _, file := range files {
				r.copy(file, file)
			}
		}
	}
}

// state is what there is in the root, but for dpkg's own, logs and the users.
func (r *root) state() map[string]string {
	r.t.Helper()
	found := map[string]string{}
	r.must(filepath.WalkDir(r.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimPrefix(path, r.dir)
		for _, own := range []string{"/var/lib/dpkg", "/var/log", "/var/cache", "/etc/passwd", "/etc/group", "/etc/shadow", "/etc/gshadow", "/etc/.pwd.lock", "/tmp"} {
			if strings.HasPrefix(name, own) {
				return nil
			}
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		stat := info.Sys().(*syscall.Stat_t)
		found[name] = fmt.Sprintf("%s %d:%d", info.Mode(), stat.Uid, stat.Gid)
		if info.Mode().IsRegular() {
			found[name] += fmt.Sprintf(" %d bytes", info.Size())
		}
		return nil
	}))
	return found
}
