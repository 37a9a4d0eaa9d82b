// Deb builds the Debian package of mailtriggerd, from a clone of the repository:
//
//	go run ./cmd/mailtriggerd/deb
//
// It needs Go and nothing of Debian: a package is an ar archive of two tar archives,
// which the standard library writes in fewer lines than a build tool's configuration
// has, and each byte of them is then ours to keep the same. The same commit built by
// the same Go gives the same package: times are those of SOURCE_DATE_EPOCH, or of the
// commit; owners are root; nothing of the machine gets in.
//
//	version.go    which version it is
//	contents.go   what is in the package, and where
//	copyright.go  the licenses of what the program contains
//	control.go    what dpkg is told of it
//	archive.go    ar and tar
//	debian/       the installed config and the maintainer's scripts
package main

import (
	"compress/gzip"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	b := &build{level: gzip.BestCompression}
	dir := flag.String("o", ".", "the directory for the package")
	flag.StringVar(&b.arch, "arch", ownArchitecture(), "Debian's name of the architecture")
	flag.StringVar(&b.version, "version", "", "the version (default: by CHANGELOG.md and the commit)")
	flag.Parse()
	file, err := b.run(*dir)
	if err != nil {
		fmt.Fprintf(os.Stderr, "deb: %v\n", err)
		os.Exit(1)
	}
	fmt.Println(file)
}

// run builds the package into dir and returns its path.
func (b *build) run(dir string) (string, error) {
	if err := b.prepare(); err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp("", "mailtriggerd-deb-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	program := filepath.Join(temp, "mailtriggerd")
	if err := b.compile(program); err != nil {
		return "", err
	}
	return b.pack(dir, program)
}

// pack makes the package of a program that is built.
func (b *build) pack(dir, program string) (string, error) {
	contents, err := b.contents(program)
	if err != nil {
		return "", err
	}
	control, err := b.control(contents)
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, fmt.Sprintf("mailtriggerd_%s_%s.deb", b.debVersion(), b.arch))
	return file, writePackage(file, b.time, b.level, control, contents)
}
