package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// A license is the text that a module in the program comes under.
type license struct{ module, version, text string }

// licenses returns those of the modules that are linked into the program.
func (b *build) licenses() ([]license, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=Module", "./cmd/mailtriggerd")
	cmd.Dir = b.root
	cmd.Env = append(append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux"), architectures[b.arch]...)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the modules: %w", err)
	}
	found := map[string]license{}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			Module *struct {
				Path, Version, Dir string
				Main               bool
			}
		}
		if err := d.Decode(&p); err != nil {
			return nil, err
		}
		if p.Module == nil || p.Module.Main {
			continue
		}
		text, err := licenseIn(p.Module.Dir)
		if err != nil {
			return nil, fmt.Errorf("the license of %s: %w", p.Module.Path, err)
		}
		found[p.Module.Path] = license{p.Module.Path, p.Module.Version, text}
	}
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, err
	}
	text, err := licenseIn(strings.TrimSpace(string(goroot)))
	if err != nil {
		return nil, fmt.Errorf("the license of Go: %w", err)
	}
	found["std"] = license{"Go's standard library", "", text}
	all := make([]license, 0, len(found))
	for _, l := range found {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b license) int { return strings.Compare(a.module, b.module) })
	return all, nil
}

// licenseIn returns the license in a module's directory, with its notice if there is one.
func licenseIn(dir string) (string, error) {
	files, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, f := range files {
		name := strings.ToUpper(f.Name())
		if f.Type().IsRegular() && (strings.HasPrefix(name, "LICEN") || strings.HasPrefix(name, "COPYING") || strings.HasPrefix(name, "NOTICE")) {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				return "", err
			}
			text.Write(b)
			text.WriteByte('\n')
		}
	}
	if text.Len() == 0 {
		return "", fmt.Errorf("no file in %s", dir)
	}
	return text.String(), nil
}

// thirdParty returns the licenses as one text.
func thirdParty(licenses []license) string {
	var b strings.Builder
	b.WriteString("The program mailtriggerd contains these modules, under these licenses:\n")
	for _, l := range licenses {
		fmt.Fprintf(&b, "\n%s\n%s %s\n\n%s\n", strings.Repeat("=", 78), l.module, l.version, strings.TrimRight(l.text, "\n"))
	}
	return b.String()
}
