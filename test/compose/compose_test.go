package compose_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What somebody does who reads the README: a folder, a compose file, a .env, a message.
func TestCompose(t *testing.T) {
	t.Parallel()
	p := newProject(t, "compose.yaml", "ALLOWED_SENDER_DOMAINS=example.org example.net", "INBOUND_DEBUGGING=yes")
	p.compose("up", "-d")
	p.until("keys and records appear", func() bool {
		found, _ := filepath.Glob(filepath.Join(p.dir, "opendkim-keys", "example.*.[pt]*"))
		return len(found) == 4
	})

	swaksFrom(p, "example.org", "example.net")
	locksTheDaemonIn(p)
	showsKeys(p, "example.net")
	p.until("both are healthy", func() bool {
		return p.inspect(p.container("signpostd"), "{{.State.Health.Status}}") == "healthy" &&
			p.inspect(p.container("mail"), "{{.State.Health.Status}}") == "healthy"
	})
	healthChecksAreQuiet(p)
	restartsWhileSending(p)
	stopsByItself(p)

	// A queue folder that another image filled belongs to other user ids.
	p.docker("run", "--rm", "--network", "none", "-v", p.name+"_queue:/queue", "--entrypoint", "chown", "signpost-postfix", "-R", "12345:12345", "/queue")
	keys := p.keyFiles()
	p.compose("up", "-d")
	p.mustSign("example.org")
	if now := p.keyFiles(); now != keys {
		t.Errorf("keys changed from\n%s\nto\n%s", keys, now)
	}
}

// boky/postfix cannot be had everywhere; our own image takes the same variables.
func TestComposeBoky(t *testing.T) {
	t.Parallel()
	p := newProject(t, "compose.boky.yaml", "ALLOWED_SENDER_DOMAINS=example.org", "BOKY_IMAGE=signpost-postfix",
		"DKIM_AUTOGENERATE=", "DKIM_SELECTOR=other,example.org=spring")
	// As that image leaves its keys: readable to its own OpenDKIM and to nobody else.
	private, record := newKey(t, "example.org", "spring")
	keys := filepath.Join(p.dir, "opendkim-keys")
	if err := os.Mkdir(keys, 0o755); err != nil {
		t.Fatal(err)
	}
	p.write("opendkim-keys/example.org.private", private)
	p.write("opendkim-keys/example.org.txt", record)
	p.docker("run", "--rm", "--network", "none", "-v", keys+":/keys", "--entrypoint", "sh", "signpost-postfix", "-c",
		"chmod 400 /keys/*.private && chown -R 101:104 /keys && chmod 700 /keys")

	p.compose("up", "-d")
	p.mustSign("example.org")
	becomesTrusted(p, "example.org")

	owner := p.docker("run", "--rm", "--network", "none", "-v", keys+":/keys", "--entrypoint", "stat", "signpost-postfix", "-c", "%u %s", "/keys/example.org.private")
	if fields := strings.Fields(owner); fields[0] != "101" {
		t.Errorf("the key's owner is now %s", fields[0])
	}
	stopsByItself(p)
}

// Without domains there is nothing to sign for, and that must be said at once.
func TestComposeWantsDomains(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"compose.yaml", "compose.boky.yaml"} {
		t.Run(file, func(t *testing.T) {
			p := newProject(t, file, "ALLOWED_SENDER_DOMAINS=example.org")
			config := p.composeCommand("config")
			config.Env = append(config.Env, "ALLOWED_SENDER_DOMAINS=")
			out, err := config.CombinedOutput()
			if err == nil || !strings.Contains(string(out), "set it to your domains") {
				t.Errorf("got %v\n%s", err, out)
			}
		})
	}
}
