package compose_test

import (
	"path/filepath"
	"strings"
	"testing"
)

// What somebody does who reads the README: a folder, a compose file, a .env, a message.
func TestCompose(t *testing.T) {
	t.Parallel()
	p := newProject(t, "compose.yaml", "ALLOWED_SENDER_DOMAINS=example.org example.net example.com", "INBOUND_DEBUGGING=yes")
	p.copyKey("example.net", "mail", "101:65532", "0440") // as an earlier version of the file left keys of boky/postfix
	p.copyKey("example.com", "mail", "0:0", "0600")
	p.compose("up", "-d")
	p.until("a key and its record appear", func() bool {
		found, _ := filepath.Glob(filepath.Join(p.dir, "opendkim-keys", "example.org.[pt]*"))
		return len(found) == 2
	})
	for _, domain := range []string{"example.org", "example.net"} {
		if got := p.stat("opendkim-keys/" + domain + ".private"); got != "101:104 0400" {
			t.Errorf("the key of %s is of user and mode %s, not as boky/postfix makes it", domain, got)
		}
	}
	if got := p.stat("opendkim-keys/example.com.private"); got != "101:104 0600" {
		t.Errorf("the key that root copied in is of user and mode %s", got)
	}

	if got := p.docker("exec", p.container("mail"), "postconf", "-h", "myorigin", "internal_mail_filter_classes"); got != "example.org\nbounce" {
		t.Errorf("the domain of Postfix's own mail, and what of it meets the milter: %q", got)
	}
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

// boky/postfix cannot be had everywhere; our own image takes the same variables. What that image
// left in the key directory is used as it is, so that the way back is open.
func TestComposeBoky(t *testing.T) {
	t.Parallel()
	p := newProject(t, "compose.boky.yaml", "ALLOWED_SENDER_DOMAINS=example.org", "BOKY_IMAGE=signpost-postfix",
		"DKIM_AUTOGENERATE=", "DKIM_SELECTOR=other,example.org=spring", "KEYS_MODE=ro")
	p.copyKey("example.org", "spring", "101:104", "0400") // as boky/postfix leaves it
	directory, files := p.stat("opendkim-keys"), p.keyFiles()

	p.compose("up", "-d")
	p.mustSign("example.org")
	becomesTrusted(p, "example.org")
	hangs(p, "example.org")
	if now := p.stat("opendkim-keys") + "\n" + p.keyFiles(); now != directory+"\n"+files {
		t.Errorf("the key directory changed from\n%s\n%s\nto\n%s", directory, files, now)
	}

	// Now it may be changed, which only rotate needs: the files stay as they are even so.
	p.env = append(p.env, "KEYS_MODE=rw")
	p.compose("up", "-d")
	p.mustSign("example.org")
	if now := p.keyFiles(); now != files {
		t.Errorf("keys changed from\n%s\nto\n%s", files, now)
	}
	p.docker("exec", p.container("signpostd"), "signpost", "rotate", "example.org")
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
