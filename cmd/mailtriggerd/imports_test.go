package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// imports run one way: what is below knows nothing of what is above, so that each
// package can be read, tested and used by itself.
var forbiddenImports = []struct{ from, to, reason string }{
	{"connection", "trigger", "connection is a library of its own"},
	{"connection", "metrics", "only metrics knows how things are shown"},
	{"connection", "cmd", "nothing imports the program"},
	{"connection/wire", "connection/auth", "the wire knows lines, not logins"},
	{"connection/wire", "connection/proxy", "the wire is above whatever carries it"},
	{"connection/smtp", "connection/auth", "it knows how to say a login, not which"},
	{"connection/smtp", "connection/proxy", "it is above whatever carries it"},
	{"connection/smtp", "connection/wire", "two protocols, each for itself"},
	{"connection/setting", "connection/", "setting is what all tables share"},
	{"connection/setting", "codepage", "setting is what all tables share"},
	{"codepage", "connection", "code pages are a library of their own"},
	{"codepage", "trigger", "code pages are a library of their own"},
	{"trigger", "metrics", "only metrics knows how things are shown"},
	{"trigger", "cmd", "nothing imports the program"},
	{"trigger/message", "connection", "reading a message needs no connection"},
	{"trigger/compose", "connection", "writing mail is not sending it"},
	{"trigger/journal", "connection", "the journal is the ledger of any engine"},
	{"trigger/journal", "trigger/message", "the journal keeps bytes, whatever they mean"},
	{"trigger/condition", "trigger/journal", "judging a mail knows nothing of what is done with it"},
	{"trigger/condition", "trigger/action", "judging a mail knows nothing of what is done with it"},
	{"trigger/authres", "trigger/condition", "who an author is is a question of its own"},
	{"metrics", "cmd", "nothing imports the program"},
}

// forbiddenLibraries are libraries that one package alone may use.
var forbiddenLibraries = []struct{ library, only, reason string }{
	{"github.com/BurntSushi/toml", "cmd/mailtriggerd/internal/config", "only the config package knows how configuration is written"},
	{"github.com/prometheus/", "metrics", "only metrics knows how things are shown"},
	{"github.com/expr-lang/", "trigger/condition", "only the conditions know how expressions are written"},
	{"go.etcd.io/bbolt", "trigger/journal", "only the journal knows how it is stored"},
	{"github.com/emersion/go-message/charset", "", "it sets a global for the whole process"},
	{"golang.org/x/exp/slog", "", "its types fit no other library"},
}

func TestImports(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(bytes.NewReader(out)); d.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := d.Decode(&p); err != nil {
			t.Fatal(err)
		}
		from := strings.TrimPrefix(p.ImportPath, "mailtrigger/")
		for _, to := range p.Imports {
			checkImport(t, from, to)
		}
	}
}

func checkImport(t *testing.T, from, to string) {
	t.Helper()
	if own, ok := strings.CutPrefix(to, "mailtrigger/"); ok {
		for _, f := range forbiddenImports {
			if within(from, f.from) && within(own, f.to) && from != own {
				t.Errorf("%s imports %s: %s", from, own, f.reason)
			}
		}
		return
	}
	for _, f := range forbiddenLibraries {
		if strings.HasPrefix(to, f.library) && (f.only == "" || !within(from, f.only)) {
			t.Errorf("%s imports %s: %s", from, to, f.reason)
		}
	}
	if within(from, "codepage") && !within(from, "codepage/internal") && strings.Contains(to, ".") && !strings.HasPrefix(to, "golang.org/x/text") {
		t.Errorf("%s imports %s: code pages need x/text only", from, to)
	}
}

// within reports whether the package is root or below it; a root that ends with a
// slash means what is below only.
func within(pkg, root string) bool {
	return pkg == root || strings.HasPrefix(pkg, strings.TrimSuffix(root, "/")+"/")
}
