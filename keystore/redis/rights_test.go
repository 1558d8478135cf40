package redis_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/redis/redistest"
)

// The users of the README have the rights that the programs need, and signpostd's cannot
// write.
func TestRights(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"~", "%R~"} { // before Redis 7, and since
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			users := 0
			for line := range strings.Lines(string(readme)) {
				words := strings.Fields(line)
				if len(words) < 3 || words[0] != "ACL" {
					continue
				}
				users++
				for i, word := range words {
					words[i] = strings.Replace(word, "%R~", version, 1)
				}
				server.Do(t, words...)
			}
			if users != 3 {
				t.Fatalf("the README has %d lines for users", users)
			}
			companion := open(t, "redis://signpost:PASSWORD@"+server.Addr+"?layout=mailcow")
			one, two := []byte(first(newKey(t))), []byte(first(newKey(t)))
			for selector, block := range map[string][]byte{"s1": one, "s2": two} {
				if _, err := companion.Add(t.Context(), "example.org", selector, block, time.Now()); err != nil {
					t.Fatal(err)
				}
			}
			if err := companion.Select(t.Context(), "example.org", "s2"); err != nil {
				t.Error(err)
			}
			signer, err := keystore.ParsePrivate(one)
			if err != nil {
				t.Fatal(err)
			}
			key := &keystore.Key{Domain: "example.org", Selector: "s1", Signer: signer}

			daemon := open(t, "redis://signpostd:PASSWORD@"+server.Addr)
			list(t, daemon)
			if got := read(t, daemon, "example.org"); len(got) != 2 {
				t.Errorf("read %q", got)
			}
			changes := watch(t, daemon)
			if version := list(t, daemon)["example.org"]; version == "" {
				t.Error("no version is told")
			}
			if _, err := daemon.Retire(t.Context(), key); err == nil {
				t.Error("signpostd's user may write")
			}
			if _, err := companion.Retire(t.Context(), key); err != nil {
				t.Error(err)
			}
			until(t, changes, "example.org")
			if err := companion.WriteNotes(t.Context(), "example.org", []byte("notes"), ""); err != nil {
				t.Error(err)
			}
			if notes, _, err := companion.Notes(t.Context(), "example.org"); err != nil || string(notes) != "notes" {
				t.Errorf("notes %q: %v", notes, err)
			}
			if notes, _, err := daemon.Notes(t.Context(), "example.org"); err != nil || string(notes) != "notes" {
				t.Errorf("notes for signpostd %q: %v", notes, err)
			}
			if err := daemon.WriteNotes(t.Context(), "example.org", nil, ""); err == nil {
				t.Error("signpostd's user may write notes")
			}
		})
	}
}
