package keystore

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// When the system has lost events everything is read again.
func TestWatchReadsAllAfterLostEvents(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	store, err := Open(Options{Dir: d.path}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	w := &watcher{store: store, notify: notify, changed: make(map[string]bool), created: make(map[string]bool), folders: make(map[string]string), all: true}
	// What it is told of comes from here, so it learns of nothing else.
	events, failures := make(chan fsnotify.Event), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done; notify.Close() })
	reads := func(begin func()) {
		before, _ := store.Reloads()
		begin()
		deadline := time.Now().Add(time.Minute)
		for n := before; n == before; n, _ = store.Reloads() {
			if time.Now().After(deadline) {
				t.Fatal("a minute later nothing is read")
			}
			time.Sleep(time.Millisecond)
		}
		store.unsettled() // waits until that is over
	}
	reads(func() { go func() { defer close(done); w.run(ctx, time.Hour, events, failures) }() })
	reads(func() { failures <- fsnotify.ErrEventOverflow })
	d.write("a.example.private", ed25519PEM(t))
	d.write("b.example/s1.private", ed25519PEM(t))
	time.Sleep(2 * patience) // long enough for a watcher that was told to have read them
	for _, domain := range []string{"a.example", "b.example"} {
		if got := describeKeys(store.Domain(domain)); got != "no key" {
			t.Fatalf("%s signs with %s before anything was told", domain, got)
		}
	}
	failures <- fsnotify.ErrEventOverflow
	d.await(store, "a.example", "mail:ed25519")
	d.await(store, "b.example", "s1:ed25519")
}

// More folders than are watched: a new domain is in force at once, and a change
// within a folder that is not watched after the next scan.
func TestWatchWithTooManyFolders(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	const most = 20
	for i := range most + 1 {
		if err := os.Mkdir(filepath.Join(d.path, fmt.Sprintf("d%d.example", i)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	log := &journal{}
	store, err := Open(Options{Dir: d.path}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	store.maxFolders = most
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); store.Watch(ctx, time.Second) }()
	t.Cleanup(func() { cancel(); <-done })
	deadline := time.Now().Add(time.Minute)
	for log.Count("too many folders to watch") == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("a minute later the log does not say that there are too many:\n%s", log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	d.write("flat.example.private", ed25519PEM(t))
	d.await(store, "flat.example", "mail:ed25519")
	d.write("new.example/s1.private", ed25519PEM(t))
	d.await(store, "new.example", "s1:ed25519")
	time.Sleep(2 * quiet) // the folder is read, and no event tells of what comes
	d.write("new.example/s2.private", ed25519PEM(t))
	d.await(store, "new.example", "s1:ed25519 s2:ed25519")
	if got := log.Count("too many folders"); got != 1 {
		t.Errorf("said %d times", got)
	}
}

// A scan that takes longer than the longest pause is followed by that pause.
func TestPauseAfterSlowScan(t *testing.T) {
	t.Parallel()
	p := pace{at: time.Now().Add(-time.Minute), took: time.Minute}
	if got := p.next(unwatched); got < longest-time.Second || got > longest {
		t.Errorf("the next scan is in %v, want %v", got, longest)
	}
}

// When a grace period is over the directory is read once, also where the look for missing
// files takes long and so is not taken at once.
func TestGraceEndsOnce(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	store := v.open()
	w := watcher{store: store, complete: true, provable: time.Now(),
		scan: pace{at: time.Now()}, look: pace{at: time.Now(), took: time.Second}}
	for range 3 {
		w.read(time.Hour)
	}
	if reloads, _ := store.Reloads(); reloads != 1 {
		t.Errorf("read %d times", reloads)
	}
}
