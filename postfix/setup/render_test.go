package setup

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"signpost/postfix"
)

// odd are values that a careless rendering would break.
func odd() []postfix.Parameter {
	return []postfix.Parameter{
		{Name: "smtpd_banner", Value: `$myhostname "ESMTP" 'it''s' ${mail_name} $$5 \ #x`},
		{Name: "relay_domains", Value: ""},
		{Name: "smtpd_milters", Value: "{ inet:signpostd:8891, default_action=tempfail }, unix:/run/x"},
		{Name: "header_checks", Value: "regexp:{{/^Subject: *(.*)$$/ REPLACE Subject: $$1!}}"},
		{Name: "myorigin", Value: "$myhostname"},
		{Name: "mynetworks", Value: "127.0.0.0/8 [::1]/128"},
		{Name: "mydomain", Value: "bücher.example"},
		{Name: "default_rbl_reply", Value: "a: b - c, yes: {no} [1] & *x !y %z @w `id` $(mail_name)"},
		{Name: "biff", Unset: true},
		{Name: "lmtp_sasl_password_maps", Value: "static:user:hush"},
	}
}

// TestRenderForPostfix pastes what Render prints, and Postfix must have the
// values.
func TestRenderForPostfix(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	for _, format := range []string{"main.cf", "postconf"} {
		dir := t.TempDir()
		text, err := Render(format, odd())
		if err != nil {
			t.Fatal(err)
		}
		writeOld(t, filepath.Join(dir, "master.cf"), "")
		writeOld(t, filepath.Join(dir, "main.cf"), map[string]string{"main.cf": text, "postconf": "biff = no\n"}[format])
		if format == "postconf" {
			writeOld(t, filepath.Join(dir, "postfix"), "#!/bin/sh\n[ \"$*\" = reload ]\n")
			if err := os.Chmod(filepath.Join(dir, "postfix"), 0o755); err != nil {
				t.Fatal(err)
			}
			shell := exec.Command("sh", "-e", "-c", text)
			shell.Env = append(os.Environ(), "MAIL_CONFIG="+dir, "PATH="+dir+":"+os.Getenv("PATH"))
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s\n%s", err, out, text)
			}
			data, err := os.ReadFile(filepath.Join(dir, "main.cf"))
			if err != nil {
				t.Fatal(err)
			}
			writeOld(t, filepath.Join(dir, "main.cf"), string(data)) // Postfix waits for a fresh file
		}
		got := postconf(t, dir)
		for _, s := range odd() {
			value, set := got[s.Name]
			want, wantSet := s.Value, !s.Unset
			if strings.Contains(s.Value, "hush") {
				want, wantSet = "", false
			}
			if value != want || set != wantSet {
				t.Errorf("as %s: %s is %q, %v, want %q, %v", format, s.Name, value, set, want, wantSet)
			}
		}
		if strings.Contains(text, "hush") {
			t.Errorf("as %s: a secret is shown:\n%s", format, text)
		}
	}
}

// TestRenderForCompose lets Compose read what Render prints.
func TestRenderForCompose(t *testing.T) {
	t.Parallel()
	settings := append(odd(), postfix.Parameter{Name: "x_tab", Value: "a\tb"}, postfix.Parameter{Name: "x_control", Value: "a\x1bb"})
	text, err := Render("env", settings)
	if err != nil {
		t.Fatal(err)
	}
	got := composeEnvironment(t, text)
	for _, s := range settings {
		value, set := got["POSTFIX_"+s.Name]
		wantSet := (s.Value != "" || s.Unset) && !strings.Contains(s.Value, "hush")
		if set != wantSet || set && value != s.Value {
			t.Errorf("%s is %q, %v, want %q, %v", s.Name, value, set, s.Value, wantSet)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("a secret is shown:\n%s", text)
	}
}

// composeEnvironment puts lines under "environment:" and returns what Compose
// makes of them. Its answer is YAML again, with each $ doubled.
func composeEnvironment(t *testing.T, lines string) map[string]string {
	t.Helper()
	file := "version: \"3\"\nservices:\n  mail:\n    image: x\n    environment:\n"
	for line := range strings.Lines(lines) {
		file += "      " + line
	}
	path := filepath.Join(t.TempDir(), "docker-compose.yml")
	writeOld(t, path, file)
	command := exec.Command("docker-compose", "-f", path, "config")
	if exec.Command("docker", "compose", "version").Run() == nil {
		command = exec.Command("docker", "compose", "-f", path, "config")
	}
	out, err := command.Output()
	if err != nil {
		t.Fatalf("docker-compose config: %v; hint: run make setup\n%s", err, file)
	}
	convert := exec.Command("/usr/bin/python3", "-c", "import json, sys, yaml; json.dump(yaml.safe_load(sys.stdin), sys.stdout)")
	convert.Stdin = strings.NewReader(string(out))
	if out, err = convert.Output(); err != nil {
		t.Fatalf("python3 with yaml: %v; hint: run make setup\n%s", err, out)
	}
	var project struct {
		Services map[string]struct{ Environment map[string]string }
	}
	if err := json.Unmarshal(out, &project); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	environment := project.Services["mail"].Environment
	for name, value := range environment {
		environment[name] = strings.ReplaceAll(value, "$$", "$")
	}
	return environment
}
