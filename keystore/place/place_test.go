package place_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
	"signpost/keystore/finding"
	"signpost/keystore/place"
)

// places returns one of each kind, empty.
func places(t *testing.T) map[string]place.Place {
	return map[string]place.Place{
		"directory": place.Directory(keystore.Options{Dir: t.TempDir()}),
		"store":     place.Store(new(backendtest.Memory), keystore.Options{}),
		"several": place.Join([]place.Place{
			place.Store(new(backendtest.Memory), keystore.Options{}),
			place.Directory(keystore.Options{Dir: t.TempDir()}),
		}),
	}
}

var order = keystore.Order{Domain: "example.org", Selector: "s1", Algorithm: keystore.Ed25519}

// What is made is read, never overwritten, and archived.
func TestLifeOfAKey(t *testing.T) {
	t.Parallel()
	for name, p := range places(t) {
		ctx := t.Context()
		if _, err := p.Any(ctx); !errors.Is(err, keystore.ErrNoKey) {
			t.Errorf("%s: any of none: %v", name, err)
		}
		first := order
		first.Made = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		made, err := p.Make(ctx, first)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if _, err := p.Make(ctx, order); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: made twice: %v", name, err)
		}
		if use, err := p.Used(ctx, "example.org", "s1"); use != place.Present || err != nil {
			t.Errorf("%s: %v, %v", name, use, err)
		}
		if any, err := p.Any(ctx); any != "example.org" || err != nil {
			t.Errorf("%s: any: %q, %v", name, any, err)
		}
		if names, err := p.Domains(ctx); strings.Join(names, " ") != "example.org" || err != nil {
			t.Errorf("%s: domains: %q, %v", name, names, err)
		}
		snapshot, err := p.Load(ctx, "example.org")
		if err != nil || len(snapshot.Keys("example.org")) != 1 {
			t.Fatalf("%s: %v, %v", name, snapshot, err)
		}
		key := snapshot.Keys("example.org")[0]
		if key.File != made.File || !key.ModTime.Equal(first.Made) {
			t.Errorf("%s: %s of %v, want %s of %v", name, key.File, key.ModTime, made.File, first.Made)
		}
		secret, err := p.Secret(ctx, key)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		copied, err := p.Install(ctx, "example.net", "s1", secret, first.Made)
		if err != nil || copied == "" {
			t.Errorf("%s: %q, %v", name, copied, err)
		}
		if snapshot, err = p.Load(ctx); err != nil || snapshot.Len() != 2 {
			t.Fatalf("%s: %v, %v", name, snapshot, err)
		}
		other := snapshot.Keys("example.net")[0]
		if again, err := p.Secret(ctx, other); !bytes.Equal(again, secret) || err != nil {
			t.Errorf("%s: the copy differs: %v", name, err)
		}
		if to, err := p.Retire(ctx, key); to == "" || err != nil {
			t.Errorf("%s: retired to %q, %v", name, to, err)
		}
		if use, err := p.Used(ctx, "example.org", "s1"); use == place.Present || err != nil {
			t.Errorf("%s: %v, %v", name, use, err)
		}
		if to, err := p.Retire(ctx, key); to != "" && name != "directory" || err == nil {
			t.Errorf("%s: retired twice: %q, %v", name, to, err)
		}
		if _, err := p.Secret(ctx, key); err == nil {
			t.Errorf("%s: what was retired has a secret", name)
		}
		// Another key under its name is not it.
		if _, err := p.Make(ctx, order); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := p.Secret(ctx, key); err == nil {
			t.Errorf("%s: the secret is that of another key", name)
		}
	}
}

// What is of a domain stays where its keys are, and a key that is in two places is archived
// in both.
func TestPlacesAsOne(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	first := place.Store(new(backendtest.Memory), keystore.Options{})
	second := place.Directory(keystore.Options{Dir: t.TempDir()})
	both := place.Join([]place.Place{first, second})
	if _, err := second.Make(ctx, order); err != nil {
		t.Fatal(err)
	}
	snapshot, err := both.Load(ctx, "example.org")
	if err != nil {
		t.Fatal(err)
	}
	next := order
	next.Selector = "s2"
	if _, err := both.Make(ctx, next); err != nil {
		t.Fatal(err)
	}
	if _, err := both.WriteNotes(ctx, "example.org", []byte("notes"), ""); err != nil {
		t.Fatal(err)
	}
	notes, _, err := second.Notes(ctx, "example.org")
	if use, useErr := second.Used(ctx, "example.org", "s2"); string(notes) != "notes" || use != place.Present {
		t.Errorf("the second has %q (%v), %v (%v)", notes, err, use, useErr)
	}
	next.Domain = "example.net"
	if made, err := both.Make(ctx, next); err != nil || !strings.HasPrefix(made.File, "memory:") {
		t.Errorf("the key of a new domain is %s, %v", made.File, err)
	}

	key := snapshot.Keys("example.org")[0]
	secret, err := both.Secret(ctx, key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := first.Install(ctx, "example.org", "s1", secret, time.Now()); err != nil {
		t.Fatal(err)
	}
	if snapshot, err = both.Load(ctx); err != nil || len(snapshot.Keys("example.org")) != 2 {
		t.Fatalf("%v, %v", snapshot, err)
	}
	if len(snapshot.Problems()) == 0 {
		t.Error("that one place has a key more is no problem")
	}
	if to, err := both.Retire(ctx, key); err != nil || !strings.Contains(to, "memory: retired") || !strings.Contains(to, keystore.RetiredFolder) {
		t.Errorf("archived to %q, %v", to, err)
	}
	if use, err := both.Used(ctx, "example.org", "s1"); use == place.Present || err != nil {
		t.Errorf("%v, %v", use, err)
	}
}

// Of many that write notes at once one does, and who comes late writes nothing.
func TestNotesAreWrittenByOne(t *testing.T) {
	t.Parallel()
	for name, p := range places(t) {
		ctx := t.Context()
		revision := ""
		for _, before := range []string{"", "first", "first, again"} {
			notes, read, err := p.Notes(ctx, "example.org")
			if err != nil || string(notes) != before {
				t.Fatalf("%s: %q, %v, want %q", name, notes, err, before)
			}
			if before == "first, again" {
				revision = read
				break
			}
			next := strings.TrimPrefix(before+", again", ", again")
			if before == "" {
				next = "first"
			}
			var wrote, refused, others sync.Map
			var all sync.WaitGroup
			for i := range 8 {
				all.Go(func() {
					switch _, err := p.WriteNotes(ctx, "example.org", []byte(next), read); {
					case err == nil:
						wrote.Store(i, true)
					case errors.Is(err, keystore.ErrConflict):
						refused.Store(i, true)
					default:
						others.Store(i, err)
					}
				})
			}
			all.Wait()
			if n, m := count(&wrote), count(&refused); n != 1 || m != 7 {
				t.Errorf("%s: %d wrote, %d were refused, %d failed", name, n, m, count(&others))
			}
		}
		if _, err := p.WriteNotes(ctx, "example.org", nil, "another"); !errors.Is(err, keystore.ErrConflict) {
			t.Errorf("%s: removed by who does not know them: %v", name, err)
		}
		next, err := p.WriteNotes(ctx, "example.org", nil, revision)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if next, err = p.WriteNotes(ctx, "example.org", []byte("new"), next); err != nil || next == "" {
			t.Errorf("%s: the revision after a removal: %v", name, err)
		}
		if _, err = p.WriteNotes(ctx, "example.org", []byte("newer"), next); err != nil {
			t.Errorf("%s: the revision after writing: %v", name, err)
		}
	}
}

func count(m *sync.Map) (n int) {
	m.Range(func(any, any) bool { n++; return true })
	return n
}

// A store gets keys as PEM, whatever they come as: other programs read it too.
func TestStoresGetPEM(t *testing.T) {
	t.Parallel()
	memory := new(backendtest.Memory)
	p := place.Store(memory, keystore.Options{})
	if _, err := p.Install(t.Context(), "example.org", "s1",
		[]byte("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="), time.Now()); err != nil {
		t.Fatal(err)
	}
	entries, err := memory.Read(t.Context(), []string{"example.org"})
	if err != nil || !bytes.HasPrefix(entries[0][0].Data, []byte("-----BEGIN PRIVATE KEY-----\n")) {
		t.Errorf("%s, %v", entries[0][0].Data, err)
	}
	if _, err := p.Install(t.Context(), "example.org", "s2", []byte("no key"), time.Now()); err == nil {
		t.Error("what is no key was put in")
	}
}

// A store that does not answer is given up on, with its name and advice.
func TestStoreThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	memory := &backendtest.Memory{Before: func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	p := place.Within(time.Millisecond, place.Store(memory, keystore.Options{}))
	for name, call := range map[string]func(context.Context) error{
		"load":    func(ctx context.Context) error { _, err := p.Load(ctx); return err },
		"read":    func(ctx context.Context) error { _, err := p.Load(ctx, "example.org"); return err },
		"make":    func(ctx context.Context) error { _, err := p.Make(ctx, order); return err },
		"notes":   func(ctx context.Context) error { _, _, err := p.Notes(ctx, "example.org"); return err },
		"write":   func(ctx context.Context) error { _, err := p.WriteNotes(ctx, "example.org", nil, ""); return err },
		"archive": func(ctx context.Context) error { _, err := p.Retire(ctx, new(keystore.Key)); return err },
	} {
		err := call(t.Context())
		if err == nil || !strings.Contains(finding.Text(err), "memory: has not answered for 1ms; hint: see whether it runs") {
			t.Errorf("%s: %v", name, err)
		}
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := place.Store(memory, keystore.Options{}).Load(stopped); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was stopped: %v", err)
	}
}

// Keys in a directory are not lost where archiving fails.
func TestRetireThatFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := place.Directory(keystore.Options{Dir: dir})
	if _, err := p.Make(t.Context(), order); err != nil {
		t.Fatal(err)
	}
	snapshot, err := p.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, keystore.RetiredFolder), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if to, err := p.Retire(t.Context(), snapshot.Keys("example.org")[0]); to != "" || err == nil {
		t.Errorf("retired to %q, %v", to, err)
	}
}
