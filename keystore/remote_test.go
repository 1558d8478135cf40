package keystore_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
	"signpost/test/lab/testlog"
)

// netStore is a store in memory with a Remote that follows it.
type netStore struct {
	*testing.T
	*backendtest.Memory
	down atomic.Pointer[error] // what every call fails with
	slow atomic.Bool           // no call ends by itself
	log  *testlog.Log
	keys *keystore.Remote
}

func newNetStore(t *testing.T) *netStore {
	s := &netStore{T: t, Memory: new(backendtest.Memory), log: new(testlog.Log)}
	s.Before = func(ctx context.Context, method string) error {
		if s.slow.Load() {
			<-ctx.Done()
			return ctx.Err()
		}
		if err := s.down.Load(); err != nil {
			return *err
		}
		return nil
	}
	return s
}

// fails has all calls fail from now on; with nil, succeed.
func (s *netStore) fails(err error) {
	if err == nil {
		s.down.Store(nil)
		return
	}
	s.down.Store(&err)
	s.Interrupt()
}

// open opens the store and follows it until the test ends.
func (s *netStore) open(options keystore.Options, rescan time.Duration) {
	s.Helper()
	s.keys = keystore.OpenRemote(s.Context(), s.Memory, options, slog.New(slog.NewTextHandler(s.log, nil)))
	s.watch(s.keys, rescan)
}

func (s *netStore) watch(source keystore.Source, rescan time.Duration) {
	ctx, stop := context.WithCancel(s.Context())
	done := make(chan struct{})
	go func() { defer close(done); source.Watch(ctx, rescan) }()
	s.Cleanup(func() { stop(); <-done })
}

// edKey is a key of Ed25519 that n makes, as PEM.
func edKey(n byte) []byte {
	der, err := x509.MarshalPKCS8PrivateKey(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)))
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// isKey reports whether a domain has just this key.
func isKey(source keystore.Source, domain string, n byte) bool {
	keys := source.Domain(domain).List()
	return len(keys) == 1 && ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize)).Public().(ed25519.PublicKey).
		Equal(keys[0].Signer.Public())
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

// stays reports a failure if something ceases to hold within a moment.
func stays(t *testing.T, what string, moment time.Duration, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(moment); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		if !holds() {
			t.Fatalf("it ends that %s", what)
		}
	}
}

const grace = 50 * time.Millisecond

var quick = keystore.Options{RemovalGrace: grace}

var errDown = errors.New("connection refused")

func TestRemoteFollowsTheStore(t *testing.T) {
	for _, blind := range []bool{false, true} {
		t.Run(fmt.Sprintf("blind=%v", blind), func(t *testing.T) {
			t.Parallel()
			s := newNetStore(t)
			s.Blind = blind
			s.Put("a.example", "s1", edKey(1))
			s.Put("z.example", "s1", []byte(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))))
			rescan := time.Hour // a store that reports changes needs none
			if blind {
				rescan = 20 * time.Millisecond
			}
			s.open(quick, rescan)
			if !isKey(s.keys, "a.example", 1) || !isKey(s.keys, "z.example", 9) {
				t.Fatalf("not both keys are there at the start: %v", s.keys.Snapshot().Problems())
			}
			eventually(t, "the store is followed", func() bool { return blind || s.keys.Answers()[0].Watched })
			s.Put("b.example", "s1", edKey(2))
			eventually(t, "a new key is in force", func() bool { return isKey(s.keys, "b.example", 2) })
			s.Put("b.example", "s1", edKey(3))
			eventually(t, "another key under its name is", func() bool { return isKey(s.keys, "b.example", 3) })
			s.Put("b.example", "s1", []byte("half a k"))
			eventually(t, "a broken value is logged", func() bool { return s.log.Count("key broken") == 1 })
			if !isKey(s.keys, "b.example", 3) {
				t.Error("a broken value has ended the last good key")
			}
			s.Put("b.example", "s1", edKey(3))
			eventually(t, "it is logged that it is good again", func() bool { return s.log.Count("key no longer broken") == 1 })
			s.Delete("b.example", "s1")
			eventually(t, "a deleted key is dropped", func() bool {
				return errors.Is(s.keys.Domain("b.example").Err(), keystore.ErrNoKey)
			})
		})
	}
}

// No error of a store means that a key is gone, and a message does not wait for it.
func TestRemoteLastGood(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Put("a.example", "s1", edKey(1))
	s.Put("b.example", "s1", edKey(2))
	s.open(quick, 5*time.Millisecond)
	s.fails(errDown)
	eventually(t, "the failure is known", func() bool { return s.keys.Held().Why != nil })
	stays(t, "the keys are in force", 3*grace, func() bool {
		return isKey(s.keys, "a.example", 1) && isKey(s.keys, "b.example", 2)
	})
	if held := s.keys.Held(); held.Keys != 2 || !errors.Is(held.Why, errDown) {
		t.Errorf("held: %+v", held)
	}
	if n := s.log.Count("keys not reloaded"); n != 1 {
		t.Errorf("it is logged %d times that the store fails", n)
	}
	if a := s.keys.Answers()[0]; a.Err == nil || a.Last.IsZero() || !a.Listed {
		t.Errorf("answers: %+v", a)
	}
	if err := s.keys.Domain("c.example").Err(); !errors.Is(err, keystore.ErrNoKey) {
		t.Errorf("a domain that was not listed: %v", err)
	}
	s.fails(nil)
	s.Put("c.example", "s1", edKey(3))
	eventually(t, "the store is followed again", func() bool { return isKey(s.keys, "c.example", 3) })
	eventually(t, "and that is logged", func() bool { return s.log.Count("whole again") == 1 })
}

func TestRemoteDownAtTheStart(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Put("a.example", "s1", edKey(1))
	s.fails(errDown)
	s.open(quick, time.Hour)
	for _, name := range []string{"a.example", "nobody.example"} {
		if err := s.keys.Domain(name).Err(); !errors.Is(err, keystore.ErrNoAnswer) {
			t.Errorf("%s: %v, and the store has not answered", name, err)
		}
	}
	s.fails(nil)
	eventually(t, "the key is in force", func() bool { return isKey(s.keys, "a.example", 1) })
	eventually(t, "other domains are known to have none", func() bool {
		return errors.Is(s.keys.Domain("nobody.example").Err(), keystore.ErrNoKey)
	})
}

// A message waits for a slow store no longer than it may, and one whose domain is known
// not at all.
func TestRemoteSlow(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Blind = true
	for i := range 1100 { // so many that they are not read at the start
		s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(1))
	}
	s.keys = keystore.OpenRemote(t.Context(), s.Memory, keystore.Options{Lookup: 20 * time.Millisecond},
		slog.New(slog.NewTextHandler(s.log, nil)))
	if !isKey(s.keys, "d1.example", 1) {
		t.Fatal("a key is not read on first use")
	}
	calls := s.Calls("Read")
	s.slow.Store(true)
	if !isKey(s.keys, "d1.example", 1) || s.Calls("Read") != calls {
		t.Error("a message of a known domain asks the store")
	}
	start := time.Now()
	if err := s.keys.Domain("d2.example").Err(); !errors.Is(err, keystore.ErrNoAnswer) {
		t.Errorf("a listed domain whose key is not known: %v", err)
	}
	for i := range 50 {
		if err := s.keys.Domain(fmt.Sprintf("n%d.example", i)).Err(); !errors.Is(err, keystore.ErrNoKey) {
			t.Errorf("a domain that is not listed: %v", err)
		}
	}
	if took := time.Since(start); took > 4*time.Second {
		t.Errorf("51 messages waited %v", took)
	}
	s.slow.Store(false)
	eventually(t, "it is read", func() bool { return isKey(s.keys, "d2.example", 1) })
}

// A store that has lost all keys is not believed, until an operator says so.
func TestRemoteLostAll(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Put("a.example", "s1", edKey(1))
	s.Put("b.example", "s1", edKey(2))
	s.open(quick, 5*time.Millisecond)
	s.Delete("a.example", "s1")
	s.Delete("b.example", "s1")
	eventually(t, "the keys are held", func() bool { return s.keys.Held().Keys == 2 })
	stays(t, "they sign", 3*grace, func() bool { return isKey(s.keys, "a.example", 1) && isKey(s.keys, "b.example", 2) })
	s.Put("a.example", "s1", edKey(1))
	eventually(t, "one is back", func() bool { return s.keys.Held().Keys == 1 })
	if err := s.keys.Accept(); err != nil {
		t.Fatal(err)
	}
	if err := s.keys.Domain("b.example").Err(); !errors.Is(err, keystore.ErrNoKey) || !isKey(s.keys, "a.example", 1) {
		t.Errorf("after an operator accepted what is there: b.example: %v", err)
	}
}

// The times that rspamd keeps with a key in Vault are honoured, but no mail goes unsigned
// for them.
func TestRemoteTimes(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	now := time.Now()
	add := func(domain, selector string, n byte, from, to time.Time) {
		s.PutEntry(domain, keystore.Entry{Selector: selector, Data: edKey(n), NotBefore: from, NotAfter: to})
	}
	add("a.example", "old", 1, time.Time{}, now.Add(-time.Hour))
	add("a.example", "now", 2, now.Add(-time.Hour), now.Add(time.Hour))
	add("a.example", "next", 3, now.Add(time.Hour), time.Time{})
	add("b.example", "older", 4, time.Time{}, now.Add(-2*time.Hour))
	add("b.example", "old", 5, time.Time{}, now.Add(-time.Hour))
	// As where the clock is behind that of who made them.
	add("c.example", "later", 6, now.Add(2*time.Hour), time.Time{})
	add("c.example", "next", 7, now.Add(time.Hour), time.Time{})
	add("d.example", "old", 8, time.Time{}, now.Add(-time.Hour))
	add("d.example", "next", 9, now.Add(time.Hour), time.Time{})
	s.open(quick, time.Hour)
	if !isKey(s.keys, "a.example", 2) {
		t.Errorf("a.example: %d keys, and the one of now is to be", len(s.keys.Domain("a.example").List()))
	}
	for domain, n := range map[string]byte{"b.example": 5, "c.example": 7, "d.example": 8} {
		if !isKey(s.keys, domain, n) || len(s.keys.Domain(domain).Problems()) != 1 {
			t.Errorf("%s: %v", domain, s.keys.Domain(domain).Problems())
		}
	}
}

// One domain in two sources is a fault, unless the keys are the same.
func TestJoin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for domain, n := range map[string]byte{"same.example": 1, "other.example": 2, "dir.example": 3} {
		if _, err := keystore.Install(dir, domain, "s1", edKey(n), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	s := newNetStore(t)
	s.Put("same.example", "s1", edKey(1))
	s.Put("other.example", "s2", edKey(4))
	s.Put("net.example", "s1", edKey(5))
	log := slog.New(slog.NewTextHandler(s.log, nil))
	store, err := keystore.Open(keystore.Options{Dir: dir, RemovalGrace: grace}, log)
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keystore.OpenRemote(t.Context(), s.Memory, quick, log)
	both := keystore.Join([]keystore.Source{store, s.keys}, log)
	both.Observe(func(string, bool) {}, func() {})
	s.watch(both, time.Hour)
	for domain, n := range map[string]byte{"same.example": 1, "dir.example": 3, "net.example": 5} {
		if !isKey(both, domain, n) {
			t.Errorf("%s: %v", domain, both.Domain(domain).Err())
		}
	}
	if len(both.Snapshot().Problems()) != 1 || len(both.Domain("other.example").List()) != 2 {
		t.Errorf("problems: %v", both.Snapshot().Problems())
	}
	eventually(t, "the store is followed", func() bool { return s.keys.Answers()[0].Watched })
	s.Put("late.example", "s1", edKey(6))
	eventually(t, "a key of the store comes", func() bool { return isKey(both, "late.example", 6) })
	s.Put("dir.example", "s1", edKey(7))
	eventually(t, "the fault of another key is logged", func() bool {
		return s.log.Count(filepath.Join(dir, "dir.example", "s1.private")) > 0 && len(both.Snapshot().Problems()) >= 2
	})
	if !isKey(both, "dir.example", 3) {
		t.Error("the key that was in force is no longer")
	}
	s.Delete("dir.example", "s1")
	s.Delete("other.example", "s2")
	eventually(t, "the faults are gone", func() bool { return len(both.Snapshot().Problems()) == 0 })
}

// With a local copy a start while the store is down signs with the last good keys; with
// one that was tampered with it does not.
func TestRemoteCache(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	for i := range byte(3) {
		s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(i))
	}
	key, err := rsa.GenerateKey(rand.Reader, keystore.MinBits)
	if err != nil {
		t.Fatal(err)
	}
	s.Put("rsa.example", "s1", []byte(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(key))))
	options := quick
	options.Cache = filepath.Join(t.TempDir(), "cache")
	log := slog.New(slog.NewTextHandler(s.log, nil))
	first := keystore.OpenRemote(t.Context(), s.Memory, options, log)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	first.Watch(ctx, time.Hour) // writes it at its end
	s.fails(errDown)
	again := keystore.OpenRemote(t.Context(), s.Memory, options, log)
	if !isKey(again, "d1.example", 1) || len(again.Snapshot().Domains()) != 4 {
		t.Fatalf("keys from the copy: %v", again.Snapshot().Domains())
	}
	if key := again.Domain("rsa.example").List()[0]; !key.Equal(first.Domain("rsa.example").List()[0]) || key.Bits != 1024 {
		t.Errorf("the RSA key is another: %v", key)
	}
	if err := again.Domain("nobody.example").Err(); !errors.Is(err, keystore.ErrNoAnswer) {
		t.Errorf("a domain that is not in the copy: %v", err)
	}
	files, err := filepath.Glob(filepath.Join(options.Cache, "*"))
	if err != nil || len(files) != 2 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	copied := files[slices.IndexFunc(files, func(f string) bool { return filepath.Base(f) != "key" })]
	whole, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(bytes.TrimSuffix(whole, []byte("\n")), []byte("\n"))
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 4
	for name, content := range map[string][]byte{
		"a bit":               flipped,
		"a line is missing":   bytes.Join(lines[1:], nil),
		"the end is missing":  bytes.Join(lines[:len(lines)-1], nil),
		"two lines are moved": bytes.Join(append([][]byte{lines[1], lines[0]}, lines[2:]...), nil),
		"empty":               nil,
	} {
		if err := os.WriteFile(copied, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := keystore.OpenRemote(t.Context(), s.Memory, options, log).Snapshot().Len(); got != 0 {
			t.Errorf("%s: %d domains are read", name, got)
		}
	}
	if n := s.log.Count("no key from the local copy"); n != 5 {
		t.Errorf("it is logged %d times that the copy is damaged", n)
	}
	s.fails(nil)
	s.watch(again, 5*time.Millisecond)
	s.Delete("d1.example", "s1")
	eventually(t, "what the store says counts again", func() bool {
		return errors.Is(again.Domain("d1.example").Err(), keystore.ErrNoKey)
	})
}

// stray is a store with a name that gives no domain.
type stray struct{ *backendtest.Memory }

func (stray) Ignored() []string { return []string{"nodots"} }

func TestRemoteIgnored(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	r := keystore.OpenRemote(t.Context(), stray{s.Memory}, quick, slog.New(slog.NewTextHandler(s.log, nil)))
	if err := r.Reload(); err != nil {
		t.Fatal(err)
	}
	if problems := r.Snapshot().Problems(); len(problems) != 1 || s.log.Count("nodots") != 1 {
		t.Errorf("%v, logged %d times", problems, s.log.Count("nodots"))
	}
	loaded, err := keystore.LoadRemote(t.Context(), stray{s.Memory}, quick)
	if err != nil || len(loaded.Problems()) != 1 {
		t.Errorf("%v, %v", loaded.Problems(), err)
	}
}
