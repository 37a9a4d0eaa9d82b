package main

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"mailtrigger/cmd/mailtriggerd/internal/config"
	"mailtrigger/cmd/mailtriggerd/internal/manual"
	"mailtrigger/connection"
	"mailtrigger/connection/auth"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
	"mailtrigger/metrics"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
	"mailtrigger/trigger/event"
	"mailtrigger/trigger/message"
)

// The README is held to the code: what it shows is what the program does.

// Every TOML block is a config that loads, or goes with the first one's connection.
func TestReadmeConfigs(t *testing.T) {
	blocks := fenced(t, "toml")
	if len(blocks) < 2 {
		t.Fatalf("%d TOML blocks", len(blocks))
	}
	connection, _, _ := strings.Cut(blocks[0], "[trigger.")
	for i, block := range blocks {
		if !strings.Contains(block, "[connection.") {
			block = connection + block
		}
		if problems := load(t, block); len(problems) > 0 {
			t.Errorf("README.md, TOML block %d: %v\n%s", i+1, problems, block)
		}
	}
}

func TestReadmeCalls(t *testing.T) {
	var want [][]string
	for _, f := range manual.Flags {
		if f.With == "" {
			want = append(want, []string{code(f.Call()), f.Does})
		}
	}
	same(t, "calls", table(t, "Call", "Does"), want)
}

// The manual describes the flags that there are.
func TestManualFlags(t *testing.T) {
	described := map[string]manual.Flag{}
	for _, f := range manual.Flags {
		described[f.Name] = f
	}
	there := new(call).flags()
	there.VisitAll(func(f *flag.Flag) {
		d, is := described[f.Name]
		if !is {
			t.Errorf("the manual does not describe --%s", f.Name)
		}
		delete(described, f.Name)
		if b, is := f.Value.(interface{ IsBoolFlag() bool }); (is && b.IsBoolFlag()) != (d.Arg == "") {
			t.Errorf("the manual says of --%s that its value is %q", f.Name, d.Arg)
		}
	})
	for name := range described {
		t.Errorf("the manual describes --%s, which is not there", name)
	}
}

func TestReadmeExitCodes(t *testing.T) {
	var want [][]string
	for _, c := range manual.ExitCodes {
		want = append(want, []string{strconv.Itoa(c.Code), c.Meaning})
	}
	same(t, "exit codes", table(t, "Code", "Meaning"), want)
}

// load returns what is wrong with a config.
func load(t *testing.T, text string) []config.Problem {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	_, problems := config.Load(path, config.Options{})
	return problems
}

// The fields of the dialog lead to keys that there are.
func TestReadmeFields(t *testing.T) {
	keys := map[string]bool{"connection.NAME": true}
	for _, k := range config.Keys() {
		keys[k.Table+"."+k.Name] = true
	}
	named := regexp.MustCompile("`((?:connection|trigger)\\.[^`]*)`")
	rows := table(t, "Tab", "Field", "Key", "Values and differences")
	for _, row := range rows {
		for _, m := range named.FindAllStringSubmatch(row[2]+row[3], -1) {
			if !keys[m[1]] {
				t.Errorf("README.md, %s, %s: there is no key %s", row[0], row[1], m[1])
			}
		}
	}
}

func presetRows() (rows [][]string) {
	for _, p := range connection.Presets {
		rows = append(rows, []string{code(p.Name), p.Provider, fmt.Sprintf("%s:%d, %s", p.Address, p.Port, p.Mode), p.Login, p.Notes})
	}
	return rows
}

func TestReadmePresets(t *testing.T) {
	same(t, "presets", table(t, "Preset", "Provider", "Server", "Login", "Also"), presetRows())
}

func TestReadmeSMTPPresets(t *testing.T) {
	var rows [][]string
	for _, p := range connection.SMTPPresets {
		rows = append(rows, []string{code(p.Name), fmt.Sprintf("%s:%d, %s", p.Address, p.Port, p.Mode)})
	}
	same(t, "presets of smtp tables", table(t, "Preset", "Server"), rows)
}

func orderRows() (rows [][]string) {
	for i, m := range auth.Order {
		when := "a password"
		switch {
		case m.Bearer:
			when = "an `oauth2` table"
		case m.NoSecret:
			when = "a client certificate and no password"
		}
		place := "no"
		if m.Alias {
			place = "yes"
		}
		rows = append(rows, []string{strconv.Itoa(i + 1), m.Name, when, place})
	}
	return rows
}

func TestReadmeLogin(t *testing.T) {
	same(t, "login", table(t, "", "Mechanism", "Needs", "Place for an `alias`"), orderRows())
}

func TestReadmeProxies(t *testing.T) {
	var want [][]string
	for _, name := range proxy.Types {
		c := proxy.Config{Type: name}
		c.SetDefaults()
		port := ""
		if c.Port > 0 {
			port = strconv.Itoa(c.Port)
		}
		want = append(want, []string{code(name), port})
	}
	var got [][]string
	for _, row := range table(t, "Type", "Default port", "Login") {
		got = append(got, row[:2])
	}
	same(t, "proxies", got, want)
}

func TestReadmeGrants(t *testing.T) {
	var got []string
	for _, row := range table(t, "Grant", "For", "Consent") {
		got = append(got, strings.Trim(row[0], "`"))
	}
	if !slices.Equal(got, auth.Grants) {
		t.Errorf("README.md has the grants %s; want %s", got, auth.Grants)
	}
}

// does says what each type of action does.
var does = map[string]string{
	"exec":             "runs a program",
	"webhook":          "sends the event to an HTTP server",
	"save":             "keeps the message as a file",
	"save_attachments": "keeps the attachments as files",
	"append":           "adds the event to a file, one line each",
	"mail":             "sends a new mail",
	"forward":          "sends the message on, in a new mail",
	"reply":            "answers the sender",
	"move":             "puts the message into another mailbox",
	"copy":             "puts a copy into another mailbox",
	"flag":             "sets flags",
	"unflag":           "takes flags off",
	"delete":           "removes the message for good",
}

func actionRows(t *testing.T) (rows [][]string) {
	common := keysOf(reflect.TypeFor[action.Common]())
	for _, name := range action.Types() {
		d, err := action.New(name)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, key := range keysOf(reflect.TypeOf(d).Elem()) {
			if !slices.Contains(common, key) {
				keys = append(keys, code(key))
			}
		}
		d.SetDefaults()
		timeout := time.Duration(d.Base().Timeout).String()
		if minutes, whole := strings.CutSuffix(timeout, "m0s"); whole {
			timeout = minutes + "m"
		}
		rows = append(rows, []string{code(name), does[name], strings.Join(keys, " "), timeout})
	}
	return rows
}

// keysOf returns the keys of a table by its struct.
func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		f := t.Field(i)
		key, options, _ := strings.Cut(f.Tag.Get("toml"), ",")
		switch {
		case f.Anonymous && f.Type.Kind() == reflect.Struct:
			keys = append(keys, keysOf(f.Type)...)
		case key == "" || key == "-":
		case f.Type == reflect.TypeFor[setting.Source]():
			for _, part := range []string{"", "_file", "_env", "_credential", "_command"} {
				if (part != "" || !strings.Contains(options, "noliteral")) && (part != "_command" || !strings.Contains(options, "nocommand")) {
					keys = append(keys, key+part)
				}
			}
		default:
			keys = append(keys, key)
		}
	}
	return keys
}

func TestReadmeActions(t *testing.T) {
	same(t, "actions", table(t, "Type", "Does", "Keys", "Timeout"), actionRows(t))
}

func TestReadmeEnvironment(t *testing.T) {
	var got, want []string
	for _, row := range table(t, "Variable", "Is") {
		got = append(got, strings.Trim(row[0], "`"))
	}
	for _, v := range event.Sample(event.KindDead).Environ("") {
		name, _, _ := strings.Cut(v, "=")
		want = append(want, name)
	}
	if !slices.Equal(got, want) {
		t.Errorf("README.md has the variables\n%s\nwant\n%s", got, want)
	}
}

func defectRows() (rows [][]string) {
	for _, word := range slices.Sorted(maps.Keys(message.Defects)) {
		rows = append(rows, []string{code(word), message.Defects[word]})
	}
	return rows
}

func TestReadmeDefects(t *testing.T) {
	same(t, "defects", table(t, "Defect", "Means"), defectRows())
}

// metricRows reads what /metrics exposes once everything has happened once.
func metricRows(t *testing.T) (rows [][]string) {
	m := metrics.New(metrics.Build{Version: "1"})
	m.Loaded(nil, time.Now())
	tr := m.TriggerTrace()
	tr.Defect("date")
	tr.Suppressed("t", "own_move")
	tr.Action("t", "exec", "exec", "ok", time.Second)
	m.Watch(metrics.Source{
		Connections: []*connection.Config{{Name: "c"}},
		Watches: func() []connection.Status {
			return []connection.Status{{Connection: "c", TLS: &connection.TLSInfo{NotAfter: time.Now()}}}
		},
		Triggers:      func() []trigger.TriggerStatus { return []trigger.TriggerStatus{{Name: "t", Actions: []string{"exec"}}} },
		Health:        func() error { return nil },
		JournalErrors: func() uint64 { return 0 },
	})
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	label := regexp.MustCompile(`([a-z_]+)="`)
	var row []string
	for line := range strings.Lines(answer.Body.String()) {
		line = strings.TrimSpace(line)
		if help, is := strings.CutPrefix(line, "# HELP mailtriggerd_"); is {
			name, text, _ := strings.Cut(help, " ")
			row = []string{code(name), "", "", text}
			rows = append(rows, row)
		} else if strings.HasPrefix(line, "# TYPE ") {
			row[1] = line[strings.LastIndexByte(line, ' ')+1:]
		} else if row[2] == "" {
			var labels []string
			for _, found := range label.FindAllStringSubmatch(line, -1) {
				if found[1] != "le" {
					labels = append(labels, code(found[1]))
				}
			}
			row[2] = strings.Join(labels, " ")
		}
	}
	return rows
}

func TestReadmeMetrics(t *testing.T) {
	same(t, "metrics", table(t, "Metric", "Type", "Labels", "Meaning"), metricRows(t))
}

// The paths of the listener are all there are.
func TestReadmePaths(t *testing.T) {
	h := metrics.New(metrics.Build{}).Handler()
	listed := table(t, "Path", "Says")
	for _, path := range []string{"/", "/metrics", "/healthz", "/readyz", "/api/status"} {
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequest("GET", path, nil))
		there := answer.Code != http.StatusNotFound
		if is := slices.ContainsFunc(listed, func(row []string) bool { return row[0] == code(path) }); is != there {
			t.Errorf("%s: in README.md %v, answered %v", path, is, there)
		}
	}
}

// A command line of the README runs a test that is there.
func TestReadmeProof(t *testing.T) {
	run := regexp.MustCompile(`^ +go test (?:-tags \S+ )?\./(\S+) -run (\w+)`)
	for _, line := range readme(t) {
		m := run.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		files, err := filepath.Glob(filepath.Join(root, m[1], "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(files, func(name string) bool {
			b, err := os.ReadFile(name)
			return err == nil && strings.Contains(string(b), "\nfunc "+m[2])
		}) {
			t.Errorf("README.md: %s: there is no such test", strings.TrimSpace(line))
		}
	}
}
