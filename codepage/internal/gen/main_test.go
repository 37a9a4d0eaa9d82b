package main

import (
	"bytes"
	"compress/flate"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailtrigger/codepage/internal/oracle"
)

// The tables in the repository are those that the generator makes, with the
// oracles they were recorded from.
func TestTables(t *testing.T) {
	record, err := os.ReadFile(filepath.Join("..", "..", "testdata", "oracles.txt"))
	if err != nil {
		t.Fatal(err)
	}
	versions, err := oracle.Versions()
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal(err)
	case err != nil:
		t.Skip(err)
	case !strings.Contains(string(record), "# "+versions+"\n"):
		t.Skipf("the tables were made with other versions than %s", versions)
	}
	files, err := generate(filepath.Join("..", "..", "codepages.csv"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "..", "tables")
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Error(err)
			continue
		}
		if !bytes.Equal(unpack(t, got), unpack(t, want)) { // compressors differ from version to version
			t.Errorf("%s is not what the oracles say; run go generate in package codepage", name)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if files[e.Name()] == nil {
			t.Errorf("%s is not generated", e.Name())
		}
	}
}

func unpack(t *testing.T, data []byte) []byte {
	data, err := io.ReadAll(flate.NewReader(bytes.NewReader(data)))
	if err != nil {
		t.Fatal(err)
	}
	return data
}
