package system

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestProtocolCorners runs the miltertest scripts of testdata, which play an
// MTA as odd as MTAs can be, and judges the messages that come out. The
// canonicalization is simple, which forgives nothing.
func TestProtocolCorners(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon("--canonicalization=simple/simple", "ALLOWED_SENDER_DOMAINS=example.org keyless.example")
	for _, script := range []string{"reuse", "quit", "shapes", "trust", "old-mta", "refuse"} {
		t.Run(script, func(t *testing.T) {
			out, err := w.command("miltertest", "-D", "socket=inet:8891@"+w.net+".8",
				"-D", "lib=testdata/lib.lua", "-s", filepath.Join("testdata", script+".lua")).CombinedOutput()
			if err != nil {
				t.Fatalf("miltertest: %v\n%s", err, out)
			}
			text := strings.ReplaceAll(strings.ReplaceAll(string(out), "\r\n", "\n"), "\n", "\r\n")
			var signed []signedMessage
			for _, part := range strings.Split(text, "=== ")[1:] {
				line, message, _ := strings.Cut(part, "\r\n")
				verdict, reason, _ := strings.Cut(line, " ")
				data := []byte(message)
				if verdict == "signed" {
					signed = append(signed, signedMessage{data, []signature{want}})
					continue
				}
				w.mustBeUnsigned(data)
				if len(d.logged("reason="+reason)) == 0 {
					t.Errorf("log does not give the reason %s", reason)
				}
			}
			if len(signed) == 0 {
				t.Fatalf("no signed message:\n%s", out)
			}
			w.mustVerifyAll(signed)
		})
	}
}
