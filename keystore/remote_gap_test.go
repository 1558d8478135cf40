package keystore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
)

// once is a store that reports changes until it is interrupted, and then no more.
type once struct {
	*backendtest.Memory
	watched atomic.Int32
}

func (o *once) Watch(ctx context.Context, ready func(), changed func(domains ...string)) error {
	if o.watched.Add(1) > 1 {
		return keystore.ErrNoWatch
	}
	return o.Memory.Watch(ctx, ready, changed)
}

// A store that no longer reports changes is asked for a domain that was not listed.
func TestRemoteNoLongerWatched(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Put("a.example", "s1", edKey(1))
	store := &once{Memory: s.Memory}
	s.keys = keystore.OpenRemote(t.Context(), store, quick, slog.New(slog.NewTextHandler(s.log, nil)))
	s.watch(s.keys, time.Hour)
	eventually(t, "the store is followed", func() bool { return s.keys.Answers()[0].Watched })
	s.Interrupt()
	eventually(t, "it no longer is", func() bool { return s.log.Count("reports no changes") > 0 })
	lists := s.Calls("List")
	if err := s.keys.Reload(); err != nil || s.Calls("List") == lists {
		t.Fatal(err)
	}
	if s.keys.Answers()[0].Watched {
		t.Error("it is said that the store reports changes")
	}
	s.Put("new.example", "s1", edKey(2))
	if !isKey(s.keys, "new.example", 2) {
		t.Errorf("a new domain: %v", s.keys.Domain("new.example").Err())
	}
}

// Very many new domains at once are read in the background, as at the start.
func TestRemoteManyAdded(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Blind = true
	s.Put("a.example", "s1", edKey(1))
	s.open(quick, time.Hour)
	for i := range 500 {
		s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(2))
	}
	if err := s.keys.Reload(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all keys are read", func() bool { usable, unread := s.keys.Snapshot().Count(); return usable == 501 && unread == 0 })
	s.fails(errDown)
	if !isKey(s.keys, "d77.example", 2) {
		t.Error(s.keys.Domain("d77.example").Err())
	}
}

// While messages wait for keys that were not read yet, reading in the background pauses.
func TestRemoteMessagesComeFirst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newNetStore(t)
		s.Blind = true
		const all, messages = 1500, 100
		names := make([]string, all)
		for i := range names {
			names[i] = fmt.Sprintf("d%d.example", i)
			s.Put(names[i], "s1", edKey(1))
		}
		s.open(quick, time.Hour)
		for range messages {
			for len(names) > 1 && s.keys.Snapshot().Read(names[0]) {
				names = names[1:]
			}
			if !isKey(s.keys, names[0], 1) {
				t.Fatal(s.keys.Snapshot().Problems())
			}
			time.Sleep(10 * time.Millisecond)
		}
		if _, unread := s.keys.Snapshot().Count(); unread < all/2 || unread > all-messages {
			t.Errorf("%d domains of %d were not read while messages came first", unread, all)
		}
		time.Sleep(time.Minute)
		if _, unread := s.keys.Snapshot().Count(); unread > 0 {
			t.Errorf("%d domains are not read", unread)
		}
	})
}

// A key that changes after it was read in the background, and before it is in force, is used as
// it is then.
func TestRemoteChangesWhileReading(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newNetStore(t)
		const all = 1500
		for i := range all {
			s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(1))
		}
		s.open(quick, time.Hour)
		s.keys.Domain("d0.example") // so reading pauses after the first of some that are read at once
		time.Sleep(time.Millisecond)
		var changed []string // of those, too
		for i := range all / 10 {
			if name := fmt.Sprintf("d%d.example", 10*i+1); !s.keys.Snapshot().Read(name) {
				changed = append(changed, name)
				s.Put(name, "s1", edKey(2))
			}
		}
		time.Sleep(time.Minute)
		for _, name := range changed {
			if !isKey(s.keys, name, 2) {
				t.Fatalf("%s has the key that it had before", name)
			}
		}
	})
}

// witness is a store that remembers the private keys that it has given out.
type witness struct {
	*backendtest.Memory
	mu    sync.Mutex
	given [][]byte
}

func (w *witness) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	all, err := w.Memory.Read(ctx, domains)
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, entries := range all {
		for _, entry := range entries {
			w.given = append(w.given, entry.Data)
		}
	}
	return all, err
}

// What was read of a key is wiped, also where a message has read it first meanwhile.
func TestRemoteWipesWhatItRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newNetStore(t)
		const all = 1100
		for i := range all {
			s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(1))
		}
		store := &witness{Memory: s.Memory}
		s.keys = keystore.OpenRemote(t.Context(), store, quick, slog.New(slog.NewTextHandler(s.log, nil)))
		s.watch(s.keys, time.Hour)
		for i := range all {
			s.keys.Domain(fmt.Sprintf("d%d.example", i))
			if i%20 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
		time.Sleep(time.Minute)
		store.mu.Lock()
		defer store.mu.Unlock()
		for _, key := range store.given {
			if len(bytes.Trim(key, "\x00")) > 0 {
				t.Fatalf("of %d private keys some are left", len(store.given))
			}
		}
	})
}

// A message does not wait for what is read in the background, and which does not end.
func TestRemoteFirstUseDoesNotWait(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	for i := range 1500 {
		s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(1))
	}
	store := &hanging{Memory: s.Memory, hangs: make(chan struct{}, 1)}
	s.keys = keystore.OpenRemote(t.Context(), store, quick, slog.New(slog.NewTextHandler(s.log, nil)))
	s.watch(s.keys, time.Hour)
	<-store.hangs
	for i := range 10 {
		if name := fmt.Sprintf("d%d.example", 100*i); !isKey(s.keys, name, 1) {
			t.Errorf("%s: %v", name, s.keys.Domain(name).Err())
		}
	}
}

// hanging is a store that never returns more than one domain.
type hanging struct {
	*backendtest.Memory
	hangs chan struct{} // it does
}

func (h *hanging) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	if len(domains) == 1 {
		return h.Memory.Read(ctx, domains)
	}
	select {
	case h.hangs <- struct{}{}:
	default:
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

// A domain whose keys are in a directory does not wait for a store that has it, too.
func TestJoinDoesNotWait(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := keystore.Install(dir, "both.example", "s1", edKey(1), time.Now()); err != nil {
		t.Fatal(err)
	}
	s := newNetStore(t)
	s.Put("both.example", "s1", edKey(1))
	s.Before = func(ctx context.Context, method string) error {
		if method == "Read" {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	log := slog.New(slog.NewTextHandler(s.log, nil))
	store, err := keystore.Open(keystore.Options{Dir: dir}, log)
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keystore.OpenRemote(t.Context(), s.Memory, quick, log)
	both := keystore.Join([]keystore.Source{store, s.keys}, log)
	both.Observe(func(string, bool) {}, func() {})
	if !both.Snapshot().Read("both.example") || !isKey(both, "both.example", 1) {
		t.Errorf("the key in the directory: %v", both.Domain("both.example").Err())
	}
	if n := s.Calls("Read"); n > 1 { // that of the start
		t.Errorf("the store was asked %d times", n)
	}
}

// A store that does not answer makes nobody wait for the notes of very many domains.
func TestRemoteNotesDoNotWait(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Put("a.example", "s1", edKey(1))
	s.open(quick, time.Hour)
	s.slow.Store(true)
	var failed error
	start := time.Now()
	for i := range 100 {
		_, err := s.keys.Notes(fmt.Sprintf("d%d.example", i))
		failed = errors.Join(failed, err)
	}
	if took := time.Since(start); failed == nil || took > 10*time.Second {
		t.Errorf("100 domains took %v", took)
	}
}

// A store that hangs while it is listed for SIGHUP does not hold up the end.
func TestRemoteEnds(t *testing.T) {
	t.Parallel()
	s := newNetStore(t)
	s.Put("a.example", "s1", edKey(1))
	s.keys = keystore.OpenRemote(t.Context(), s.Memory, quick, slog.New(slog.NewTextHandler(s.log, nil)))
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { s.keys.Watch(ctx, time.Hour) })
	eventually(t, "the store is followed", func() bool { return s.keys.Answers()[0].Watched })
	s.slow.Store(true)
	lists := s.Calls("List")
	running.Go(func() { _ = s.keys.Accept() })
	eventually(t, "it is listed", func() bool { return s.Calls("List") > lists })
	stop()
	start := time.Now()
	running.Wait()
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("the end took %v", took)
	}
	if n := s.log.Count("level=ERROR"); n > 0 {
		t.Errorf("%d errors are logged for the end", n)
	}
}

// Reading very many domains again takes its time, and that is no outage.
func TestRemoteReadsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newNetStore(t)
		s.Before = func(ctx context.Context, method string) error {
			if method == "Read" {
				time.Sleep(7 * time.Second)
			}
			return ctx.Err()
		}
		const domains = 700
		for version := range byte(2) {
			for i := range domains {
				s.Put(fmt.Sprintf("d%d.example", i), "s1", edKey(version))
			}
			if version == 0 {
				s.keys = keystore.OpenRemote(t.Context(), s.Memory, quick, slog.New(slog.NewTextHandler(s.log, nil)))
				for range 2 {
					s.keys.ReadAll()
				}
			}
		}
		if err := s.keys.Reload(); err != nil {
			t.Error(err)
		}
		if err := s.keys.Answers()[0].Err; err != nil || !isKey(s.keys, "d699.example", 1) {
			t.Errorf("%v, %v", err, s.keys.Held().Why)
		}
	})
}

// flapping is a store that reports changes, and at once no longer.
type flapping struct{ *backendtest.Memory }

func (f *flapping) Watch(ctx context.Context, ready func(), _ func(domains ...string)) error {
	ready()
	return errDown
}

// A store whose connections break again and again is not listed all the time.
func TestRemoteFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newNetStore(t)
		s.Put("a.example", "s1", edKey(1))
		s.keys = keystore.OpenRemote(t.Context(), &flapping{s.Memory}, quick, slog.New(slog.NewTextHandler(s.log, nil)))
		s.watch(s.keys, time.Hour)
		time.Sleep(10 * time.Minute)
		if n := s.Calls("List"); n > 100 {
			t.Errorf("it was listed %d times in ten minutes", n)
		}
	})
}

// unlisted is a store that cannot be listed.
type unlisted struct{ *backendtest.Memory }

func (unlisted) List(context.Context, func(domain, version string)) error { return keystore.ErrNoList }

// unversioned is a store that is listed without versions, and names in an error what it reads.
type unversioned struct{ *backendtest.Memory }

func (u unversioned) List(ctx context.Context, found func(domain, version string)) error {
	return u.Memory.List(ctx, func(domain, _ string) { found(domain, "") })
}

func (u unversioned) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	entries, err := u.Memory.Read(ctx, domains)
	if err != nil {
		err = fmt.Errorf("reading %s: %w", domains[0], err)
	}
	return entries, err
}

// That a store does not answer is not logged over and over, nor that it is over before it is, also
// where changes are found by reading all in turn.
func TestRemoteOutageIsLogged(t *testing.T) {
	t.Parallel()
	for name, store := range map[string]func(*backendtest.Memory) keystore.Backend{
		"not listed":       func(m *backendtest.Memory) keystore.Backend { return unlisted{m} },
		"without versions": func(m *backendtest.Memory) keystore.Backend { return unversioned{m} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { logsOutages(t, store) })
		})
	}
}

func logsOutages(t *testing.T, store func(*backendtest.Memory) keystore.Backend) {
	s := newNetStore(t)
	s.Blind = true
	s.keys = keystore.OpenRemote(t.Context(), store(s.Memory), quick, slog.New(slog.NewTextHandler(s.log, nil)))
	s.watch(s.keys, 30*time.Second)
	for i := range 20 {
		name := fmt.Sprintf("d%d.example", i)
		s.Put(name, "s1", edKey(1))
		if !isKey(s.keys, name, 1) {
			t.Fatal(s.keys.Domain(name).Err())
		}
	}
	logged := func(line string, least, most int) {
		t.Helper()
		if n := strings.Count(s.log.String(), line); n < least || n > most {
			t.Errorf("logged %d times, want %d to %d: %s", n, least, most, line)
		}
	}
	for outages := range 3 {
		s.fails(errDown)
		time.Sleep(5 * time.Minute)
		logged("keys not reloaded", outages+1, 2*(outages+1)) // that of a domain may be followed by that of the list
		logged("whole again", outages, outages)
		s.fails(nil)
		changed := byte(2 + outages)
		s.Put("d7.example", "s1", edKey(changed))
		time.Sleep(time.Minute)
		logged("whole again", outages+1, outages+1)
		if !isKey(s.keys, "d7.example", changed) {
			t.Error("what has changed is not noticed after that")
		}
	}
}

// The local copy serves a start with a store that cannot be listed too, or that lists its domains
// and does not give their keys; and it outlives that start.
func TestRemoteCacheWhileNothingIsRead(t *testing.T) {
	t.Parallel()
	for name, backend := range map[string]func(*netStore) keystore.Backend{
		"not listed": func(s *netStore) keystore.Backend { s.Blind = true; return unlisted{s.Memory} },
		"not read":   func(s *netStore) keystore.Backend { return s.Memory },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newNetStore(t)
			s.Put("a.example", "s1", edKey(1))
			store, options, log := backend(s), quick, slog.New(slog.NewTextHandler(s.log, nil))
			options.Cache = t.TempDir()
			start := func() *keystore.Remote { return keystore.OpenRemote(t.Context(), store, options, log) }
			first := start()
			if !isKey(first, "a.example", 1) {
				t.Fatal(first.Domain("a.example").Err())
			}
			over, stop := context.WithCancel(t.Context())
			stop()
			first.Watch(over, time.Hour) // writes the copy at its end
			down := s.Before
			s.Before = func(ctx context.Context, method string) error {
				if method == "Read" && s.down.Load() != nil {
					return errDown
				}
				return nil
			}
			s.down.Store(&errDown)
			for range 2 {
				again := start()
				if !isKey(again, "a.example", 1) {
					t.Fatalf("while the store gives no key: %v", again.Domain("a.example").Err())
				}
				if err := again.Domain("b.example").Err(); name == "not listed" && !errors.Is(err, keystore.ErrNoAnswer) {
					t.Errorf("a domain that is not in the copy: %v", err)
				}
				again.Watch(over, time.Hour)
			}
			s.fails(nil)
			s.Before = down
			s.Put("a.example", "s1", edKey(2))
			s.keys = start()
			s.watch(s.keys, 5*time.Millisecond)
			eventually(t, "what the store says counts again", func() bool { return isKey(s.keys, "a.example", 2) })
		})
	}
}
