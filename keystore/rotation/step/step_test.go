package step

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/place"
	"signpost/keystore/record"
	"signpost/keystore/rotation"
	"signpost/test/lab/nameserver"
)

// world is a key directory, a DNS, and who may publish there.
type world struct {
	testing.TB
	dir     string
	zone    *nameserver.Zone
	now     time.Time
	failing map[string]bool // names whose records can be neither published nor withdrawn
}

func newWorld(t testing.TB) *world {
	return &world{TB: t, dir: t.TempDir(), zone: nameserver.NewZone(t), now: time.Now(), failing: make(map[string]bool)}
}

// key makes a key of that age and, unless it is a new one, publishes its record.
func (w *world) key(selector string, algorithm keystore.Algorithm, age time.Duration, published bool) {
	w.Helper()
	order := keystore.Order{Domain: "a.example", Selector: selector, Algorithm: algorithm, Bits: 2048}
	made, err := keystore.Make(w.dir, order)
	if err != nil {
		w.Fatal(err)
	}
	if err := os.Chtimes(made.File, time.Time{}, w.now.Add(-age)); err != nil {
		w.Fatal(err)
	}
	if published {
		w.zone.PublishTXT(record.Name(selector, "a.example"), made.Record.String())
	}
}

// run takes a step.
func (w *world) run(mode rotation.Mode, action Action, change func(*Rotator)) *Result {
	w.Helper()
	snapshot, err := keystore.Load(keystore.Options{Dir: w.dir})
	if err != nil {
		w.Fatal(err)
	}
	resolver := &dns.Resolver{Servers: []string{w.zone.Serve(w)}, Patience: time.Second, Attempts: 1}
	r := &Rotator{
		Snapshot: snapshot, Resolver: resolver, Publisher: w, Interval: 180 * 24 * time.Hour,
		Look: rotation.Look{Place: place.Directory(keystore.Options{Dir: w.dir}), Mode: mode, Overlap: rotation.Overlap, Ask: rotation.Cached(resolver), Now: w.now},
	}
	if change != nil {
		change(r)
	}
	return r.Domain(w.Context(), "a.example", action)
}

func (w *world) Publish(_ context.Context, name, value string, _ time.Duration) error {
	if w.failing[name] {
		return errors.New("the server does not answer")
	}
	w.zone.PublishTXT(name, value)
	return nil
}

func (w *world) Withdraw(_ context.Context, name, _, _ string, _ time.Duration) error {
	if w.failing[name] {
		return errors.New("the server does not answer")
	}
	w.zone.Withdraw(name)
	return nil
}

func (w *world) Replace(_ context.Context, name, _, _ string, _ time.Duration) error {
	return errors.New("a rotation replaces no policy at " + name)
}

// A record that could not be published is published by the next run, whatever the
// answers of the DNS are for.
func TestPublishingGoesOn(t *testing.T) {
	t.Parallel()
	for _, mode := range []rotation.Mode{rotation.On, rotation.Warn, rotation.Off} {
		w := newWorld(t)
		w.key("s1", keystore.Ed25519, 365*24*time.Hour, true)
		made := ""
		for try := range 3 {
			result := w.run(mode, Auto, func(r *Rotator) {
				r.Publisher = nil // for this once
				if try > 0 {
					r.Publisher = w
				}
			})
			if result.Err != nil || len(result.Keys) == 0 {
				t.Fatalf("%s: %v, %d keys", mode, result.Err, len(result.Keys))
			}
			switch {
			case try == 0 && len(result.New) == 1:
				made = result.New[0].Name
			case try == 1 && (len(result.Published) != 1 || result.Published[0] != made):
				t.Errorf("%s: %q was published, want %q", mode, result.Published, made)
			case try == 2 && len(result.New) > 0:
				t.Errorf("%s: %v waits", mode, result.New)
			}
		}
	}
}

// What went wrong with one key is told, though another was archived after it.
func TestArchivingFailsForOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const day = 24 * time.Hour
	w.key("r1", keystore.Ed25519, 300*day, true)
	w.key("r2", keystore.Ed25519, 200*day, true)
	w.key("r3", keystore.Ed25519, 100*day, true)
	look := rotation.Look{Place: place.Directory(keystore.Options{Dir: w.dir}), Ask: func(context.Context, string, record.DKIM) dns.KeyAnswer { return dns.KeyAnswer{} }, Now: w.now}
	snapshot, err := keystore.Load(keystore.Options{Dir: w.dir})
	if err != nil {
		t.Fatal(err)
	}
	notes, err := look.Open(t.Context(), "a.example", snapshot.Keys("a.example"))
	if err != nil {
		t.Fatal(err)
	}
	// A rotation made the second key, and was not finished when there came a third.
	notes.Order([]rotation.Order{{Selector: "r2", Algorithm: keystore.Ed25519, Bits: 256}})
	if err := notes.Write(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.failing["r1._domainkey.a.example"] = true
	result := w.run(rotation.On, Finish, func(r *Rotator) { r.Early = true })
	if len(result.Archived) != 1 || result.Archived[0].Selector != "r2" {
		t.Errorf("archived %+v", result.Archived)
	}
	if result.Err == nil {
		t.Error("that r1 was not archived is not told")
	}
	if _, err := os.Stat(filepath.Join(w.dir, "a.example", "r1.private")); err != nil {
		t.Error(err)
	}
}
