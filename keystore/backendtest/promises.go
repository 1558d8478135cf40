package backendtest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"signpost/keystore"
)

// Run tests that a store keeps the promises of keystore.Backend. newStore makes an empty
// store, and returns what opens it, as each of several programs does.
func Run(t *testing.T, newStore func(t *testing.T) (open func() keystore.Backend)) {
	for name, test := range map[string]func(t *testing.T, open func() keystore.Backend){
		"read":      testRead,
		"versions":  testVersions,
		"exclusive": testExclusive,
		"retire":    testRetire,
		"notes":     testNotes,
		"cancelled": testCancelled,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newStore(t))
		})
	}
}

// NewPEM returns a new key as Add takes it.
func NewPEM(t testing.TB) []byte {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// keyOf is a key as LoadRemote returns it.
func keyOf(t testing.TB, domain, selector string, data []byte) *keystore.Key {
	t.Helper()
	signer, err := keystore.ParsePrivate(data)
	if err != nil {
		t.Fatal(err)
	}
	return &keystore.Key{Domain: domain, Selector: selector, Algorithm: keystore.Ed25519, Bits: 256, Signer: signer}
}

func add(t testing.TB, b keystore.Backend, domain, selector string, data []byte, made time.Time) string {
	t.Helper()
	place, err := b.Add(t.Context(), domain, selector, data, made)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

// readOne returns the entries of a domain, by selector.
func readOne(t testing.TB, b keystore.Backend, domain string) []keystore.Entry {
	t.Helper()
	all, err := b.Read(t.Context(), []string{domain})
	if err != nil || len(all) != 1 {
		t.Fatalf("read %d domains: %v", len(all), err)
	}
	slices.SortFunc(all[0], func(x, y keystore.Entry) int { return bytes.Compare([]byte(x.Selector), []byte(y.Selector)) })
	return all[0]
}

// list returns what is listed; nil where the store cannot be listed.
func list(t testing.TB, b keystore.Backend) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := b.List(t.Context(), func(domain, version string) {
		if _, twice := all[domain]; twice {
			t.Errorf("%s is listed twice", domain)
		}
		all[domain] = version
	})
	if errors.Is(err, keystore.ErrNoList) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What is added is listed and read by another program, in the order that it asks for.
func testRead(t *testing.T, open func() keystore.Backend) {
	writer, reader := open(), open()
	one, two, three := NewPEM(t), NewPEM(t), NewPEM(t)
	made := time.Now().Add(-time.Hour).Truncate(time.Second)
	place := add(t, writer, "example.org", "s1", one, made)
	add(t, writer, "example.org", "s2", two, made.Add(time.Minute))
	add(t, writer, "example.net", "s1", three, time.Time{})
	if listed := list(t, reader); listed != nil && len(listed) != 2 {
		t.Errorf("listed %v", listed)
	}
	all, err := reader.Read(t.Context(), []string{"example.net", "none.example", "example.org"})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 3 || len(all[0]) != 1 || len(all[1]) != 0 || len(all[2]) != 2 {
		t.Fatalf("read %d domains: %v", len(all), all)
	}
	for i, want := range [][]byte{one, two} {
		got := readOne(t, reader, "example.org")[i]
		if got.Err != nil {
			t.Fatal(got.Err)
		}
		if !keyOf(t, "", "", got.Data).Equal(keyOf(t, "", "", want)) {
			t.Errorf("%s is another key", got.Selector)
		}
		if at := made.Add(time.Duration(i) * time.Minute); !got.Made.IsZero() && !got.Made.Equal(at) {
			t.Errorf("%s: made at %v, want %v", got.Selector, got.Made, at)
		}
		if i == 0 && got.Place != place {
			t.Errorf("the place is %q, and Add said %q", got.Place, place)
		}
	}
}

// The version of a domain changes when a key is added or removed, and that of another does
// not.
func testVersions(t *testing.T, open func() keystore.Backend) {
	b, other := open(), open()
	add(t, b, "example.org", "s1", NewPEM(t), time.Time{})
	add(t, b, "example.net", "s1", NewPEM(t), time.Time{})
	before := list(t, b)
	if before == nil || before["example.org"] == "" {
		return // the store does not tell
	}
	readOne(t, b, "example.org")
	if again := list(t, b); again["example.org"] != before["example.org"] {
		t.Errorf("the version was %q and is %q", before["example.org"], again["example.org"])
	}
	second := NewPEM(t)
	add(t, other, "example.org", "s2", second, time.Time{})
	after := list(t, b)
	if after["example.org"] == before["example.org"] || after["example.net"] != before["example.net"] {
		t.Errorf("versions were %v and are %v", before, after)
	}
	if _, err := other.Retire(t.Context(), keyOf(t, "example.org", "s2", second)); err != nil {
		t.Fatal(err)
	}
	if last := list(t, b); last["example.org"] == after["example.org"] {
		t.Errorf("the version stays %q", last["example.org"])
	}
}

// Of many that want one name, one gets it, and its key stays.
func testExclusive(t *testing.T, open func() keystore.Backend) {
	const racers = 16
	var won atomic.Int32
	var winner atomic.Pointer[[]byte]
	var running sync.WaitGroup
	for range racers {
		b, data := open(), NewPEM(t)
		running.Go(func() {
			_, err := b.Add(t.Context(), "example.org", "s1", data, time.Time{})
			switch {
			case err == nil:
				won.Add(1)
				winner.Store(&data)
			case !errors.Is(err, fs.ErrExist):
				t.Error(err)
			}
		})
	}
	running.Wait()
	if won.Load() != 1 {
		t.Fatalf("%d have added the key", won.Load())
	}
	got := readOne(t, open(), "example.org")
	if len(got) != 1 || !keyOf(t, "", "", got[0].Data).Equal(keyOf(t, "", "", *winner.Load())) {
		t.Error("the key is not that of the winner")
	}
}

// Only the key with the same public half is retired, and it can be added again.
func testRetire(t *testing.T, open func() keystore.Backend) {
	b := open()
	there, other := NewPEM(t), NewPEM(t)
	add(t, b, "example.org", "s1", there, time.Time{})
	add(t, b, "example.org", "s2", other, time.Time{})
	if _, err := b.Retire(t.Context(), keyOf(t, "example.org", "s1", other)); err == nil {
		t.Error("another key was retired")
	}
	if _, err := b.Retire(t.Context(), keyOf(t, "example.net", "s1", other)); err == nil {
		t.Error("a key that is not there was retired")
	}
	for range 2 {
		place, err := b.Retire(t.Context(), keyOf(t, "example.org", "s1", there))
		if err != nil || place == "" {
			t.Fatalf("retired to %q: %v", place, err)
		}
		for _, reader := range []keystore.Backend{open(), b} {
			for selector, want := range map[string]bool{"s1": true, "s2": false} {
				got, err := reader.(keystore.Archiving).Archived(t.Context(), "example.org", selector)
				if got != want || err != nil {
					t.Errorf("%s is archived: %v, %v", selector, got, err)
				}
			}
			if got := readOne(t, reader, "example.org"); len(got) != 1 || got[0].Selector != "s2" {
				t.Fatalf("left are %d keys", len(got))
			}
		}
		add(t, b, "example.org", "s1", there, time.Time{})
		if got := readOne(t, b, "example.org"); len(got) != 2 {
			t.Fatalf("after one was added there are %d keys", len(got))
		}
	}
}

// Notes are replaced by who has read them last, and by one alone.
func testNotes(t *testing.T, open func() keystore.Backend) {
	b := open()
	write := func(notes, revision string) error {
		return b.WriteNotes(t.Context(), "example.org", []byte(notes), revision)
	}
	notes := func() (string, string) {
		notes, revision, err := b.Notes(t.Context(), "example.org")
		if err != nil {
			t.Fatal(err)
		}
		return string(notes), revision
	}
	was, none := notes()
	if was != "" {
		t.Errorf("a new store has notes: %q", was)
	}
	const racers = 8
	var won atomic.Int32
	var running sync.WaitGroup
	for i := range racers {
		other := open()
		running.Go(func() {
			err := other.WriteNotes(t.Context(), "example.org", []byte{'a' + byte(i)}, none)
			if err == nil {
				won.Add(1)
			} else if !errors.Is(err, keystore.ErrConflict) {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if won.Load() != 1 {
		t.Errorf("%d have written the first notes", won.Load())
	}
	_, first := notes()
	if err := write("second", first); err != nil {
		t.Error(err)
	}
	if err := write("third", first); !errors.Is(err, keystore.ErrConflict) {
		t.Errorf("with an old revision: %v", err)
	}
	now, second := notes()
	if now != "second" {
		t.Errorf("the notes are %q", now)
	}
	if other, _, err := b.Notes(t.Context(), "example.net"); err != nil || len(other) > 0 {
		t.Errorf("another domain has notes %q: %v", other, err)
	}
	if err := write("", second); err != nil {
		t.Error(err)
	}
	if now, again := notes(); now != "" {
		t.Errorf("removed notes are %q", now)
	} else if err := write("fourth", again); err != nil {
		t.Error(err)
	}
}

// All calls end with their context.
func testCancelled(t *testing.T, open func() keystore.Backend) {
	b := open()
	data := NewPEM(t)
	add(t, b, "example.org", "s1", data, time.Time{})
	key := keyOf(t, "example.org", "s1", data)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, call := range map[string]func() error{
		"List": func() error {
			err := b.List(ctx, func(string, string) {})
			if errors.Is(err, keystore.ErrNoList) {
				return context.Canceled
			}
			return err
		},
		"Read": func() error { _, err := b.Read(ctx, []string{"example.org"}); return err },
		"Watch": func() error {
			err := b.Watch(ctx, func() {}, func(...string) {})
			if errors.Is(err, keystore.ErrNoWatch) {
				return context.Canceled
			}
			return err
		},
		"Add":        func() error { _, err := b.Add(ctx, "example.org", "s2", data, time.Time{}); return err },
		"Retire":     func() error { _, err := b.Retire(ctx, key); return err },
		"Notes":      func() error { _, _, err := b.Notes(ctx, "example.org"); return err },
		"WriteNotes": func() error { return b.WriteNotes(ctx, "example.org", []byte("notes"), "") },
	} {
		if err := call(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := readOne(t, b, "example.org"); len(got) != 1 {
		t.Errorf("there are %d keys", len(got))
	}
}
