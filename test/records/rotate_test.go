package records

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"signpost/test/lab/nameserver"
)

const nsupdateScript = "../../keystore/publish/examples/nsupdate.sh"

// A rotation without a person: made, published, and a week later finished, with a
// name server that does what it is asked for. One that does not changes nothing,
// and the next run goes on.
func TestRotateByItself(t *testing.T) {
	t.Parallel()
	signpost := os.Getenv(programEnv)
	for _, way := range []string{"named/rfc2136", "named/nsupdate", "knotd/rfc2136", "knotd/nsupdate"} {
		server, client, _ := strings.Cut(way, "/")
		primary := nameserver.Primaries()[server]
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			keys := filepath.Join(t.TempDir(), "keys")
			run(t, signpost, "keygen", "--mkdir", "--keys", keys, "--selector", "s1", "example.org")
			old := time.Now().Add(-200 * 24 * time.Hour)
			if err := os.Chtimes(filepath.Join(keys, "example.org", "s1.private"), old, old); err != nil {
				t.Fatal(err)
			}
			record, err := os.ReadFile(filepath.Join(keys, "example.org", "s1.txt"))
			if err != nil {
				t.Fatal(err)
			}
			port := serve(t, primary, "example.org", head+"$ORIGIN example.org.\n"+string(record), nameserver.WithKey)
			resolver := startResolver(t, port)
			provider := func(secret string) string {
				key := write(t, t.TempDir(), "tsig.key", fmt.Sprintf("key signpost { algorithm hmac-sha256; secret %q; };\n", secret))
				if client == "nsupdate" {
					script := write(t, t.TempDir(), "publish", fmt.Sprintf("#!/bin/sh\nexport NSUPDATE_SERVER='127.0.0.1 %s' NSUPDATE_KEY=%s\nexec %s\n", port, key, nsupdateScript))
					if err := os.Chmod(script, 0o755); err != nil {
						t.Fatal(err)
					}
					return "exec:" + script
				}
				return fmt.Sprintf("rfc2136:server=127.0.0.1:%s,key-file=%s", port, key)
			}
			rotate := func(provider string, fails bool) string {
				t.Helper()
				out, err := exec.Command(signpost, "rotate", "--auto", "--all", "--keys", keys, "--resolver", resolver, "--publish", provider).CombinedOutput()
				if (err != nil) != fails {
					t.Fatalf("%v: %s", err, out)
				}
				return string(out)
			}
			names := func() (names []string) {
				for _, line := range transfer(t, "example.org", port) {
					if name, _, _ := strings.Cut(line, ". TXT "); strings.Contains(name, "_domainkey") {
						names = append(names, name)
					}
				}
				return names
			}

			if out := rotate(provider("d3Jvbmc="), true); !strings.Contains(out, "BADSIG") {
				t.Errorf("with the wrong key it says %s", out)
			}
			if got := names(); len(got) != 1 {
				t.Errorf("with the wrong key the zone has %v", got)
			}
			if out := rotate(provider(nameserver.TSIGSecret), false); !strings.Contains(out, "published: s2") {
				t.Errorf("it says %s", out)
			}
			if got := names(); len(got) != 2 {
				t.Fatalf("after the key was published the zone has %v", got)
			}
			rotate(provider(nameserver.TSIGSecret), false) // sees that it is
			rotate(provider(nameserver.TSIGSecret), false)
			if got := names(); len(got) != 2 {
				t.Fatalf("within the week the zone has %v", got)
			}
			stoppedAt(t, keys, time.Now().Add(-8*24*time.Hour))
			rotate(provider("d3Jvbmc="), true)
			if _, err := os.Stat(filepath.Join(keys, "example.org", "s1.private")); err != nil {
				t.Errorf("a name server that refuses has the old key archived: %v", err)
			}
			if out := rotate(provider(nameserver.TSIGSecret), false); !strings.Contains(out, "the key s1 is archived") {
				t.Errorf("a week later it says %s", out)
			}
			if got := names(); len(got) != 1 || strings.HasPrefix(got[0], "s1.") {
				t.Errorf("at the end the zone has %v", got)
			}
			if out := rotate(provider(nameserver.TSIGSecret), false); strings.Contains(out, "publish") && !strings.Contains(out, "dns: published") {
				t.Errorf("with nothing to do it says %s", out)
			}
		})
	}
}

// stoppedAt has the first old key of a rotation of example.org sign no more since
// then.
func stoppedAt(t *testing.T, keys string, since time.Time) {
	t.Helper()
	file := filepath.Join(keys, "example.org", ".rotation")
	noted, err := os.ReadFile(file)
	// key DOMAIN SELECTOR PRINT PRESENCE ASKED ACTIVE STOPPED GONE
	stopped := regexp.MustCompile(`(?m)^(key example\.org \S+ \S+ \S+ \d+ \d+) [1-9]\d* `)
	if err != nil || !stopped.Match(noted) {
		t.Fatalf("%v: the rotation is %s", err, noted)
	}
	noted = stopped.ReplaceAll(noted, fmt.Appendf(nil, "${1} %d ", since.Unix()))
	if err := os.WriteFile(file, noted, 0o600); err != nil {
		t.Fatal(err)
	}
}
