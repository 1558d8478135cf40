package keystore

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/keystore/finding"
	"signpost/test/lab/testlog"
)

// journal is the log of a test.
type journal struct{ testlog.Log }

// shortGrace is the grace period of stores in tests.
const shortGrace = 200 * time.Millisecond

// watch opens a store on the directory and watches it. The rescan is long, so
// that nothing but the watching can have noticed a change.
func (d directory) watch() (*Store, *journal) { return d.watchWith(shortGrace) }

func (d directory) watchWith(grace time.Duration) (*Store, *journal) {
	d.Helper()
	log := &journal{}
	store, err := Open(Options{Dir: d.path, RemovalGrace: grace}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		d.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); store.Watch(ctx, time.Hour) }()
	d.Cleanup(func() { cancel(); <-done })
	return store, log
}

// await waits until what signs for a domain is as wanted.
func (d directory) await(store *Store, domain, want string) {
	d.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got := describeKeys(store.Domain(domain))
		if got == want {
			return
		}
		if time.Now().After(deadline) {
			d.Fatalf("for %s signs %q after a minute, want %q", domain, got, want)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestWatchTakesUpChanges(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	store, log := d.watch()

	d.write("a.example.private", pkcs8(t, rsaKeys(1024, 0)))
	d.await(store, "a.example", "mail:rsa")

	// A folder made and filled at once, and one filled later.
	d.write("b.example/s1.private", pkcs8(t, rsaKeys(1024, 0)))
	d.await(store, "b.example", "s1:rsa")
	d.write("b.example/s2.private", ed25519PEM(t))
	d.await(store, "b.example", "s1:rsa s2:ed25519")

	// A folder made anew has the same path and is another one.
	if err := os.RemoveAll(filepath.Join(d.path, "b.example")); err != nil {
		t.Fatal(err)
	}
	d.await(store, "b.example", "no key")
	d.write("b.example/s3.private", pkcs8(t, rsaKeys(1024, 0)))
	d.await(store, "b.example", "s3:rsa")
	d.rename("b.example/s4.private", ed25519PEM(t))
	d.await(store, "b.example", "s3:rsa s4:ed25519")

	if err := os.Remove(filepath.Join(d.path, "a.example.private")); err != nil {
		t.Fatal(err)
	}
	d.await(store, "a.example", "no key")
	for _, want := range []string{
		`msg="key added, but it is weak" domain=a.example selector=mail type=rsa bits=1024`,
		`msg="key added" domain=b.example selector=s2 type=ed25519`,
		`msg="key removed" domain=a.example selector=mail`,
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// Kubernetes swaps a link to a whole folder of files.
func TestWatchFollowsDataSwap(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	version := func(n int, files map[string][]byte) {
		folder := fmt.Sprintf("..version%d", n)
		for name, data := range files {
			d.write(filepath.Join(folder, name), data)
		}
		if err := os.Symlink(folder, filepath.Join(d.path, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(d.path, "..data_tmp"), filepath.Join(d.path, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	version(1, map[string][]byte{"example.org.private": pkcs8(t, rsaKeys(1024, 0)), "example.net/s1.private": pkcs8(t, rsaKeys(1024, 0))})
	for _, name := range []string{"example.org.private", "example.net"} {
		if err := os.Symlink(filepath.Join("..data", name), filepath.Join(d.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	store, _ := d.watch()
	d.await(store, "example.org", "mail:rsa")
	d.await(store, "example.net", "s1:rsa")

	version(2, map[string][]byte{"example.org.private": ed25519PEM(t), "example.net/s2.private": pkcs8(t, rsaKeys(1024, 1))})
	d.await(store, "example.org", "mail:ed25519")
	d.await(store, "example.net", "s2:rsa")
	// The folder that the link now leads to is the one that is watched.
	d.write("..version2/example.net/s3.private", ed25519PEM(t))
	d.await(store, "example.net", "s2:rsa s3:ed25519")
}

// A symlink to a target outside the directory can be swapped without an event.
func TestWatchSeesLinksThatLeadElsewhere(t *testing.T) {
	t.Parallel()
	d, other := newDirectory(t), newDirectory(t)
	other.write("v1/s1.private", pkcs8(t, rsaKeys(1024, 0)))
	other.write("v2/s2.private", pkcs8(t, rsaKeys(1024, 0)))
	other.write("key.pem", pkcs8(t, rsaKeys(1024, 0)))
	link := func(target, path string) {
		t.Helper()
		if err := os.Symlink(target, path+".new"); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
	current := filepath.Join(other.path, "current")
	link("v1", current)
	link(current, filepath.Join(d.path, "example.org"))
	link(filepath.Join(other.path, "key.pem"), filepath.Join(d.path, "example.net.private"))
	store, _ := d.watch()
	d.await(store, "example.org", "s1:rsa")
	link("v2", current)
	d.await(store, "example.org", "s2:rsa")
	other.write("key.pem", ed25519PEM(t))
	d.await(store, "example.net", "mail:ed25519")

	// One that comes later, and one within a folder.
	other.write("late.pem", pkcs8(t, rsaKeys(1024, 0)))
	link(filepath.Join(other.path, "late.pem"), filepath.Join(d.path, "late.example.private"))
	d.write("folder.example/note", nil)
	link(filepath.Join(other.path, "inner.pem"), filepath.Join(d.path, "folder.example", "s1.private")) // to nowhere yet
	d.await(store, "late.example", "mail:rsa")
	other.write("late.pem", ed25519PEM(t))
	d.await(store, "late.example", "mail:ed25519")
	other.write("inner.pem", pkcs8(t, rsaKeys(1024, 0)))
	d.await(store, "folder.example", "s1:rsa")
	other.write("inner.pem", ed25519PEM(t))
	d.await(store, "folder.example", "s1:ed25519")

	// The same with a link to the directory itself.
	way := filepath.Join(other.path, "way")
	link("v1", way)
	whole := directory{t, way}
	other.write("v1/example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	other.write("v2/example.org.private", ed25519PEM(t))
	store, _ = whole.watch()
	whole.await(store, "example.org", "mail:rsa")
	link("v2", way)
	whole.await(store, "example.org", "mail:ed25519")
}

// The directory itself goes away for a while: all keys stay in force.
func TestWatchSurvivesLossOfTheDirectory(t *testing.T) {
	t.Parallel()
	parent := newDirectory(t)
	d := directory{t, filepath.Join(parent.path, "keys")}
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	store, log := d.watch()
	aside := filepath.Join(parent.path, "aside")
	if err := os.Rename(d.path, aside); err != nil {
		t.Fatal(err)
	}
	for log.Count("keys not reloaded, those in force stay") == 0 {
		_ = store.Reload()
	}
	_ = store.Reload()
	if n := log.Count("keys not reloaded"); n != 1 {
		t.Errorf("said %d times that the directory is gone", n)
	}
	d.await(store, "example.org", "mail:rsa")
	if err := os.Rename(aside, d.path); err != nil {
		t.Fatal(err)
	}
	d.write("example.net.private", pkcs8(t, rsaKeys(1024, 0)))
	d.await(store, "example.net", "mail:rsa")
}

func TestBrokenKeyIsSaidOnce(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	log := &journal{}
	store, err := Open(Options{Dir: d.path}, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	reload := func() {
		t.Helper()
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	d.write("example.org.private", []byte("-----BEGIN"))
	reload()
	reload()
	d.write("example.net.private", pkcs8(t, rsaKeys(1024, 0))) // something else changes
	reload()
	if n := log.Count("key broken"); n != 1 || log.Count(`inforce=true`) != 1 {
		t.Errorf("said %d times that the key is broken:\n%s", n, log)
	}
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 1)))
	reload()
	if log.Count("key no longer broken") != 1 || log.Count(`msg="key replaced`) != 1 {
		t.Errorf("not said that the key is good again:\n%s", log)
	}
}

func TestOpenNeedsTheDirectory(t *testing.T) {
	_, err := Open(Options{Dir: "/nonexistent/keys"}, slog.New(slog.DiscardHandler))
	want := "reading the key directory /nonexistent/keys: no such file or directory; hint: make the directory, or give another with --keys"
	if err == nil || finding.Text(err) != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

// The number of what is in force stays while nothing changes, also where there are files that
// give no key: it is looked for every second.
func TestRevisionStays(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	d.write("a..b.private", nil)
	store := d.open()
	if len(store.Snapshot().invalid) != 1 {
		t.Fatal(store.Snapshot().Problems())
	}
	grows := func(what string, want bool) {
		t.Helper()
		before := store.Revision()
		store.poll()
		if err := store.Reload(); err != nil {
			t.Fatal(err)
		}
		if grown := store.Revision() != before; grown != want {
			t.Errorf("%s: the revision grows: %t", what, grown)
		}
	}
	grows("nothing changes", false)
	d.write("c..d.private", nil)
	grows("another invalid name", true)
	grows("nothing changes then", false)
	if err := os.Remove(filepath.Join(d.path, "a..b.private")); err != nil {
		t.Fatal(err)
	}
	grows("one goes", true)
	d.write("a.example.private", ed25519PEM(t))
	grows("a key", true)
}
