// Package oracle asks the tables of character sets that other programs have:
// Python's codecs and, through Python too, the C library's iconv.
package oracle

import (
	"bytes"
	_ "embed"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

//go:embed oracle.py
var script string

// A Request is for one table.
type Request struct {
	Program string // "python" or "iconv"
	Codec   string // as the program calls it
	Prefix  string // bytes before each code
	Range   string // of codes: "00-ff", "81-fex40-fe"
	Suffix  string // bytes after each code
}

// A Table has the runes, one or two, that a code means. Codes that mean nothing are missing.
type Table map[string]string

// Tables asks for tables; they are in the order of the requests, nil for a codec that the program lacks.
func Tables(requests []Request) ([]Table, error) {
	var in strings.Builder
	for _, r := range requests {
		hex := func(s string) string {
			if s == "" {
				return "-"
			}
			return fmt.Sprintf("%x", s)
		}
		fmt.Fprintln(&in, r.Program, r.Codec, hex(r.Prefix), r.Range, hex(r.Suffix))
	}
	cmd := exec.Command("python3", "-c", script)
	cmd.Stdin = strings.NewReader(in.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("the oracle (python3 with iconv in its C library): %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	lines := strings.Split(string(out), "\n")
	if len(lines) != len(requests)+1 {
		return nil, fmt.Errorf("the oracle gave %d lines for %d requests", len(lines), len(requests))
	}
	tables := make([]Table, len(requests))
	for i := range requests {
		if strings.HasPrefix(lines[i], "!") {
			continue
		}
		if tables[i], err = parse(lines[i]); err != nil {
			return nil, err
		}
	}
	return tables, nil
}

// Versions names the programs that Tables asks: "python 3.11 glibc 2.36". Tables of other
// versions may differ.
func Versions() (string, error) {
	out, err := exec.Command("python3", "-c", "import platform; print('python', '.'.join(platform.python_version_tuple()[:2]), *platform.libc_ver())").Output()
	if err != nil {
		return "", fmt.Errorf("the oracles are missing: python3: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// parse reads a line of the script's output.
func parse(line string) (Table, error) {
	t := Table{}
	for field := range strings.FieldsSeq(line) {
		code, runes, _ := strings.Cut(field, "=")
		var key, value []byte
		for ; len(code) >= 2; code = code[2:] {
			b, err := strconv.ParseUint(code[:2], 16, 8)
			if err != nil {
				return nil, err
			}
			key = append(key, byte(b))
		}
		for r := range strings.SplitSeq(runes, "+") {
			n, err := strconv.ParseUint(r, 16, 21)
			if err != nil {
				return nil, err
			}
			value = append(value, string(rune(n))...)
		}
		t[string(key)] = string(value)
	}
	return t, nil
}
