package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/vault/vaulttest"
)

var (
	_ keystore.Backend   = (*Backend)(nil)
	_ keystore.Selecting = (*Backend)(nil)
	_ keystore.Reaching  = (*Backend)(nil)
)

// eachStore runs a test on both versions of KV and both layouts, each empty.
func eachStore(t *testing.T, test func(t *testing.T, s *vaulttest.Server, b *Backend)) {
	for _, kv := range []int{1, 2} {
		for _, layout := range []Layout{Rspamd, KumoMTA} {
			t.Run(fmt.Sprintf("kv%d %s", kv, layout), func(t *testing.T) {
				t.Parallel()
				s := vaulttest.Start(t)
				s.Mount("secret", kv)
				test(t, s, onServer(t, s, "secret/dkim?layout="+string(layout)))
			})
		}
	}
}

func TestAddAndRetire(t *testing.T) {
	eachStore(t, func(t *testing.T, s *vaulttest.Server, b *Backend) {
		made := time.Unix(1764400000, 0)
		for i, key := range []any{rsaKey(), edKey(1)} {
			place, err := b.Add(t.Context(), "example.org", fmt.Sprint("s", i), pemOf(key), made)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.Add(t.Context(), "example.org", fmt.Sprint("s", i), pemOf(edKey(9)), made); !errors.Is(err, fs.ErrExist) {
				t.Errorf("a second key of the name: %v", err)
			}
			found := false
			for _, e := range read(t, b, "example.org") {
				found = found || e.Place == place
				if e.Selector == "s0" {
					sameKey(t, e, rsaKey())
				} else {
					sameKey(t, e, edKey(1))
				}
				if !e.Made.Equal(made) || !e.NotAfter.IsZero() || e.NotBefore.After(made) {
					t.Errorf("entry %+v", e)
				}
			}
			if !found {
				t.Errorf("place %q is none of the entries", place)
			}
		}
		entries := read(t, b, "example.org")
		if len(entries) != 2 {
			t.Fatalf("entries: %+v", entries)
		}
		for i, e := range entries {
			signer, err := keystore.ParsePrivate(e.Data)
			if err != nil {
				t.Fatal(err)
			}
			key := &keystore.Key{Domain: "example.org", Selector: e.Selector, Signer: signer, File: e.Place}
			other := *key
			other.Signer = edKey(8)
			if _, err := b.Retire(t.Context(), &other); !errors.Is(err, keystore.ErrConflict) {
				t.Errorf("another key was archived: %v", err)
			}
			place, err := b.Retire(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if want := b.Name() + "/signpost/retired/example.org/" + e.Selector; place != want {
				t.Errorf("archived at %q, not %q", place, want)
			}
			var kept struct{ Key text }
			data, _ := s.Get(strings.TrimPrefix(place, "vault:"+s.URL+"/"))
			if err := json.Unmarshal(data, &kept); err != nil || !bytes.Equal(kept.Key, e.Data) {
				t.Errorf("archived as %s: %v", data, err)
			}
			if _, err := b.Retire(t.Context(), key); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("archived twice: %v", err)
			}
			if left := read(t, b, "example.org"); len(left) != 1-i {
				t.Errorf("left: %+v", left)
			}
		}
		// A name that was used is free again, and the key before stays where it was put.
		entry := entries[0]
		if _, err := b.Add(t.Context(), "example.org", entry.Selector, pemOf(edKey(5)), made); err != nil {
			t.Fatal(err)
		}
		entry = read(t, b, "example.org")[0]
		place, err := b.Retire(t.Context(), &keystore.Key{Domain: "example.org", Selector: entry.Selector, Signer: edKey(5), File: entry.Place})
		if err != nil || !strings.HasSuffix(place, "/"+entry.Selector+".2") {
			t.Errorf("archived at %q: %v", place, err)
		}
	})
}

func TestNotes(t *testing.T) {
	eachStore(t, func(t *testing.T, s *vaulttest.Server, b *Backend) {
		ctx := t.Context()
		notes, none, err := b.Notes(ctx, "example.org")
		if err != nil || len(notes) != 0 {
			t.Fatalf("notes %q: %v", notes, err)
		}
		if err := b.WriteNotes(ctx, "example.org", []byte("one\n\"x\"\n"), none); err != nil {
			t.Fatal(err)
		}
		if err := b.WriteNotes(ctx, "example.org", []byte("two"), none); !errors.Is(err, keystore.ErrConflict) {
			t.Errorf("over the notes of another: %v", err)
		}
		notes, one, err := b.Notes(ctx, "example.org")
		if err != nil || string(notes) != "one\n\"x\"\n" || one == none {
			t.Fatalf("notes %q %q: %v", notes, one, err)
		}
		if err := b.WriteNotes(ctx, "example.org", nil, one); err != nil {
			t.Fatal(err)
		}
		if err := b.WriteNotes(ctx, "example.org", []byte("two"), one); !errors.Is(err, keystore.ErrConflict) {
			t.Errorf("over removed notes: %v", err)
		}
		notes, last, err := b.Notes(ctx, "example.org")
		if err != nil || len(notes) != 0 {
			t.Fatalf("notes %q: %v", notes, err)
		}
		if err := b.WriteNotes(ctx, "example.org", []byte("three"), last); err != nil {
			t.Fatal(err)
		}
		if got := list(t, b); len(got) != 0 {
			t.Errorf("notes make domains: %q", got)
		}
	})
}

// Of many who begin at once, one does.
func TestOneOfMany(t *testing.T) {
	eachStore(t, func(t *testing.T, s *vaulttest.Server, b *Backend) {
		b.settle = 2 * time.Second
		_, none, err := b.Notes(t.Context(), "example.org")
		if err != nil {
			t.Fatal(err)
		}
		var wait sync.WaitGroup
		errs := make([]error, 8)
		for i := range errs {
			wait.Go(func() {
				errs[i] = b.WriteNotes(t.Context(), "example.org", fmt.Append(nil, i), none)
			})
		}
		wait.Wait()
		notes, _, err := b.Notes(t.Context(), "example.org")
		if err != nil {
			t.Fatal(err)
		}
		for i, err := range errs {
			if won := string(notes) == fmt.Sprint(i); won != (err == nil) || err != nil && !errors.Is(err, keystore.ErrConflict) {
				t.Errorf("%d: %v, and the notes are %s", i, err, notes)
			}
		}
	})
}

// Keys that are added at once are all there, and each name has one owner. KV 1 cannot
// promise it.
func TestAddAtOnce(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	b := onServer(t, s, "secret/dkim")
	var wait sync.WaitGroup
	var mu sync.Mutex
	won := map[string]int{}
	for i := range 6 {
		wait.Go(func() {
			selector := fmt.Sprint("s", i%3)
			_, err := b.Add(t.Context(), "example.org", selector, pemOf(edKey(byte(i))), time.Now())
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				won[selector]++
			case !errors.Is(err, fs.ErrExist) && !errors.Is(err, keystore.ErrConflict):
				t.Error(err)
			}
		})
	}
	wait.Wait()
	if got := len(read(t, b, "example.org")); got != len(won) {
		t.Errorf("%d keys, and %v", got, won)
	}
	for selector, n := range won {
		if n != 1 {
			t.Errorf("%d have added %s", n, selector)
		}
	}
}

// What is in rspamd's secret besides stays as it is.
func TestUnknownFields(t *testing.T) {
	for _, kv := range []int{1, 2} {
		t.Run(fmt.Sprint("kv", kv), func(t *testing.T) { t.Parallel(); unknownFields(t, kv) })
	}
}

func unknownFields(t *testing.T, kv int) {
	s := vaulttest.Start(t)
	s.Mount("secret", kv)
	s.Put("secret/dkim/example.org", fmt.Sprintf(`{"owner": {"team": "mail", "n": 12345678901234567890},
		"selectors": [{"selector": "old", "key": %q, "alg": "rsa", "note": ["<&>", 1e400], "valid_start": 1600000000}, "odd"]}`, base64Of(rsaKey())))
	b := onServer(t, s, "secret/dkim")
	if _, err := b.Add(t.Context(), "example.org", "new", pemOf(edKey(0)), time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := b.Select(t.Context(), "example.org", "new"); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Retire(t.Context(), &keystore.Key{Domain: "example.org", Selector: "new", Signer: edKey(0)}); err != nil {
		t.Fatal(err)
	}
	data, version := s.Get("secret/dkim/example.org")
	if kv == 2 && version != 4 {
		t.Errorf("version %d", version)
	}
	for _, want := range []string{`"team":"mail","n":12345678901234567890`, `["\u003c\u0026\u003e",1e400]`, `"odd"`, `"valid_start":1600000000`} {
		if !strings.Contains(string(data), want) {
			t.Errorf("no %s in %s", want, data)
		}
	}
	if strings.Contains(string(data), "signpost") {
		t.Errorf("the key of another was changed: %s", data)
	}
}

// rspamd signs with the keys whose time it is. It is let wait with a new one, and signpostd
// is not.
func TestSelect(t *testing.T) {
	for _, kv := range []int{1, 2} {
		t.Run(fmt.Sprint("kv", kv), func(t *testing.T) {
			t.Parallel()
			s := vaulttest.Start(t)
			s.Mount("secret", kv)
			b := onServer(t, s, "secret/dkim")
			add := func(selector string, key any) {
				t.Helper()
				if _, err := b.Add(t.Context(), "example.org", selector, pemOf(key), time.Now().Add(-time.Minute)); err != nil {
					t.Fatal(err)
				}
			}
			signing := func(want string) {
				t.Helper()
				data, _ := s.Get("secret/dkim/example.org")
				if got := rspamdSigns(t, data, time.Now()); got != want {
					t.Errorf("rspamd signs with %q, not %q: %s", got, want, data)
				}
				for _, e := range read(t, b, "example.org") {
					if !e.NotBefore.IsZero() && e.NotBefore.After(time.Now()) || !e.NotAfter.IsZero() {
						t.Errorf("signpostd is bound to a time: %+v", e)
					}
				}
			}
			add("s1", rsaKey())
			signing("s1")
			add("s2", rsaKey())
			add("e1", edKey(1))
			signing("s1")
			for _, step := range []struct{ selector, want string }{
				{"s2", "s2"}, {"e1", "e1 s2"}, {"s1", "e1 s1"}, {"s1", "e1 s1"},
			} {
				if err := b.Select(t.Context(), "example.org", step.selector); err != nil {
					t.Fatal(err)
				}
				signing(step.want)
			}
			before := len(s.Requests())
			if err := b.Select(t.Context(), "example.org", "s1"); err != nil {
				t.Fatal(err)
			}
			if again := s.Requests()[before:]; slices.ContainsFunc(again, func(r string) bool { return !strings.HasPrefix(r, "GET ") }) {
				t.Errorf("what is selected is written again: %q", again)
			}
			if err := b.Select(t.Context(), "example.org", "none"); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("a key that is not there: %v", err)
			}
		})
	}
}

// rspamdSigns returns what rspamd signs with, sorted, as its lua_dkim_tools.lua chooses.
func rspamdSigns(t *testing.T, data []byte, now time.Time) string {
	t.Helper()
	var object struct {
		Selectors []struct {
			Selector, Key string
			Start         *float64 `json:"valid_start"`
			End           *float64 `json:"valid_end"`
		}
	}
	if err := json.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, s := range object.Selectors {
		at := float64(now.UnixMilli()) / 1000
		if s.Key != "" && (s.Start == nil || at >= *s.Start) && (s.End == nil || at < *s.End) {
			names = append(names, s.Selector)
		}
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// A new key goes where the store has the others.
func TestLayoutOfNewKeys(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ have, domain, want string }{
		{"", "new.example", "new.example"},
		{"a.example", "new.example", "new.example"},
		{"a.example/s", "new.example", "new.example/s1"},
		{"a.example b.example/s", "new.example", "new.example"},
		{"a.example b.example/s", "b.example", "b.example/s1"},
		{"a.example b.example/s", "a.example", "a.example"},
	} {
		s := vaulttest.Start(t)
		s.Mount("secret", 2)
		for have := range strings.FieldsSeq(test.have) {
			s.Put("secret/dkim/"+have, fields{"key": "x"})
		}
		b := onServer(t, s, "secret/dkim")
		if _, err := b.Add(t.Context(), test.domain, "s1", pemOf(edKey(0)), time.Now()); err != nil {
			t.Fatal(err)
		}
		if data, _ := s.Get("secret/dkim/" + test.want); !strings.Contains(string(data), `"made"`) {
			t.Errorf("%s in a store with %q: not at %s", test.domain, test.have, test.want)
		}
	}
}
