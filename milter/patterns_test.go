package milter

import (
	"os"
	"path/filepath"
	"testing"

	"signpost/milter/logins"
)

// No line end in a quoted local part, nor anything else in it, gets past a pattern for all.
func TestPatternsForAll(t *testing.T) {
	t.Parallel()
	keys := keysFor(t, "example.com").Signing
	path := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(path, []byte("/^.*@example\\.com$/ carla\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	own := filepath.Join(t.TempDir(), "own")
	if err := os.WriteFile(own, []byte("/^([^@+]*)@example\\.com$/ $1\n/^(.*)@example\\.com$/ $1\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"regexp:" + own, "pcre:" + own} {
		maps, err := logins.Open(text, logins.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rules := &Rules{Logins: maps}
		for from, reason := range map[string]Reason{
			" mallory@example.com": Signed, " Mallory@example.com": Signed, " bert@example.com": LoginMismatch,
			// Who chooses a local part names no logins with it.
			` "bert mallory x"@example.com`: LoginMismatch, ` "bert,mallory,x"@example.com`: LoginMismatch,
			` "bert@example.com mallory "@example.com`: LoginMismatch, " bert\u00a0mallory@example.com": LoginMismatch,
		} {
			if got := rules.Decide(Client{Login: "mallory"}, []string{from}, keys); got.Reason != reason {
				t.Errorf("%s %q: %s %v", text, from, got.Reason, got.Err)
			}
		}
	}
	for _, kind := range []string{"regexp:", "pcre:"} {
		maps, err := logins.Open(kind+path, logins.Options{})
		if err != nil {
			t.Fatal(err)
		}
		rules := &Rules{Logins: maps}
		for _, from := range []string{
			" \"b\r\n x\"@example.com", " \"\r\n \"@example.com", " \"b\n\tx\" <\"b\r\n\tx\"@example.com>", " \"\xff\"@example.com",
			" \xff@example.com", " \"\"@example.com", " \"\\\r\n x\"@example.com", " b\u2028x@example.com", ` "\@"@example.com`,
			" B@EXAMPLE.COM", " b@example.com.", ` "b@x"@example.com`, " b+@example.com", " +@example.com",
		} {
			if got := rules.Decide(Client{Login: "mallory"}, []string{from}, keys); got.Reason != LoginMismatch {
				t.Errorf("%s %q: %s %v", kind, from, got.Reason, got.Err)
			}
		}
	}
}
