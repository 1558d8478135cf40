package step

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
	"signpost/keystore/dns"
	"signpost/keystore/place"
	"signpost/keystore/record"
	"signpost/keystore/rotation"
	"signpost/test/lab/nameserver"
)

// stored is a store that other programs sign from, too, and a DNS.
type stored struct {
	backendtest.Memory
	mu    sync.Mutex
	calls []string // that change something of keys
}

func (s *stored) call(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, what)
}

func (s *stored) Select(_ context.Context, _, selector string) error {
	s.call("select " + selector)
	return nil
}

func (s *stored) Retire(ctx context.Context, key *keystore.Key) (string, error) {
	s.call("retire " + key.Selector)
	return s.Memory.Retire(ctx, key)
}

const long = 365 * 24 * time.Hour

// inStore returns a rotator for a store with a key that was published a year ago.
func inStore(t *testing.T, backend keystore.Backend, zone *nameserver.Zone) func() *Rotator {
	t.Helper()
	p := place.Store(backend, keystore.Options{})
	made, err := p.Make(t.Context(), keystore.Order{
		Domain: "a.example", Selector: "s1", Algorithm: keystore.Ed25519, Made: time.Now().Add(-long),
	})
	if err != nil {
		t.Fatal(err)
	}
	zone.PublishTXT(record.Name("s1", "a.example"), made.Record.String())
	return onPlace(t, p, zone)
}

func onPlace(t *testing.T, p place.Place, zone *nameserver.Zone) func() *Rotator {
	resolver := &dns.Resolver{Servers: []string{zone.Serve(t)}, Patience: 10 * time.Second, Attempts: 1}
	return func() *Rotator {
		snapshot, err := p.Load(t.Context(), "a.example")
		if err != nil {
			t.Fatal(err)
		}
		return &Rotator{Snapshot: snapshot, Resolver: resolver, Interval: time.Hour, Look: rotation.Look{
			Place: p, Mode: rotation.On, Overlap: rotation.Overlap, Ask: rotation.Cached(resolver), Now: time.Now(),
		}}
	}
}

// Of two rotators that look at the same time one begins, and the other makes nothing.
func TestTwoRotators(t *testing.T) {
	t.Parallel()
	store := new(stored)
	rotator := inStore(t, store, nameserver.NewZone(t))
	var both sync.WaitGroup
	both.Add(2)
	store.Before = func(_ context.Context, method string) error {
		if method == "WriteNotes" && store.Calls("WriteNotes") <= 2 {
			both.Done()
			both.Wait()
		}
		return nil
	}
	results := make([]*Result, 2)
	rotators, late := []*Rotator{rotator(), rotator()}, rotator()
	var running sync.WaitGroup
	for i, r := range rotators {
		running.Go(func() { results[i] = r.Domain(t.Context(), "a.example", Start) })
	}
	running.Wait()
	if results[0].Err != nil {
		slices.Reverse(results)
	}
	if results[0].Err != nil || len(results[0].New) != 1 {
		t.Errorf("the first made %d keys: %v", len(results[0].New), results[0].Err)
	}
	if !errors.Is(results[1].Err, rotation.ErrOther) || len(results[1].New) != 0 {
		t.Errorf("the second made %d keys: %v", len(results[1].New), results[1].Err)
	}
	// One that has read the keys before, and the notes after.
	if third := late.Domain(t.Context(), "a.example", Start); third.Err != nil || len(third.New) != 0 ||
		!errors.Is(third.Note, ErrUnfinished) {
		t.Errorf("the third made %d keys: %v, %v", len(third.New), third.Err, third.Note)
	}
	if keys := rotator().Snapshot.Keys("a.example"); len(keys) != 2 {
		t.Errorf("there are %d keys", len(keys))
	}
}

// In a directory, too.
func TestManyRotatorsInADirectory(t *testing.T) {
	t.Parallel()
	p := place.Directory(keystore.Options{Dir: t.TempDir()})
	zone := nameserver.NewZone(t)
	made, err := p.Make(t.Context(), keystore.Order{
		Domain: "a.example", Selector: "s1", Algorithm: keystore.Ed25519, Made: time.Now().Add(-long),
	})
	if err != nil {
		t.Fatal(err)
	}
	zone.PublishTXT(record.Name("s1", "a.example"), made.Record.String())
	rotator := onPlace(t, p, zone)
	results := make([]*Result, 8)
	var rotators []*Rotator
	for range results {
		rotators = append(rotators, rotator())
	}
	var running sync.WaitGroup
	for i, r := range rotators {
		running.Go(func() { results[i] = r.Domain(t.Context(), "a.example", Start) })
	}
	running.Wait()
	n := 0
	for _, result := range results {
		n += len(result.New)
		if result.Err != nil && !errors.Is(result.Err, rotation.ErrOther) {
			t.Error(result.Err)
		}
	}
	if keys := rotator().Snapshot.Keys("a.example"); n != 1 || len(keys) != 2 {
		t.Errorf("%d keys were made, there are %d", n, len(keys))
	}
}

// A rotation that was interrupted is taken up with the key that it was to make.
func TestRotationIsTakenUp(t *testing.T) {
	t.Parallel()
	store := new(stored)
	rotator := inStore(t, store, nameserver.NewZone(t))
	failed := errors.New("the store fails")
	store.Before = func(_ context.Context, method string) error {
		if method == "Add" && store.Calls("Add") == 2 { // the first was in the beginning
			return failed
		}
		return nil
	}
	if result := rotator().Domain(t.Context(), "a.example", Start); !errors.Is(result.Err, failed) {
		t.Fatal(result.Err)
	}
	notes, _, err := store.Notes(t.Context(), "a.example")
	if err != nil || len(notes) == 0 {
		t.Fatalf("notes %q, %v", notes, err)
	}
	result := rotator().Domain(t.Context(), "a.example", Start)
	if result.Err != nil || len(result.New) != 1 {
		t.Fatalf("%v, %d keys", result.Err, len(result.New))
	}
	if again, _, _ := store.Notes(t.Context(), "a.example"); string(again) != string(notes) {
		t.Errorf("the notes are %q, were %q", again, notes)
	}
}

// Other programs get the new key when it is published and signs, before the old one is
// archived; and at the end no notes are left.
func TestOthersAreTold(t *testing.T) {
	t.Parallel()
	store, zone := new(stored), nameserver.NewZone(t)
	rotator := inStore(t, store, zone)
	made := rotator().Domain(t.Context(), "a.example", Start)
	if made.Err != nil || len(made.New) != 1 {
		t.Fatalf("%v, %d keys", made.Err, len(made.New))
	}
	again := rotator().Domain(t.Context(), "a.example", Start)
	if again.Err != nil || len(store.calls) > 0 {
		t.Fatalf("while it waits: %v, %q", again.Err, store.calls)
	}
	next := made.New[0]
	zone.PublishTXT(next.Name, next.Value)
	if early := rotator().Domain(t.Context(), "a.example", Finish); !errors.As(early.Err, new(EarlyError)) {
		t.Fatal(early.Err)
	}
	if want := []string{"select " + next.Selector}; !slices.Equal(store.calls, want) {
		t.Errorf("%q, want %q", store.calls, want)
	}
	r := rotator()
	r.Early = true
	if end := r.Domain(t.Context(), "a.example", Finish); end.Err != nil || len(end.Archived) != 1 {
		t.Fatal(end.Err)
	}
	want := []string{"select " + next.Selector, "select " + next.Selector, "retire s1"}
	if !slices.Equal(store.calls, want) {
		t.Errorf("%q, want %q", store.calls, want)
	}
	if notes, _, err := store.Notes(t.Context(), "a.example"); len(notes) > 0 || err != nil {
		t.Errorf("notes are left: %q, %v", notes, err)
	}
	// Of the day, the next has another name than all before.
	third := rotator().Domain(t.Context(), "a.example", Start)
	if third.Err != nil || len(third.New) != 1 || third.New[0].Selector == next.Selector || third.New[0].Selector == "s1" {
		t.Errorf("%v, %+v", third.Err, third.New)
	}
}

// The name of a key that was archived on the same day is not used again: its record may be in
// caches yet.
func TestSelectorOfTheDay(t *testing.T) {
	t.Parallel()
	rotator := inStore(t, new(stored), nameserver.NewZone(t))
	first := rotator().Domain(t.Context(), "a.example", Start)
	if first.Err != nil || len(first.New) != 1 {
		t.Fatalf("%v, %d keys", first.Err, len(first.New))
	}
	r := rotator()
	for _, key := range r.Snapshot.Keys("a.example") {
		if key.Selector == first.New[0].Selector {
			if _, err := r.Look.Place.Retire(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, revision, err := r.Look.Place.Notes(t.Context(), "a.example"); err != nil {
		t.Fatal(err)
	} else if _, err := r.Look.Place.WriteNotes(t.Context(), "a.example", nil, revision); err != nil {
		t.Fatal(err)
	}
	second := rotator().Domain(t.Context(), "a.example", Start)
	if second.Err != nil || len(second.New) != 1 || second.New[0].Selector == first.New[0].Selector {
		t.Errorf("%v, %+v", second.Err, second.New)
	}
}

// A key whose age the store does not tell is never due by itself, and is changed when it is
// asked for.
func TestAgeUnknown(t *testing.T) {
	t.Parallel()
	zone := nameserver.NewZone(t)
	store := &ageless{new(stored)}
	rotator := inStore(t, store, zone)
	for _, action := range []Action{Auto, Start} {
		r := rotator()
		r.Due = true
		if result := r.Domain(t.Context(), "a.example", action); result.Err != nil || len(result.New) != 0 {
			t.Errorf("action %v made %d keys: %v", action, len(result.New), result.Err)
		}
	}
	if result := rotator().Domain(t.Context(), "a.example", Start); result.Err != nil || len(result.New) != 1 {
		t.Errorf("%d keys were made: %v", len(result.New), result.Err)
	}
}

// ageless is a store that tells no ages.
type ageless struct{ *stored }

func (s *ageless) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	all, err := s.stored.Read(ctx, domains)
	for _, entries := range all {
		for i := range entries {
			entries[i].Made = time.Time{}
		}
	}
	return all, err
}
