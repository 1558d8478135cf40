package publish

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/keystore/dns"
)

// script makes a program of the user.
func script(t *testing.T, lines string) *program {
	t.Helper()
	path := filepath.Join(t.TempDir(), "publish")
	// Written by another process: while this one has the file open to write, a fork of
	// another test may have it open too, and then it cannot be run (ETXTBSY).
	write := exec.Command("sh", "-c", `cat >"$0" && chmod 755 "$0"`, path)
	write.Stdin = strings.NewReader("#!/bin/sh\n" + lines + "\n")
	if out, err := write.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return &program{path: path, timeout: 10 * time.Second}
}

func TestProgramFails(t *testing.T) {
	t.Parallel()
	for lines, want := range map[string]string{
		"exit 0":                            "",
		"echo all is well; echo so it is":   "",
		"exit 3":                            "exit status 3",
		"echo no such zone >&2; exit 1":     "exit status 1: no such zone",
		"echo no; echo ' such zone'; false": "exit status 1: no such zone",
		"printf '%0999d' 1; exit 1":         "exit status 1: " + strings.Repeat("0", 499) + "1",
		"echo \"$PUBLISH_VALUE\" ; exit 1":  "exit status 1: v=DKIM1",
	} {
		err := script(t, lines).run(t.Context(), []string{"PUBLISH_VALUE=v=DKIM1"})
		if got := ""; err != nil {
			if got = err.Error(); got != want {
				t.Errorf("%s: got %q, want %q", lines, got, want)
			}
		} else if want != "" {
			t.Errorf("%s: got no error", lines)
		}
	}
}

// Nothing of a program that does not end stays behind.
func TestProgramTimesOut(t *testing.T) {
	t.Parallel()
	late := filepath.Join(t.TempDir(), "late")
	p := script(t, "(sleep 1; touch "+late+") & echo waiting; wait")
	p.timeout = 300 * time.Millisecond
	if err := p.run(t.Context(), nil); err == nil || err.Error() != "it did not end within 300ms: waiting" {
		t.Errorf("got %v", err)
	}
	time.Sleep(1200 * time.Millisecond)
	if _, err := os.Stat(late); err == nil {
		t.Error("what the program started is still running")
	}
}

// Where it is not known what is at the name, it might be lost.
func TestProgramIsNotRunBlindly(t *testing.T) {
	t.Parallel()
	ran := filepath.Join(t.TempDir(), "ran")
	p := script(t, "touch "+ran)
	p.resolver = &dns.Resolver{Servers: []string{"127.0.0.1:1"}, Patience: time.Second, Attempts: 1}
	p.zones, _ = zonesOf("example.org", nil)
	if err := p.Publish(t.Context(), "s1._domainkey.example.org", "v=DKIM1; p=", time.Hour); err == nil {
		t.Error("got no error")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the program was run")
	}
}

func TestQuotedStrings(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                       "",
		`v=DKIM1; n=a"\; p=`:     `"v=DKIM1; n=a\"\\; p="`,
		strings.Repeat("x", 256): `"` + strings.Repeat("x", 255) + `" "x"`,
	} {
		if got := quotedStrings(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}
