package keystore

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// newSharedOf returns a source with a shared key beside a directory, and what it has told.
func newSharedOf(t *testing.T, signs func(string) bool, own ...string) (s *Shared, path string, told *[]string) {
	t.Helper()
	dir := t.TempDir()
	for _, domain := range own {
		writeKey(t, filepath.Join(dir, domain+".private"))
	}
	path = filepath.Join(t.TempDir(), "shared.private")
	writeKey(t, path)
	log := slog.New(slog.DiscardHandler)
	store, err := Open(Options{Dir: dir}, log)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := LoadShared([]KeyFile{{"s1", path}}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, told = NewShared(store, keys, log), new([]string)
	s.Observe(func(domain string, added bool) { *told = append(*told, fmt.Sprint(domain, " ", added)) }, func() {})
	s.Follow(signs)
	return s, path, told
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, ed25519PEM(t), 0o600); err != nil {
		t.Fatal(err)
	}
}

func no(string) bool { return false }

// A domain has the shared keys when it is wanted and has none of its own.
func TestSharedKeysOfADomain(t *testing.T) {
	t.Parallel()
	s, path, told := newSharedOf(t, no, "own.example")
	s.Want("other.example")
	s.Want("own.example")
	s.Pin("must.example")
	s.Want("other.example")
	for domain, want := range map[string]string{"other.example": "s1", "must.example": "s1", "own.example": "mail", "third.example": ""} {
		d := s.Domain(domain)
		if d != s.Snapshot().Domain(domain) {
			t.Errorf("%s: the snapshot has others", domain)
		}
		if want == "" {
			if d.Err() != ErrNoKey {
				t.Errorf("%s: %v", domain, d.Err())
			}
			continue
		}
		if len(d.List()) != 1 || d.List()[0].Selector != want || d.List()[0].Domain != domain || d.List()[0].Shared != (want == "s1") {
			t.Errorf("%s: got %+v", domain, d.List())
		}
	}
	if !slices.Equal(*told, []string{"other.example true", "must.example true"}) {
		t.Errorf("told %q", *told)
	}
	snapshot := s.Snapshot()
	if got := snapshot.Domains(); !slices.Equal(got, []string{"must.example", "other.example", "own.example"}) {
		t.Errorf("got %q", got)
	}
	if usable, unread := snapshot.Count(); usable != 2 || unread != 0 || snapshot.Len() != 1 {
		t.Errorf("%d keys, %d unread, of %d domains", usable, unread, snapshot.Len())
	}

	// The file is replaced, then damaged, then gone: the last good key stays.
	was := s.Domain("other.example").List()[0]
	revision := s.Revision()
	writeKey(t, path)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	now := s.Domain("other.example").List()[0]
	if now.Equal(was) || s.Revision() == revision {
		t.Error("the replaced key is not in force")
	}
	for _, damage := range []func() error{
		func() error { return os.WriteFile(path, []byte("-----BEGIN PRIVATE KEY-----\n"), 0o600) },
		func() error { return os.Remove(path) },
	} {
		if err := damage(); err != nil {
			t.Fatal(err)
		}
		_ = s.Reload()
		if got := s.Domain("must.example").List()[0]; !got.samePublic(now) {
			t.Error("another key than the last good one")
		}
		problems := s.Snapshot().Problems()
		if len(problems) != 1 || !problems[0].InForce || problems[0].File != path {
			t.Errorf("problems %v", problems)
		}
	}
	writeKey(t, path)
	_ = s.Reload()
	if problems := s.Snapshot().Problems(); len(problems) != 0 {
		t.Errorf("problems %v", problems)
	}
}

// A shared key that cannot be used is no key to start with.
func TestLoadSharedErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	broken, open := filepath.Join(dir, "broken"), filepath.Join(dir, "open")
	if err := os.WriteFile(broken, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeKey(t, open)
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{filepath.Join(dir, "none"): "no such file", broken: "PEM", open: "mode 0644"} {
		_, err := LoadShared([]KeyFile{{"s1", path}}, Options{RequireSafe: true})
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Whatever senders write into From, there are no more domains than the bound. What has
// published the key, or must be signed, stays, and so does what mail comes from again.
func TestSharedIsBounded(t *testing.T) {
	t.Parallel()
	s, _, told := newSharedOf(t, func(domain string) bool { return strings.HasPrefix(domain, "proven") })
	s.Pin("must.example")
	s.Want("proven.example")
	s.Want("first.example")
	for i := range 2 * mostCandidates {
		s.Want(fmt.Sprintf("junk%d.example", i))
		if i%1000 == 0 {
			s.Want("first.example")
		}
	}
	domains := s.Snapshot().Domains()
	if len(domains) != mostCandidates+2 {
		t.Errorf("%d domains", len(domains))
	}
	for _, domain := range []string{"must.example", "proven.example", "first.example", fmt.Sprintf("junk%d.example", 2*mostCandidates-1)} {
		if !slices.Contains(domains, domain) {
			t.Errorf("%s is gone", domain)
		}
	}
	if !slices.Contains(*told, "junk0.example false") {
		t.Error("nobody was told of what went")
	}

	// Candidates go when no mail comes from them for long, and not the others.
	s.tidy(time.Now().Add(candidateLives + time.Hour))
	if got := s.Snapshot().Domains(); !slices.Equal(got, []string{"must.example", "proven.example"}) {
		t.Errorf("%d domains stay", len(got))
	}
	// What has lost its record is one of those that may go.
	s.Follow(no)
	s.tidy(time.Now())
	if d := s.known["proven.example"]; d.proven || d.at == nil || s.proven != 0 {
		t.Errorf("got %+v", d)
	}
	s.tidy(time.Now().Add(candidateLives + time.Hour))
	if got := s.Snapshot().Domains(); !slices.Equal(got, []string{"must.example"}) {
		t.Errorf("%q stay", got)
	}
}

// All domains that had published a key before the start are there after it, however many,
// while nobody can tell yet.
func TestSharedAfterARestart(t *testing.T) {
	t.Parallel()
	s, _, _ := newSharedOf(t, no, "own.example")
	before := []string{"own.example"}
	for i := range mostCandidates + 100 {
		before = append(before, fmt.Sprintf("d%d.example", i))
	}
	s.Restore(before...)
	s.Follow(func(domain string) bool { return domain[0] == 'd' && domain != "d0.example" })
	for i := range mostCandidates {
		s.Want(fmt.Sprintf("junk%d.example", i))
	}
	s.Want("more.example")
	if got := len(s.Snapshot().Domains()); got != 1+2*mostCandidates+100 || s.Domain("d1.example").List()[0].Selector != "s1" {
		t.Errorf("%d domains", got)
	}
	// One whose record has gone is no more than any other.
	s.tidy(time.Now())
	s.tidy(time.Now().Add(candidateLives + time.Minute))
	if d := s.known["d0.example"]; d != nil || s.proven == 0 {
		t.Errorf("got %+v, %d have published it", d, s.proven)
	}
}

// A domain that gets a key of its own has that at once.
func TestSharedGivesWay(t *testing.T) {
	t.Parallel()
	s, _, _ := newSharedOf(t, no)
	s.Want("a.example")
	writeKey(t, filepath.Join(s.Source.Name(), "a.example.private"))
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	if d := s.Domain("a.example"); len(d.List()) != 1 || d.List()[0].Shared || d != s.Snapshot().Domain("a.example") {
		t.Errorf("got %+v", d.List())
	}
	s.tidy(time.Now())
	if len(s.known) != 0 {
		t.Error("it is still known")
	}
}

// Many sessions want domains while others read.
func TestSharedByMany(t *testing.T) {
	t.Parallel()
	s, _, _ := newSharedOf(t, no, "own.example")
	var mu sync.Mutex
	s.onChange = func(string, bool) { mu.Lock(); defer mu.Unlock() }
	var running sync.WaitGroup
	for n := range 4 {
		running.Go(func() {
			for i := range 300 {
				name := fmt.Sprintf("d%d.example", (i+n)%200)
				s.Want(name)
				if d := s.Domain(name); errors.Is(d.Err(), ErrNoKey) {
					t.Errorf("%s: %v", name, d.Err())
				}
				s.Snapshot().Domains()
				if i%100 == 0 {
					_ = s.Reload()
				}
			}
		})
	}
	running.Wait()
}
