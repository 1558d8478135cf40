package setup

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/postfix"
)

// run runs a command of Postfix, which must succeed and have no complaints.
func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	command := exec.Command(name, args...)
	var complaints strings.Builder
	command.Stderr = &complaints
	out, err := command.Output()
	if err != nil || complaints.Len() > 0 {
		t.Errorf("%s %v: %v\n%s", name, args, err, complaints.String())
	}
	return string(out)
}

// postconf returns what Postfix takes from the main.cf of a directory.
func postconf(t *testing.T, dir string) map[string]string {
	t.Helper()
	values := make(map[string]string)
	for line := range strings.Lines(run(t, "postconf", "-c", dir, "-n")) {
		name, value, _ := strings.Cut(line, "=")
		values[strings.TrimSpace(name)] = strings.TrimSpace(value)
	}
	return values
}

// writeOld writes a file with a time in the past: Postfix waits for a fresh
// one to cool down.
func writeOld(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

// stockDir is Debian's configuration, with main.cf as the package's own
// installation writes it.
func stockDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	var stock string
	for _, name := range []string{"main.cf.debian", "main.cf.tls"} {
		data, err := os.ReadFile("/usr/share/postfix/" + name)
		if err != nil {
			t.Fatalf("%v; hint: run make setup", err)
		}
		stock += string(data)
	}
	stock += "# own\nsmtpd_client_event_limit_exceptions = 192.0.2.1,\n# more\n  192.0.2.2\n"
	path := filepath.Join(dir, "main.cf")
	writeOld(t, path, stock)
	run(t, "postconf", "-c", dir, "-e", "myhostname=buildd", "alias_maps=hash:/etc/aliases", "mydestination=$myhostname, localhost",
		"smtpd_relay_restrictions=permit_mynetworks permit_sasl_authenticated defer_unauth_destination")
	edited, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeOld(t, path, string(edited))
	copyFile(t, "/usr/share/postfix/master.cf.dist", filepath.Join(dir, "master.cf"))
	return dir
}

// TestPostconf proves that Postfix sees what we set, nothing else changed, and
// finds no fault.
func TestPostconf(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	dir := stockDir(t)
	before := postconf(t, dir)
	vars := map[string]string{
		"POSTFIX_myhostname": "mta.example.org", "ALLOWED_SENDER_DOMAINS": "example.org bücher.example",
		"RELAYHOST": "[r.example.net]:587", "RELAYHOST_USERNAME": "u", "RELAYHOST_PASSWORD": "a b:c",
		"INBOUND_DEBUGGING": "yes", "MASQUERADED_DOMAINS": "example.org", "POSTFIX_append_dot_mydomain": "",
		"POSTFIX_maximal_queue_lifetime": "1d",
	}
	writeConfig(t, vars, Request{Dir: dir})
	after := postconf(t, dir)

	d, err := postfix.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	wanted, err := FromVariables(vars, d.Main, Request{Dir: dir, Milter: "inet:127.0.0.1:8891"}, ThisMachine(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range wanted.Parameters {
		value, ok := after[s.Name]
		if value != s.Value || ok == s.Unset {
			t.Errorf("%s is %q, %v to Postfix, want %q", s.Name, value, ok, s.Value)
		}
		delete(before, s.Name)
		delete(after, s.Name)
	}
	for name, value := range before {
		if after[name] != value {
			t.Errorf("%s was %q, is %q", name, value, after[name])
		}
		delete(after, name)
	}
	if len(after) > 0 {
		t.Errorf("new settings %v", after)
	}
	run(t, "postfix", "-c", dir, "check")
}

// TestPostmap asks Postfix what it finds in the maps. Addresses are looked up
// without case, and in UTF-8.
func TestPostmap(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	dir := stockDir(t)
	writeConfig(t, map[string]string{
		"POSTFIX_myhostname": "mta.example.org", "ALLOWED_SENDER_DOMAINS": "example.org bücher.example",
		"RELAYHOST": "[R.example.net]:587", "RELAYHOST_USERNAME": "u", "RELAYHOST_PASSWORD": `a  "b:c\`,
	}, Request{Dir: dir, Subdomains: true})
	tests := []struct{ file, key, want string }{
		{sendersFile, "<>", "OK"},
		{sendersFile, "example.org", "OK"},
		{sendersFile, "EXAMPLE.org", "OK"},
		{sendersFile, ".example.org", "OK"},
		{sendersFile, "bücher.example", "OK"},
		{sendersFile, "BÜCHER.example", "OK"},
		{sendersFile, "xn--bcher-kva.example", "OK"},
		{passwordFile, "[R.example.net]:587", `u:a  "b:c\`},
		{passwordFile, "[r.example.net]:587", `u:a  "b:c\`},
	}
	for _, test := range tests {
		got := run(t, "postmap", "-c", dir, "-q", test.key, "texthash:"+filepath.Join(dir, test.file))
		if strings.TrimSuffix(got, "\n") != test.want {
			t.Errorf("%s: %s is %q, want %q", test.file, test.key, got, test.want)
		}
	}
	for _, key := range []string{"example.com", "org", "", "#"} {
		out, err := exec.Command("postmap", "-c", dir, "-q", key, "texthash:"+filepath.Join(dir, sendersFile)).Output()
		if err == nil || len(out) > 0 {
			t.Errorf("%q is %q", key, out)
		}
	}
}
