package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// An entry is a file of a tar archive. Directories above it come by themselves.
type entry struct {
	name string // from the root, without a leading slash
	mode int64
	data []byte
}

// directories that are not 0755.
var directoryModes = map[string]int64{"etc/mailtriggerd": 0o750}

// writePackage writes a package as deb(5) describes it.
func writePackage(file string, at time.Time, level int, control, contents []entry) error {
	var deb bytes.Buffer
	deb.WriteString("!<arch>\n")
	member(&deb, "debian-binary", at, []byte("2.0\n"))
	for _, part := range []struct {
		name    string
		entries []entry
	}{{"control.tar.gz", control}, {"data.tar.gz", contents}} {
		data, err := archive(part.entries, at, level)
		if err != nil {
			return fmt.Errorf("%s: %w", part.name, err)
		}
		member(&deb, part.name, at, data)
	}
	return os.WriteFile(file, deb.Bytes(), 0o644)
}

// member adds a file to an ar archive.
func member(deb *bytes.Buffer, name string, at time.Time, data []byte) {
	fmt.Fprintf(deb, "%-16s%-12d%-6d%-6d%-8o%-10d`\n", name, at.Unix(), 0, 0, 0o100644, len(data))
	deb.Write(data)
	if len(data)%2 == 1 {
		deb.WriteByte('\n')
	}
}

// archive makes a compressed tar archive: in the order of names, all root's.
func archive(entries []entry, at time.Time, level int) ([]byte, error) {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, level)
	if err != nil {
		return nil, err
	}
	t := tar.NewWriter(zip)
	made := map[string]bool{}
	for _, e := range entries {
		if err := directories(t, path.Dir(e.name), at, made); err != nil {
			return nil, err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: "./" + e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: at, Uname: "root", Gname: "root", Format: tar.FormatGNU}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	err = zip.Close()
	return out.Bytes(), err
}

// directories adds those on the way to dir that are not made yet.
func directories(t *tar.Writer, dir string, at time.Time, made map[string]bool) error {
	if made[dir] {
		return nil
	}
	made[dir] = true
	name := "./"
	if dir != "." {
		if err := directories(t, path.Dir(dir), at, made); err != nil {
			return err
		}
		name += dir + "/"
	}
	mode := int64(0o755)
	if m, other := directoryModes[dir]; other {
		mode = m
	}
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: mode, ModTime: at, Uname: "root", Gname: "root", Format: tar.FormatGNU})
}

// zipped compresses a file that is installed compressed, without its name and time.
func zipped(data []byte) ([]byte, error) {
	var out bytes.Buffer
	zip, err := gzip.NewWriterLevel(&out, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err := zip.Write(data); err != nil {
		return nil, err
	}
	err = zip.Close()
	return out.Bytes(), err
}
