package metrics

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.yaml.in/yaml/v2"

	"mailtrigger/connection/connectiontest/rigtest"
)

func file(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestAlertRules(t *testing.T) {
	promtool := rigtest.Tool(t, "promtool", "prometheus")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

// alerts are the names of all rules.
func alerts(t *testing.T) (names []string) {
	t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
				Labels      map[string]string
			}
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, "alerts.yml")), &rules); err != nil {
		t.Fatal(err)
	}
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
			if r.Annotations["summary"] == "" || r.Annotations["description"] == "" || r.Labels["severity"] == "" {
				t.Errorf("%s lacks its words or its severity", r.Alert)
			}
		}
	}
	return names
}

// Each alert is tested, to fire and not to, and has its page of what to do, in the rules' order.
func TestAlertsAreExplained(t *testing.T) {
	names := alerts(t)
	var sections []string
	for _, m := range regexp.MustCompile(`(?m)^## (.+)$`).FindAllStringSubmatch(file(t, "operations.md"), -1) {
		sections = append(sections, m[1])
	}
	if !slices.Equal(sections, names) {
		t.Errorf("operations.md explains\n%q, the rules are\n%q", sections, names)
	}
	var tests struct {
		Tests []struct {
			Cases []struct {
				Alert string `yaml:"alertname"`
				Fires []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	if err := yaml.Unmarshal([]byte(file(t, "alerts_test.yml")), &tests); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		fires, quiet := 0, 0
		for _, test := range tests.Tests {
			for _, c := range test.Cases {
				if c.Alert == name && len(c.Fires) > 0 {
					fires++
				} else if c.Alert == name {
					quiet++
				}
			}
		}
		if fires == 0 || quiet < 2 {
			t.Errorf("%s is tested to fire %d times, and not to before and after %d times", name, fires, quiet)
		}
	}
}

// Rules, dashboard and page speak of metrics that there are.
func TestNamesInUse(t *testing.T) {
	known := map[string]bool{}
	for _, d := range Documentation {
		known[d.Name] = true
		if d.Type == "histogram" {
			known[d.Name+"_bucket"], known[d.Name+"_sum"], known[d.Name+"_count"] = true, true, true
		}
	}
	used := map[string]bool{}
	for _, name := range []string{"alerts.yml", "alerts_test.yml", "dashboard.json"} {
		for _, m := range regexp.MustCompile(`mailtriggerd_([a-z_]+)`).FindAllStringSubmatch(file(t, name), -1) {
			if !known[m[1]] {
				t.Errorf("%s: there is no metric %s", name, m[0])
			}
			used[strings.TrimSuffix(m[1], "_bucket")] = true
		}
	}
	for _, m := range regexp.MustCompile("`([a-z]+_[a-z_]+)(?:\\{[^`]*)?`").FindAllStringSubmatch(file(t, "operations.md"), -1) {
		if !known[m[1]] && !slices.Contains([]string{"state_dir", "idle_refresh", "poll_interval", "max_connections", "pin_sha256"}, m[1]) {
			t.Errorf("operations.md: there is no metric %s", m[1])
		}
	}
	for _, d := range Documentation {
		if !used[d.Name] {
			t.Errorf("%s is neither in the dashboard nor in an alert", d.Name)
		}
	}
}

// expressions are the queries of the dashboard, as Grafana would send them.
func expressions(t *testing.T) (all []string) {
	t.Helper()
	var dashboard struct {
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(file(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids, places := map[int]bool{}, map[[2]int]string{}
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %q has an id that another has, or no query", p.Title)
		}
		ids[p.ID] = true
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := places[[2]int{x, y}]; other != "" || x >= 24 {
					t.Fatalf("panel %q lies on %q, or beyond the edge", p.Title, other)
				}
				places[[2]int{x, y}] = p.Title
			}
		}
		for _, target := range p.Targets {
			all = append(all, strings.NewReplacer("$instance", ".*", "$__rate_interval", "1m").Replace(target.Expr))
		}
	}
	if len(all) < 20 {
		t.Errorf("only %d queries", len(all))
	}
	return all
}

// The real Prometheus scrapes the listener, takes every name, evaluates the rules
// and answers what the dashboard asks.
func TestPrometheus(t *testing.T) {
	prometheus := rigtest.Tool(t, "prometheus", "prometheus")
	address, web := freeAddress(t), freeAddress(t)
	m := serve(t, ListenOptions{Address: address})
	m.Loaded(nil, time.Now())
	dir := t.TempDir()
	rules, err := filepath.Abs("alerts.yml")
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 200ms, evaluation_interval: 200ms}\nrule_files: [%q]\nscrape_configs:\n- job_name: mailtriggerd\n  static_configs: [{targets: [%q]}]\n", rules, address)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.Command(prometheus, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+web)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	ask := func(path string, into any) bool {
		resp, err := http.Get("http://" + web + path)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == 200 && (into == nil || json.Unmarshal(b, into) == nil)
	}
	type answer struct {
		Data struct {
			Result []struct {
				Value [2]any
			}
		}
	}
	query := func(q string) (n int, ok bool) {
		var a answer
		ok = ask("/api/v1/query?query="+url.QueryEscape(q), &a)
		return len(a.Data.Result), ok
	}
	wait(t, "a scrape", func() bool { n, ok := query("mailtriggerd_queue_length == 3"); return ok && n == 1 }, log.Name())
	for _, d := range Documentation {
		name := namespace + "_" + d.Name
		if d.Type == "histogram" {
			name += "_count"
		}
		if n, ok := query(name); !ok || n == 0 {
			t.Errorf("Prometheus has no %s", name)
		}
	}
	for _, e := range expressions(t) {
		if _, ok := query(e); !ok {
			t.Errorf("Prometheus does not understand the dashboard's %s", e)
		}
	}
	var state struct {
		Data struct {
			Groups []struct {
				Rules []struct {
					Name, Health, State string
				}
			}
		}
	}
	wait(t, "the rules' evaluation, and one that fires", func() bool {
		if !ask("/api/v1/rules", &state) || len(state.Data.Groups) != 1 {
			return false
		}
		firing := false
		for _, r := range state.Data.Groups[0].Rules {
			if r.Health != "ok" {
				return false
			}
			firing = firing || r.Name == "MailtriggerdDeadLetters" && r.State == "firing"
		}
		return firing
	}, log.Name())
}

// wait waits until something is so.
func wait(t *testing.T, what string, ok func() bool, log string) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(60 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("never: %s\n%s", what, file(t, log))
		}
	}
}
