package config

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"mailtrigger/connection"
	"mailtrigger/connection/proxy"
	"mailtrigger/connection/setting"
	"mailtrigger/metrics"
	"mailtrigger/trigger"
	"mailtrigger/trigger/action"
)

// Config is the whole configuration, with its defaults.
type Config struct {
	Path     string // of the file, absolute
	BaseDir  string // its directory: relative paths are relative to it
	StateDir string

	Control     string  // path of the control socket
	ConnectRate float64 // reconnects a second, all connections together
	Log         LogConfig
	Metrics     MetricsConfig

	Connections []*connection.Config // in the file's order
	Triggers    []*trigger.Config    // in the file's order; Connection holds names only, patterns are resolved
	SMTP        []*connection.SMTP   // in the file's order

	Warnings []Problem // what is allowed but dangerous

	connections map[string]*connection.Config
	triggers    map[string]*trigger.Config
}

// Connection returns the connection named, nil if there is none.
func (c *Config) Connection(name string) *connection.Config { return c.connections[name] }

// SMTPTable returns the [smtp.NAME] table named, nil if there is none.
func (c *Config) SMTPTable(name string) *connection.SMTP {
	for _, s := range c.SMTP {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// KeepSMTP puts the smtp tables of before into c, and into its actions, where they say the
// same: what the sessions with one server share hangs on the table.
func (c *Config) KeepSMTP(before *Config) {
	kept := make(map[*connection.SMTP]*connection.SMTP)
	for i, s := range c.SMTP {
		if old := before.SMTPTable(s.Name); old != nil && setting.Same(old, s) {
			c.SMTP[i], kept[s] = old, old
		}
	}
	for _, t := range c.Triggers {
		for _, a := range t.Actions {
			if sender, ok := a.(action.Sender); ok && kept[sender.Uses()] != nil {
				sender.Use(kept[sender.Uses()])
			}
		}
	}
}

// Trigger returns the trigger named, nil if there is none.
func (c *Config) Trigger(name string) *trigger.Config { return c.triggers[name] }

// LogConfig is the table [log].
type LogConfig struct {
	Level  Level  `toml:"level"`
	Format string `toml:"format"` // text or json
}

// Level is the least important level that is logged.
type Level slog.Level

// Level implements slog.Leveler.
func (l Level) Level() slog.Level { return slog.Level(l) }

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Level) UnmarshalText(text []byte) error {
	switch string(text) {
	case "debug":
		*l = Level(slog.LevelDebug)
	case "info":
		*l = Level(slog.LevelInfo)
	case "warn":
		*l = Level(slog.LevelWarn)
	case "error":
		*l = Level(slog.LevelError)
	default:
		return fmt.Errorf("unknown level %q; write debug, info, warn or error", text)
	}
	return nil
}

// MetricsConfig is the table [metrics].
type MetricsConfig struct {
	Listen        string `toml:"listen"` // host:port, unix:/path, or "" for none
	WebConfigFile string `toml:"web_config_file,path"`
	ShowSubjects  bool   `toml:"show_subjects"`
}

// document is the file as a whole.
type document struct {
	StateDir    string                        `toml:"state_dir,path"`
	ConnectRate float64                       `toml:"connect_rate"`
	Control     string                        `toml:"control,path"`
	Include     []string                      `toml:"include"`
	Log         LogConfig                     `toml:"log"`
	Metrics     MetricsConfig                 `toml:"metrics"`
	Connection  map[string]*connection.Config `toml:"connection"`
	Proxy       map[string]*proxy.Config      `toml:"proxy"`
	SMTP        map[string]*connection.SMTP   `toml:"smtp"`
	Trigger     map[string]*trigger.Config    `toml:"trigger"`
}

// Options say how a configuration is read. The zero value is usable.
type Options struct {
	CheckSecrets bool                // look whether each secret can be read; nothing is run for it
	Getenv       func(string) string // nil: os.Getenv
}

// Load reads the file at path and all that it includes. It returns every
// mistake it finds, in the order of the text. The Config is usable only if
// there is none.
func Load(path string, o Options) (*Config, []Problem) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	ps := &problems{}
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, []Problem{{File: path, Text: err.Error()}}
	}
	r := &reader{problems: ps}
	top := r.read(path)
	if top == nil {
		return nil, ps.sorted(r.files)
	}
	l := &loader{
		decoder: decoder{problems: ps, base: filepath.Dir(full), top: top},
		options: o,
		config:  &Config{Path: full, BaseDir: filepath.Dir(full), connections: map[string]*connection.Config{}, triggers: map[string]*trigger.Config{}},
		nodes:   map[any]*node{},

		incomplete: map[any][]setting.Problem{},
	}
	l.load()
	l.guard(r.files)
	return l.config, ps.sorted(r.files)
}

// A loader makes a Config of nodes.
type loader struct {
	decoder
	options Options
	config  *Config
	doc     document
	nodes   map[any]*node // where each decoded table stands
	bases   map[string]map[string]bool

	// What is missing in tables that others extend: a mistake only if they are used themselves.
	incomplete map[any][]setting.Problem
}

func (l *loader) load() {
	l.bases = map[string]map[string]bool{
		"connection": l.extend(l.top.get("connection")),
		"trigger":    l.extend(l.top.get("trigger")),
	}
	l.doc = document{
		ConnectRate: 200,
		Log:         LogConfig{Format: "text"},
		Metrics:     MetricsConfig{Listen: "127.0.0.1:9847"},
	}
	l.table(l.top, reflect.ValueOf(&l.doc).Elem())
	l.general()

	sectionOf(l, "proxy", l.doc.Proxy, func(name string, c *proxy.Config) {})
	sectionOf(l, "connection", l.doc.Connection, func(name string, c *connection.Config) {
		c.Name = name
		l.config.Connections = append(l.config.Connections, c)
		l.config.connections[name] = c
	})
	sectionOf(l, "smtp", l.doc.SMTP, func(name string, c *connection.SMTP) {
		c.Name = name
		l.config.SMTP = append(l.config.SMTP, c)
	})
	l.insecure()
	sectionOf(l, "trigger", l.doc.Trigger, func(name string, c *trigger.Config) {
		c.Name = name
		l.config.Triggers = append(l.config.Triggers, c)
		l.config.triggers[name] = c
	})
	l.refer()
}

// name is what a table may be called, so that it needs no quotes in a metric, a path or a command line.
var name = regexp.MustCompile(`^[A-Za-z0-9._@-]+$`)

// sectionOf names, completes and checks the tables of a section, in the file's order.
func sectionOf[T any](l *loader, section string, tables map[string]*T, named func(string, *T)) {
	n := l.top.get(section)
	if n == nil || n.kind != aTable {
		return
	}
	for _, key := range n.order {
		table := tables[key]
		if table == nil || n.keys[key].kind != aTable {
			continue
		}
		switch {
		case !name.MatchString(key):
			l.problem(n.keys[key], "a name consists of A-Z a-z 0-9 . _ @ -")
		case key == "all":
			l.problem(n.keys[key], "the name \"all\" is reserved; choose another")
		}
		named(key, table)
		l.nodes[table] = n.keys[key]
		l.complete(table, n.keys[key], l.bases[section][key])
	}
}

// complete sets a table's defaults and checks it. A table that others extend may
// lack keys: it is then only their base.
func (l *loader) complete(table any, n *node, base bool) {
	if t, ok := table.(interface{ SetDefaults() }); ok {
		t.SetDefaults()
	}
	t, ok := table.(interface{ Validate() []setting.Problem })
	if !ok {
		return
	}
	var wrong, missing []setting.Problem
	for _, p := range t.Validate() {
		if _, rest := n.find(p.Key); base && rest != "" {
			missing = append(missing, p)
		} else {
			wrong = append(wrong, p)
		}
	}
	l.relative(n, wrong)
	if missing != nil {
		l.incomplete[table] = missing
	}
}

// insecure warns of servers that are reached so that anybody in between can read it.
func (l *loader) insecure() {
	warn := func(table any, why string) {
		if n := l.nodes[table]; why != "" {
			l.config.Warnings = append(l.config.Warnings, Problem{n.file, n.line, n.path, why})
		}
	}
	for _, c := range l.config.Connections {
		warn(c, c.Insecure())
	}
	for _, s := range l.config.SMTP {
		warn(s, s.Insecure())
	}
}

// general completes and checks what stands outside the named tables.
func (l *loader) general() {
	c, getenv := l.config, l.options.Getenv
	c.StateDir, c.Control, c.ConnectRate, c.Log, c.Metrics = l.doc.StateDir, l.doc.Control, l.doc.ConnectRate, l.doc.Log, l.doc.Metrics
	if c.StateDir == "" {
		c.StateDir = stateDir(getenv)
	}
	if c.Control == "" {
		dir, _, _ := strings.Cut(getenv("RUNTIME_DIRECTORY"), ":")
		if dir == "" {
			dir = c.StateDir
		}
		c.Control = filepath.Join(dir, "control.sock")
	}
	if !(c.ConnectRate > 0 && c.ConnectRate <= 1e6) {
		l.problem(l.top.get("connect_rate"), "must be above 0 and at most 1000000; leave it out for 200 a second")
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		l.problem(l.top.get("log", "format"), "unknown format %q; write text or json", c.Log.Format)
	}
	l.listener()
}

// listener checks where the HTTP listener may be reached, and what protects it.
func (l *loader) listener() {
	m := &l.config.Metrics
	if n := l.top.get("metrics", "web_config_file"); n != nil && m.WebConfigFile != "" {
		protection, err := metrics.CheckWebConfig(m.WebConfigFile)
		if err != nil {
			l.problem(n, "%v", err)
		} else if weak := protection.Weakness(); weak != "" {
			l.config.Warnings = append(l.config.Warnings, Problem{n.file, n.line, n.path, weak})
		}
	}
	n := l.top.get("metrics", "listen")
	if m.Listen == "" || strings.HasPrefix(m.Listen, "unix:/") || n == nil {
		return
	}
	host, port, err := net.SplitHostPort(m.Listen)
	switch ip := net.ParseIP(host); {
	case err != nil || !isPort(port):
		l.problem(n, `%q is not an address; write "127.0.0.1:9847", "unix:/path", or "" for no listener`, m.Listen)
	case host == "localhost" || ip != nil && ip.IsLoopback() || m.WebConfigFile != "":
	default:
		l.problem(n, "%q can be reached from other machines; that needs metrics.web_config_file (TLS and a password), or write \"127.0.0.1:%s\"", m.Listen, port)
	}
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n <= 65535
}

// stateDir is the default of state_dir. The first of several directories that
// systemd made is meant.
func stateDir(getenv func(string) string) string {
	if dir, _, _ := strings.Cut(getenv("STATE_DIRECTORY"), ":"); dir != "" {
		return dir
	}
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "mailtriggerd")
	}
	return filepath.Join(getenv("HOME"), ".local", "state", "mailtriggerd")
}
