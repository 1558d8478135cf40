package system

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"signpost/test/lab"
)

// A Postfix that receives mail too, set up by the lines for docker-mailserver, which are
// applied as that applies them: a real OpenDKIM verifies on port 25, and signpostd signs
// what users and programs hand in, once, also where it goes through a content filter.
func TestVerifierOnPort25(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
	w.startDaemon()
	verifier := w.startVerifier()
	p := w.startReceiver(verifier)

	ways := map[string]bypass{"587": {port: "587"}, "465": {port: "465"}, "sendmail": {sendmail: true}}
	for name, way := range ways {
		if name != "sendmail" {
			p.addr = w.net + ".1:" + way.port
		}
		if err := way.submit(p, name); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	for name := range ways {
		message := w.awaitDelivery(name)
		if got := w.fate(message); got != good || bytes.Contains(message, []byte("Authentication-Results:")) {
			t.Errorf("by %s: %s\n%s", name, got, start(message))
		}
	}

	// What comes from the world is verified, and never signed here.
	p.addr = w.net + ".1:25"
	signed := w.awaitDelivery("587")
	for _, test := range []struct {
		id      string
		message []byte
		want    string // of the verifier
		fate    string
	}{
		{"from-us", bytes.ReplaceAll(signed, []byte("This is"), []byte("This was")), "dkim=fail", broken},
		{"forged", letter("a@example.org", "forged"), "dkim=none", unsigned},
		{"587", signed, "dkim=pass", good},
	} {
		before := len(w.sink.All())
		p.mustSubmit("a@example.net", "reader@rcpt.test", test.message)
		await(t, "delivery of "+test.id, func() bool { return len(w.sink.All()) > before })
		message := w.sink.All()[before].Data
		results := headerOf(message, "Authentication-Results")
		if got := w.fate(message); got != test.fate || !strings.Contains(results, test.want) {
			t.Errorf("%s from the world: %s, %q\n%s", test.id, got, results, start(message))
		}
	}

	// The linter has nothing to say of it, and finds what breaks it.
	if found := w.milterFindings(p); len(found) > 0 {
		t.Errorf("the linter finds %v", found)
	}
	w.run("postconf", "-c", p.Etc, "-PX", "submissions/inet/smtpd_milters")
	if found := w.milterFindings(p); len(found) != 1 || found[0] != "postfix-milter-submission" {
		t.Errorf("with port 465 forgotten the linter finds %v", found)
	}
	p.awaitReload()
	p.addr = w.net + ".1:465"
	p.mustSubmit("a@example.org", "reader@rcpt.test", letter("a@example.org", "forgotten"))
	if got := w.fate(w.awaitDelivery("forgotten")); got != unsigned {
		t.Errorf("with port 465 forgotten: %s", got)
	}
}

// startVerifier runs OpenDKIM as a verifier, and returns its address for Postfix.
func (w *world) startVerifier() string {
	w.t.Helper()
	const port = "8899"
	address := w.net + ".7"
	// Else what comes from loopback would be internal, and not verified.
	internal := w.write("internal", "192.0.2.255\n")
	config := w.write("opendkim.conf", "Mode v\nSyslog no\nAuthservID mta.test\nAlwaysAddARHeader yes\n"+
		"InternalHosts refile:"+internal+"\nNameservers "+w.nameserver()+"\n")
	cmd := w.command("opendkim", "-f", "-x", config, "-b", "v", "-p", "inet:"+port+"@"+address)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	await(w.t, "OpenDKIM to listen", func() bool {
		conn, err := net.Dial("tcp", address+":"+port)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
	return "inet:" + address + ":" + port
}

// startReceiver runs a Postfix with the services of docker-mailserver, and the lines
// that we give for it.
func (w *world) startReceiver(verifier string) *postfix {
	w.t.Helper()
	ip := w.net + ".1"
	services := "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\nsubmissions inet n - n - - smtpd\n" +
		ip + ":10025 inet n - n - - smtpd\n  -o content_filter=\n" +
		"  -o receive_override_options=no_header_body_checks,no_unknown_recipient_checks,no_milters\n"
	recipe := func(name string) string {
		data, err := os.ReadFile("../../docker/docker-mailserver/" + name)
		if err != nil {
			w.t.Fatal(err)
		}
		return strings.ReplaceAll(string(data), "inet:signpostd:8891", w.milterAddr())
	}
	settings := []string{"inet_interfaces = " + ip, "smtpd_milters = " + verifier, "milter_default_action = accept",
		"content_filter = smtp:[" + ip + "]:10025"}
	for line := range strings.Lines(recipe("postfix-main.cf")) {
		if !strings.HasPrefix(line, "#") {
			settings = append(settings, strings.TrimSpace(line))
		}
	}
	started, err := lab.StartPostfix(w.dir+"/postfix", w.command, services, settings...)
	if err != nil {
		w.t.Fatal(err)
	}
	p := &postfix{Postfix: started, w: w}
	w.logs = append(w.logs, p.Log)
	w.t.Cleanup(func() { p.Stop() })
	for line := range strings.Lines(recipe("postfix-master.cf")) {
		if !strings.HasPrefix(line, "#") {
			w.run("postconf", "-c", p.Etc, "-P", strings.TrimSpace(line))
		}
	}
	p.awaitReload()
	return p
}

// awaitReload makes Postfix read its configuration, and waits until it has.
func (p *postfix) awaitReload() {
	p.w.t.Helper()
	before := len(p.Logged("reload -- version"))
	if err := p.Reload(); err != nil {
		p.w.t.Fatal(err)
	}
	await(p.w.t, "Postfix to reload", func() bool { return len(p.Logged("reload -- version")) > before })
}

// milterFindings returns the codes of what the linter finds about milters, notes aside.
func (w *world) milterFindings(p *postfix) (codes []string) {
	w.t.Helper()
	cmd := w.companion("postfix", "check", "--json", "--milter", w.milterAddr(), p.Etc)
	out, err := cmd.Output()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		w.t.Fatal(err)
	}
	var report struct {
		Findings []struct{ Code, Level string }
	}
	if err := json.Unmarshal(out, &report); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	for _, f := range report.Findings {
		if strings.HasPrefix(f.Code, "postfix-milter") && f.Level != "note" {
			codes = append(codes, f.Code)
		}
	}
	return codes
}

// headerOf returns a field of a message, unfolded; "" where there is none.
func headerOf(message []byte, name string) string {
	header, _, _ := strings.Cut(strings.ReplaceAll("\r\n"+string(message), "\r\n\t", " "), "\r\n\r\n")
	_, rest, found := strings.Cut(header, "\r\n"+name+":")
	if !found {
		return ""
	}
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}
