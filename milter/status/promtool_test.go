package status

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

const (
	alerts    = "../../docker/prometheus-alerts.yaml"
	dashboard = "../../docker/grafana-dashboard.json"
)

func promtool(t *testing.T, input string, args ...string) {
	t.Helper()
	cmd := exec.Command("promtool", args...)
	cmd.Stdin = strings.NewReader(input)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool %s: %v; hint: sh test/setup.sh tests installs it\n%s", strings.Join(args, " "), err, out)
	}
}

// metricsOf is a whole scrape.
func metricsOf(t *testing.T) string {
	source := withReports(sourceOf(reportedOn()), reportedOn())
	source.unready(nil, Unsignable{"missing.example", "no key"})
	recorder := recorderOf(source, 0)
	someMail(recorder)
	resp, body := get(t, serve(t, source, recorder).URL+"/metrics")
	if resp.StatusCode != 200 {
		t.Fatal(resp.Status, body)
	}
	return body
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	body := metricsOf(t)
	contains(t, body,
		`signpost_build_info{goversion="go1.`, `rsa="crypto/rsa",version="1.2.3"} 1`,
		`signpost_keys{stage="active"} 2`, `signpost_keys{stage="retired"} 0`,
		`signpost_key_stage{algorithm="rsa",domain="example.org",selector="s20261125",stage="pending"} 1`,
		`signpost_key_made_timestamp_seconds{algorithm="ed25519",domain="quiet.example",selector="k1"} 1.7`,
		`signpost_key_checked_timestamp_seconds{algorithm="rsa",domain="example.org",selector="mail"} 1.7`,
		`signpost_key_check_failing{algorithm="",domain="broken.example",selector=""} 1`,
		`signpost_connections_refused_total{reason="frame"} 1`, "signpost_sessions 3", "signpost_memory_bytes 1.2582912e+07", "signpost_memory_limit_bytes 2.68435456e+08", "signpost_sessions_total 17",
		"signpost_key_reload_failures_total 1", "signpost_ready 1", "signpost_signing_seconds_count 1234", "go_goroutines", "process_cpu_seconds_total")
	promtool(t, body, "check", "metrics")
}

// Of a great many keys those that need attention are shown, and all are counted.
func TestKeyMetricsAreBounded(t *testing.T) {
	t.Parallel()
	source := sourceOf(manyDomains(5000))
	_, body := get(t, serve(t, source, recorderOf(source, 0)).URL+"/metrics")
	contains(t, body, "signpost_keys_shown 1000", `signpost_keys{stage="active"} 4999`, `domain="d004999.example",selector="mail",stage="broken"} 1`)
	if n := strings.Count(body, "\nsignpost_key_stage{"); n != DefaultKeys {
		t.Error(n, "keys have metrics")
	}
}

// The same name twice, or one that is no text, must not fail the scrape.
func TestMetricsOfHostileNames(t *testing.T) {
	t.Parallel()
	domains := hostile()
	domains = append(domains, view.Domain{Name: "\xff\xfe\n\"", Keys: []view.Key{{Stage: rotation.Broken}, {Stage: rotation.Broken}}})
	source := sourceOf(domains)
	resp, body := get(t, serve(t, source, recorderOf(source, 0)).URL+"/metrics")
	if resp.StatusCode != 200 || !strings.Contains(body, "signpost_keys_shown 4") {
		t.Error(resp.Status, body)
	}
}

func TestAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, "", "check", "rules", alerts)
	promtool(t, "", "test", "rules", "testdata/alerts.yaml", "testdata/days.yaml")
	rules, err := os.ReadFile(alerts)
	if err != nil {
		t.Fatal(err)
	}
	tests := ""
	for _, name := range []string{"testdata/alerts.yaml", "testdata/days.yaml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		tests += string(text)
	}
	for _, match := range regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(string(rules), -1) {
		if !strings.Contains(tests, "alertname: "+match[1]+"\n") {
			t.Errorf("no test in testdata of %s", match[1])
		}
	}
	known(t, metricsOf(t), string(rules))
}

// TestDashboard has promtool parse each query, as if it were a recording rule.
func TestDashboard(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	type rule struct {
		Record string `json:"record"`
		Expr   string `json:"expr"`
	}
	var rules []rule
	metrics := metricsOf(t)
	for _, panel := range board.Panels {
		if len(panel.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			expr := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
			rules = append(rules, rule{"panel:" + string(rune('a'+len(rules)%26)) + ":" + strings.Repeat("x", len(rules)/26), expr})
			known(t, metrics, expr)
		}
	}
	file := filepath.Join(t.TempDir(), "rules.yaml")
	// JSON is YAML.
	text, err := json.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "", "check", "rules", file)
}

// known checks that each metric in queries is one that we have.
func known(t *testing.T, metrics, queries string) {
	t.Helper()
	for _, name := range regexp.MustCompile(`\b(signpost|process|go)_[a-z_]+\b`).FindAllString(queries, -1) {
		if !strings.Contains(metrics, "\n"+name+"{") && !strings.Contains(metrics, "\n"+name+" ") {
			t.Errorf("there is no metric %s", name)
		}
	}
}
