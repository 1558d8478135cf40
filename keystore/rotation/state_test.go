package rotation

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/place"
	"signpost/keystore/record"
)

func FuzzState(f *testing.F) {
	f.Add([]byte(stateHeader1 + "\na.example s1 000102030405060708090a0b0c0d0e0f there 1800000000 1800000000 0\n"))
	f.Add([]byte(stateHeader1 + "\na b c unknown 1 2 3"))
	f.Fuzz(func(t *testing.T, data []byte) {
		state, err := parseState(data)
		if err == nil && state.marks == nil {
			t.Error("neither marks nor an error")
		}
	})
}

// version1 is a key directory with the notes of a rotation, and a state directory,
// as the first version wrote them: what that knew is carried over.
func version1(t *testing.T) (keys, state string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("testdata/version1")); err != nil {
		t.Fatal(err)
	}
	old := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	for _, name := range []string{"example.org/s1.private", "example.net/a.private"} {
		if err := os.Chtimes(filepath.Join(dir, "keys", name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "keys"), filepath.Join(dir, "state")
}

func TestStateOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	keys, state := version1(t)
	log := slog.New(slog.DiscardHandler)
	now := time.Unix(1_795_950_000, 0)
	open := func() *Book {
		t.Helper()
		store, err := keystore.Open(keystore.Options{Dir: keys}, log)
		if err != nil {
			t.Fatal(err)
		}
		book, err := Open(store, On, State{state, "n1"}, log)
		if err != nil {
			t.Fatal(err)
		}
		return book
	}
	since := time.Unix(1_795_944_003, 0)
	for _, v := range [][2]string{{stateHeader1, formerStateFile}, {stateHeader, statePrefix + "n1"}} {
		version, file := v[0], v[1]
		book := open()
		if text, err := os.ReadFile(filepath.Join(state, file)); err != nil || !strings.HasPrefix(string(text), version+"\n") {
			t.Fatalf("the state is not of %q: %v\n%s", version, err, text)
		}
		for domain, want := range map[string]map[string]Stage{
			"example.net": {"a": Retiring, "b": Active}, "example.org": {"s1": Retiring, "s2": Active},
		} {
			for _, key := range book.Status(domain, now) {
				if key.Stage != want[key.Selector] || !key.Since.Equal(since) || key.Mark.Presence != dns.There {
					t.Errorf("%s: %s is %s since %v, the DNS says %v", version, key.Selector, key.Stage, key.Since, key.Mark.Presence)
				}
			}
		}
		book.changed.Store(true)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		book.Save(ended)
	}
}

func TestNotesOfTheFirstVersion(t *testing.T) {
	t.Parallel()
	dir, _ := version1(t)
	snapshot, err := keystore.Load(keystore.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	stopped := time.Date(2026, 11, 2, 10, 0, 0, 0, time.UTC)
	look := Look{Place: place.Directory(keystore.Options{Dir: dir}), Now: stopped.Add(time.Hour), Ask: func(_ context.Context, name string, _ record.DKIM) dns.KeyAnswer {
		if strings.HasPrefix(name, "s2.") {
			return dns.KeyAnswer{Presence: dns.There}
		}
		return dns.KeyAnswer{Presence: dns.Missing}
	}}
	for _, version := range []string{"{", stateHeader} {
		if text, err := os.ReadFile(filepath.Join(dir, "example.org", keystore.NotesFile)); err != nil || !strings.HasPrefix(string(text), version) {
			t.Fatalf("the notes are not of %q: %v\n%s", version, err, text)
		}
		book, err := look.Open(t.Context(), "example.org", snapshot.Keys("example.org"))
		if err != nil {
			t.Fatal(err)
		}
		want := []Order{{"s2", keystore.Ed25519, 256}, {"s3", keystore.RSA, 2048}}
		if !slices.Equal(book.Orders, want) || !book.ordered.Equal(time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: keys to be made %v at %v", version, book.Orders, book.ordered)
		}
		s1, s2 := book.Keys[0], book.Keys[1]
		if s1.Stage != Retiring || !s1.Since.Equal(stopped) || s1.Mark.Gone != At(time.Date(2026, 11, 9, 10, 0, 0, 0, time.UTC)) || s2.Stage != Active {
			t.Errorf("%s: %s is %s since %v, gone %v; %s is %s", version, s1.Selector, s1.Stage, s1.Since, s1.Mark.Gone.Time(), s2.Selector, s2.Stage)
		}
		if err := book.Write(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// Who may read the keys may read how far a rotation is.
func TestNotesBelongToTheOwnerOfTheKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Chown(dir, 65532, 65532); err != nil {
		t.Fatal(err)
	}
	book, err := Look{Place: place.Directory(keystore.Options{Dir: dir}), Now: time.Now()}.Open(t.Context(), "a.example", nil)
	if err != nil {
		t.Fatal(err)
	}
	book.Order([]Order{{"s2", keystore.RSA, 2048}})
	if err := book.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(dir, "a.example", keystore.NotesFile))
	if err != nil {
		t.Fatal(err)
	}
	if sys := info.Sys().(*syscall.Stat_t); sys.Uid != 65532 || info.Mode().Perm() != 0o644 {
		t.Errorf("uid %d, mode %v", sys.Uid, info.Mode())
	}
}

func FuzzNotes(f *testing.F) {
	f.Add([]byte(`{"made":"2026-11-01T10:00:00Z","to":[{"selector":"s2","type":"rsa","bits":2048}],"stopped":{"s1":"2026-11-02T10:00:00Z"}}`))
	f.Add([]byte(stateHeader + "\nmake a.example s2 rsa 2048 1800000000\nkey a.example s1 000102030405060708090a0b0c0d0e0f unknown 0 0 1800000000 0\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if n, err := parseNotes(data); err == nil && data[0] == '{' && len(n.orders)+len(n.stopped) == 0 {
			t.Error("notes of nothing")
		}
	})
}
