package compose_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"syscall"
	"testing"
)

// swaksFrom sends from this machine through the published port; another container is the next mail server.
func swaksFrom(p *project, domains ...string) {
	p.t.Helper()
	port := p.smtpPort()
	sink := p.docker(append([]string{"run", "-d"}, p.probe(domains...)...)...)
	defer p.docker("rm", "-f", sink)
	p.until("the sink listens", func() bool { return strings.Contains(p.docker("logs", sink), "receiving") })
	ip := p.inspect(sink, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
	for _, domain := range domains {
		p.output(p.command("swaks", "--server", "127.0.0.1", "--port", port, "--from", "news@"+domain, "--to", "probe@["+ip+"]",
			"--header", "Subject: from the outside", "--suppress-data"))
	}
	if code := p.docker("wait", sink); code != "0" {
		p.t.Errorf("the sink ended with %s:\n%s", code, p.docker("logs", sink))
	}
}

// locksTheDaemonIn looks at what the engine was told, not at what the file says.
func locksTheDaemonIn(p *project) {
	p.t.Helper()
	daemon := p.container("signpostd")
	for template, want := range map[string]string{
		"{{.Config.User}}":                               "101:104",
		"{{.HostConfig.ReadonlyRootfs}}":                 "true",
		"{{.HostConfig.CapDrop}} {{.HostConfig.CapAdd}}": "[ALL] []",
		"{{.HostConfig.SecurityOpt}}":                    "[no-new-privileges:true]",
		"{{.HostConfig.Privileged}}":                     "false",
		`{{if index .NetworkSettings.Ports "8891/tcp"}}published{{else}}inside{{end}}`: "inside",
		`{{(index .NetworkSettings.Ports "8890/tcp" 0).HostIp}}`:                       "127.0.0.1",
	} {
		if got := p.inspect(daemon, template); got != want {
			p.t.Errorf("signpostd: %s is %s, want %s", template, got, want)
		}
	}
	if got := p.inspect(p.container("mail"), `{{(index .NetworkSettings.Ports "587/tcp" 0).HostIp}}`); got != "127.0.0.1" {
		p.t.Errorf("Postfix is published on %s", got)
	}
}

// showsKeys looks at the status page as somebody on this machine does, while a key
// is dropped in beside the one that signs: it waits for its record.
func showsKeys(p *project, domain string) {
	p.t.Helper()
	page := "http://127.0.0.1:" + p.inspect(p.container("signpostd"), `{{(index .NetworkSettings.Ports "8890/tcp" 0).HostPort}}`)
	get := func(path string) (int, string) {
		response, err := http.Get(page + path)
		if err != nil {
			return 0, err.Error()
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			p.t.Fatal(err)
		}
		return response.StatusCode, string(body)
	}
	p.until("signpostd says that it is ready", func() bool { code, _ := get("/readyz?all=1"); return code == http.StatusOK })
	private, _ := newKey(p.t, domain, "next")
	folder := filepath.Join(p.dir, "opendkim-keys", domain)
	if err := os.Mkdir(folder, 0o755); err != nil {
		p.t.Fatal(err)
	}
	p.write(filepath.Join("opendkim-keys", domain, "next.private"), private)
	stages := regexp.MustCompile(`"selector": "(\w+)"[^}]*?"stage": "(\w+)"`)
	p.until("the status page shows the new key", func() bool {
		_, body := get("/status.json?domain=" + domain)
		var got []string
		for _, found := range stages.FindAllStringSubmatch(body, -1) {
			got = append(got, found[1]+" "+found[2])
		}
		sort.Strings(got)
		return strings.Join(got, ", ") == "mail active, next pending"
	})
	if _, body := get("/?domain=" + domain); !strings.Contains(body, "next._domainkey."+domain) {
		p.t.Errorf("the status page does not say what to publish:\n%s", body)
	}
	if _, body := get("/metrics"); !strings.Contains(body, "signpost_messages_total{") {
		p.t.Errorf("no messages among the metrics:\n%s", body)
	}
	if err := os.RemoveAll(folder); err != nil {
		p.t.Fatal(err)
	}
}

// healthChecksAreQuiet makes sure that a day of health checks fills no log.
func healthChecksAreQuiet(p *project) {
	p.t.Helper()
	for service, check := range map[string][]string{"mail": {"postfix-health"}, "signpostd": {"/signpost", "health"}} {
		id := p.container(service)
		// What else goes on may log in between, such as the news of a key: that is rare, and a
		// health check that logs does so every time.
		p.until(service+": a health check that logs nothing", func() bool {
			before := p.docker("logs", id)
			p.docker(append([]string{"exec", id}, check...)...)
			return p.docker("logs", id) == before
		})
	}
}

// restartsWhileSending takes the daemon away from under a stream of mail, gently and
// not: Postfix must put mail off, and never let it go unsigned.
func restartsWhileSending(p *project) {
	p.t.Helper()
	daemon := p.container("signpostd")
	args := p.probe("--submit", "mail:587", "--count", "40", "--pause", "100ms", "example.org", "example.net")
	stream := p.command(p.engine.docker, append([]string{"run", "--rm"}, args...)...)
	var out strings.Builder
	stream.Stdout, stream.Stderr = &out, &out
	if err := stream.Start(); err != nil {
		p.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stream.Wait() }()

	flowing := func() bool { return strings.Count(p.docker("logs", daemon), "field added") > 4 }
	p.until("mail flows", flowing)
	p.docker("restart", daemon)
	p.docker("kill", "--signal", "KILL", daemon)
	p.docker("start", daemon)
	select {
	case err := <-ended:
		p.t.Fatalf("the stream ended before the daemon was back: %v\n%s", err, out.String())
	default:
	}
	if err := <-ended; err != nil {
		p.t.Fatalf("sending while signpostd restarted: %v\n%s", err, out.String())
	}
}

// hangs has signpostd answer nothing for a while: its health check says so, and then mail goes on.
func hangs(p *project, domain string) {
	p.t.Helper()
	daemon := p.container("signpostd")
	becomes := func(health string) {
		p.t.Helper()
		p.until("signpostd is "+health, func() bool { return p.inspect(daemon, "{{.State.Health.Status}}") == health })
	}
	becomes("healthy")
	p.docker("kill", "--signal", "STOP", daemon)
	becomes("unhealthy")
	p.docker("kill", "--signal", "CONT", daemon)
	p.mustSign(domain)
	becomes("healthy")
}

// stopsByItself: an exit code of 137 would say that the engine lost patience and killed it.
func stopsByItself(p *project) {
	p.t.Helper()
	p.compose("stop")
	for _, service := range []string{"mail", "signpostd"} {
		if code := p.inspect(p.container(service), "{{.State.ExitCode}}"); code != "0" {
			p.t.Errorf("%s: exit code %s", service, code)
		}
	}
}

// keyFiles lists name, owner, mode, size and time of the keys.
func (p *project) keyFiles() string {
	p.t.Helper()
	entries, err := os.ReadDir(filepath.Join(p.dir, "opendkim-keys"))
	if err != nil {
		p.t.Fatal(err)
	}
	var lines []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			p.t.Fatal(err)
		}
		lines = append(lines, fmt.Sprintln(info.Name(), p.stat("opendkim-keys/"+info.Name()), info.Size(), info.ModTime()))
	}
	return strings.Join(lines, "")
}

// stat returns the owner, group and mode of a file as 101:104 0400.
func (p *project) stat(name string) string {
	p.t.Helper()
	info, err := os.Stat(filepath.Join(p.dir, name))
	if err != nil {
		p.t.Fatal(err)
	}
	sys := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d %04o", sys.Uid, sys.Gid, info.Mode().Perm())
}

// copyKey puts a key of this owner and mode, and its record, into a key directory of root.
func (p *project) copyKey(domain, selector, owner, mode string) {
	p.t.Helper()
	keys := filepath.Join(p.dir, "opendkim-keys")
	if err := os.MkdirAll(keys, 0o755); err != nil {
		p.t.Fatal(err)
	}
	private, record := newKey(p.t, domain, selector)
	p.write("opendkim-keys/"+domain+".private", private)
	p.write("opendkim-keys/"+domain+".txt", record)
	p.docker("run", "--rm", "--network", "none", "-v", keys+":/keys", "--entrypoint", "sh", "signpost-postfix", "-c",
		fmt.Sprintf("cd /keys; chown 0:0 .; chown %[2]s %[1]s.*; chmod %[3]s %[1]s.private", domain, owner, mode))
}

// newKey returns an RSA key and its record as boky/postfix writes the two.
func newKey(t *testing.T, domain, selector string) (private, record string) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(public)
	record = fmt.Sprintf("%s._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=rsa; s=email; \"\n\t  \"p=%s\"\n\t  \"%s\" )  ; ----- DKIM key %s for %s\n",
		selector, p[:250], p[250:], selector, domain)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), record
}
