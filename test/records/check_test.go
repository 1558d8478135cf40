package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"signpost/test/lab/nameserver"
)

// The two programs of a user, from the key to the verdict: what dns prints goes
// to the server as an update, and check finds it there as it should be.
func TestCheckFindsWhatWasPublished(t *testing.T) {
	t.Parallel()
	signpost := os.Getenv(programEnv)
	keys := t.TempDir()
	run(t, signpost, "keygen", "--keys", keys, "--type", "both", "example.org")
	update := run(t, signpost, "dns", "--keys", keys, "--format", "nsupdate", "--policy", "reject", "--rua", "none", "example.org")
	for server, primary := range nameserver.Primaries() {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			before := "$TTL 3600\n$ORIGIN example.org.\n@ IN MX 10 mail\nmail IN A 192.0.2.1\n"
			port := serve(t, primary, "example.org", head+before, nameserver.FromHere)
			resolver := startResolver(t, port)
			check := []string{"check", "--json", "--keys", keys, "--resolver", resolver, "--from-ip", "192.0.2.1", "--helo", "mail.example.org", "example.org"}

			if r := answer(t, signpost, check...); r.Passes != "no" {
				t.Errorf("nothing is published, and check says: %s", r.Verdict)
			}
			send(t, "nsupdate", fmt.Sprintf("server 127.0.0.1 %s\n", port)+update)
			r := answer(t, signpost, check...)
			if r.Passes != "yes" {
				t.Errorf("check says: %s", r.Verdict)
			}
			for _, f := range r.Findings {
				// There is no other zone in this world, so none for addresses.
				if f.Level != "note" && !strings.HasPrefix(f.Code, "ptr-") {
					t.Errorf("check found %+v", f)
				}
			}
		})
	}
}

type report struct {
	Passes, Verdict string
	Findings        []struct{ Code, Level, Name, What string }
}

func answer(t *testing.T, signpost string, args ...string) report {
	t.Helper()
	out, err := exec.Command(signpost, args...).Output()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	var answer struct{ Domains []report }
	if err := json.Unmarshal(out, &answer); err != nil || len(answer.Domains) != 1 {
		t.Fatalf("check said %q: %v", out, err)
	}
	return answer.Domains[0]
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s: %v", strings.Join(args, " "), err)
	}
	return string(out)
}
