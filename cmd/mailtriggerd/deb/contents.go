package main

import (
	"embed"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/manual"
)

//go:embed debian
var debian embed.FS

// architectures are Go's settings by Debian's names.
var architectures = map[string][]string{
	"amd64":   {"GOARCH=amd64"},
	"arm64":   {"GOARCH=arm64"},
	"armhf":   {"GOARCH=arm", "GOARM=7"},
	"i386":    {"GOARCH=386"},
	"ppc64el": {"GOARCH=ppc64le"},
	"riscv64": {"GOARCH=riscv64"},
	"s390x":   {"GOARCH=s390x"},
}

// ownArchitecture is Debian's name of this machine's.
func ownArchitecture() string {
	for name, settings := range architectures {
		if settings[0] == "GOARCH="+runtime.GOARCH {
			return name
		}
	}
	return "amd64"
}

// compile builds the program: static, and the same on each machine.
func (b *build) compile(file string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w -X main.version="+b.version, "-o", file, "./cmd/mailtriggerd")
	cmd.Dir = b.root
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux"), architectures[b.arch]...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, out)
	}
	return nil
}

const doc = "usr/share/doc/mailtriggerd/"

// fromRepository are files that go into the package as they are.
var fromRepository = []struct{ from, to string }{
	{"README.md", doc + "README.md"},
	{"cmd/mailtriggerd/TROUBLESHOOTING.md", doc + "TROUBLESHOOTING.md"},
	{"metrics/operations.md", doc + "operations.md"},
	{"config.example.toml", doc + "examples/config.toml"},
	{"systemd/actions.conf.example", doc + "examples/actions.conf"},
	{"metrics/alerts.yml", doc + "examples/alerts.yml"},
	{"metrics/dashboard.json", doc + "examples/dashboard.json"},
	{"systemd/mailtriggerd.sysusers", "usr/lib/sysusers.d/mailtriggerd.conf"},
}

// contents returns all files of the package.
func (b *build) contents(program string) ([]entry, error) {
	var c collector
	c.add("usr/bin/mailtriggerd", 0o755, c.read(program))
	for _, f := range fromRepository {
		text := c.read(filepath.Join(b.root, f.from))
		if strings.HasSuffix(f.from, ".md") {
			text = relink(text, f.from)
		}
		c.add(f.to, 0o644, text)
	}
	c.add("lib/systemd/system/mailtriggerd.service", 0o644, unit(c.read(filepath.Join(b.root, "systemd", "mailtriggerd.service"))))
	c.add("etc/mailtriggerd/config.toml", 0o640, c.embedded("config.toml"))
	c.add("usr/share/lintian/overrides/mailtriggerd", 0o644, c.embedded("lintian-overrides"))

	example := string(c.read(filepath.Join(b.root, "config.example.toml")))
	c.zip("usr/share/man/man8/mailtriggerd.8", manual.Program(b.version, b.time))
	c.zip("usr/share/man/man5/mailtriggerd.toml.5", manual.Settings(example, b.version, b.time))
	c.add("usr/share/bash-completion/completions/mailtriggerd", 0o644, []byte(manual.Bash()))
	c.add("usr/share/zsh/vendor-completions/_mailtriggerd", 0o644, []byte(manual.Zsh()))
	c.add("usr/share/fish/vendor_completions.d/mailtriggerd.fish", 0o644, []byte(manual.Fish()))

	c.zip(doc+"changelog", string(c.read(filepath.Join(b.root, "CHANGELOG.md"))))
	c.zip(doc+"changelog.Debian", fmt.Sprintf("mailtriggerd (%s) unstable; urgency=medium\n\n  * Version %s: see changelog.gz.\n\n -- %s  %s\n", b.debVersion(), b.version, maintainer, b.time.Format(time.RFC1123Z)))
	licenses, err := b.licenses()
	c.fail(err)
	c.zip(doc+"third-party-licenses", thirdParty(licenses))
	c.add(doc+"copyright", 0o644, append(c.read(filepath.Join(b.root, "LICENSE")), "\nThe modules that the program contains, and their licenses: third-party-licenses.gz\n"...))
	return c.entries, c.err
}

var link = regexp.MustCompile(`\]\(([^)#:\s]+)`)

// relink leads a page's links to where the package has what they lead to in the
// repository. What it has not is left.
func relink(page []byte, from string) []byte {
	return link.ReplaceAllFunc(page, func(found []byte) []byte {
		target := path.Join(path.Dir(from), string(found[2:]))
		for _, f := range fromRepository {
			if f.from == target && strings.HasPrefix(f.to, doc) {
				return []byte("](" + strings.TrimPrefix(f.to, doc))
			}
		}
		return found
	})
}

// unit is the unit with the package's paths, and without how to install it by hand.
func unit(text []byte) []byte {
	_, rest, _ := strings.Cut(string(text), "\n[Unit]\n")
	return []byte(strings.NewReplacer(
		"/usr/local/bin/", "/usr/bin/",
		"Documentation=", "Documentation=man:mailtriggerd(8) man:mailtriggerd.toml(5) ",
	).Replace("# Actions run with the daemon's rights. What one needs beyond them goes into a drop-in:\n" +
		"# /" + doc + "examples/actions.conf shows which.\n[Unit]\n" + rest))
}

// A collector gathers entries, and the first error.
type collector struct {
	entries []entry
	err     error
}

func (c *collector) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

func (c *collector) add(name string, mode int64, data []byte) {
	c.entries = append(c.entries, entry{name, mode, data})
}

func (c *collector) zip(name, text string) {
	data, err := zipped([]byte(text))
	c.fail(err)
	c.add(name+".gz", 0o644, data)
}

func (c *collector) read(file string) []byte {
	data, err := os.ReadFile(file)
	c.fail(err)
	return data
}

func (c *collector) embedded(name string) []byte {
	data, err := debian.ReadFile("debian/" + name)
	c.fail(err)
	return data
}
