package system

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The verbs of the companion ask a running signpostd, which knows more than the
// DNS says now: what it signs with, and what it signed with before.
func TestVerbsAskTheDaemon(t *testing.T) {
	t.Parallel()
	r := startRotation(t)
	address := r.net + ".8:8892"
	says := func(code int, args ...string) string {
		t.Helper()
		out, err := r.companion(args...).CombinedOutput()
		got := 0
		if exit := new(exec.ExitError); errors.As(err, &exit) {
			got = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if got != code {
			t.Errorf("signpost %s: exit code %d, want %d:\n%s", strings.Join(args, " "), got, code, out)
		}
		return string(out)
	}
	shows := func(out string, want ...string) {
		t.Helper()
		plain := strings.Join(strings.Fields(out), " ")
		for _, text := range want {
			if !strings.Contains(plain, text) {
				t.Errorf("no %q in\n%s", text, out)
			}
		}
	}
	k := r.drop("s2")
	r.awaitStages(map[string]string{"s1": "active", "s2": "pending"})
	r.staysWith("s1") // until it has asked

	shows(says(0, "keys", "--daemon", address), rotated+" s1 rsa 2048 new active /", rotated+" s2 rsa 2048 new pending /",
		"note: "+rotated+": the key with selector s2 is pending: waits until its record is in the DNS hint: publish its record")
	shows(says(0, "keys", "--daemon", "http://"+address+"/", "--json", rotated), `"stage": "pending"`, `"daemon": "inet:`+address)
	shows(says(1, "keys", "--daemon", address, "none.example"), "signpostd has no key for it")
	shows(says(0, "rotate", "--status", "--all", "--daemon", address), "s1 rsa 2048 active since", "s2 rsa 2048 pending dns: no such name",
		"next: s2: publish its record; it signs as soon as that is seen")
	shows(says(0, "health", "--daemon", address), "at inet:"+address+" is ready; keys: 1 pending, 1 active")
	shows(says(0, "dns", "--keys", r.keys, "--daemon", address, rotated), "It is active: signs", "It is pending: waits until its record is in the DNS")
	check := []string{"check", "--keys", r.keys, "--resolver", r.nameserver(), "--timeout", "2s", "--daemon", address, rotated}
	shows(says(1, check...), "s1._domainkey."+rotated+": the key of "+r.keys+"/"+rotated+"/s1.private is published (rsa, 2048 bits), and active: signs",
		"the key is pending: it waits until its record is in the DNS")
	letter := filepath.Join(t.TempDir(), "letter.eml")
	if err := os.WriteFile(letter, []byte("From: a@"+rotated+"\nSubject: one\nDate: Wed, 25 Nov 2026 10:00:00 +0000\nMessage-ID: <1@rotate.example>\nTo: b@rcpt.test\n\nbody\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	explain := []string{"explain", "--keys", r.keys, "--daemon", address, letter}
	shows(says(0, explain...), "with d="+rotated+" s=s1,", "keys s2 is pending, s1 is active")
	// Without a daemon the DNS is asked.
	asking := []string{"explain", "--keys", r.keys, "--resolver", r.nameserver(), letter}
	shows(says(0, asking...), "with d="+rotated+" s=s1,", "s2 is pending (dns: no such name), s1 is active (dns: published at all 2 name servers that answer)")
	shows(says(0, append(asking, "--dns-check", "off")...), "with d="+rotated+" s=s2,")

	// Published: it signs, and the other retires. A DNS that fails after that is
	// no news for the daemon.
	r.publish("s2", k, r.dns, r.second)
	r.awaitStages(map[string]string{"s1": "retiring", "s2": "active"})
	shows(says(0, asking...), "with d="+rotated+" s=s2,")
	r.fail(failures["REFUSED"])
	shows(says(0, "keys", "--daemon", address), "s1 rsa 2048 new retiring", "s2 rsa 2048 new active", "leave its record in the DNS until 20")
	shows(says(0, explain...), "with d="+rotated+" s=s2,", "keys s2 is active, s1 is retiring")
	shows(says(3, asking...), "which key signs is a guess")
	r.fail(working)

	// A daemon that is not ready, or not there.
	r.end()
	r.d.kill(syscall.SIGTERM)
	shows(says(3, "keys", "--daemon", address), "asking signpostd at inet:"+address, "hint: is it running, with its status page (--http) there?")
	shows(says(3, "health", "--daemon", address), "hint: is it running")
	shows(says(2, "keys", "--daemon", "nowhere"), "hint: write HOST:PORT")
	shows(says(2, "rotate", "--daemon", address, rotated), "--daemon goes with --status")
}
