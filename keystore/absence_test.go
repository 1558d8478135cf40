package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/finding"
)

// vanishing is a key directory of two domains that goes away.
type vanishing struct {
	directory
	outside directory // what symlinks lead to
	store   *Store
	log     *journal
}

// newVanishing makes a flat key and a folder. With links they are symlinks to targets
// outside the directory.
func newVanishing(t *testing.T, links bool) *vanishing {
	t.Helper()
	parent := newDirectory(t)
	v := &vanishing{
		directory: directory{t, filepath.Join(parent.path, "keys")},
		outside:   directory{t, filepath.Join(parent.path, "outside")},
	}
	at := v.directory
	if links {
		at = v.outside
	}
	at.write("flat.example.private", ed25519PEM(t))
	at.write("folder.example/s1.private", ed25519PEM(t))
	if links {
		v.must(os.Mkdir(v.path, 0o755))
		for _, name := range []string{"flat.example.private", "folder.example"} {
			v.must(os.Symlink(filepath.Join(at.path, name), filepath.Join(v.path, name)))
		}
	}
	return v
}

func (v *vanishing) must(errs ...error) {
	v.Helper()
	if err := errors.Join(errs...); err != nil {
		v.Fatal(err)
	}
}

func (v *vanishing) in(names ...string) string {
	return filepath.Join(append([]string{v.path}, names...)...)
}

// signs fails the test if one of the two keys is not in force.
func (v *vanishing) signs(when string) {
	v.Helper()
	for domain, want := range map[string]string{"flat.example": "mail:ed25519", "folder.example": "s1:ed25519"} {
		if got := describeKeys(v.store.Domain(domain)); got != want {
			v.Fatalf("%s, for %s signs %q, want %q\n%s", when, domain, got, want, v.log)
		}
	}
}

// awaitLog waits until the log has a line.
func (v *vanishing) awaitLog(line string) {
	v.Helper()
	deadline := time.Now().Add(time.Minute)
	for v.log.Count(line) == 0 {
		v.signs("waiting for the log")
		if time.Now().After(deadline) {
			v.Fatalf("the log lacks %q:\n%s", line, v.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// endures lets keys vanish and come back. They sign all the time, the log says that
// they are held and no longer are, and changes are noticed then as before.
func (v *vanishing) endures(why string, vanish, comeBack func()) {
	v.Helper()
	v.store, v.log = v.watch()
	v.await(v.store, "folder.example", "s1:ed25519")
	vanish()
	v.awaitLog(why)
	time.Sleep(2 * shortGrace)
	_ = v.store.Reload() // as the next rescan does
	v.signs("held")
	if v.log.Count("key removed") > 0 {
		v.Errorf("a key was removed:\n%s", v.log)
	}
	comeBack()
	begin := time.Now()
	v.awaitSettled()
	v.signs("back")
	v.write("new.example.private", ed25519PEM(v))
	v.await(v.store, "new.example", "mail:ed25519")
	v.Logf("%q: all well %v after it came back", why, time.Since(begin))
	v.must(os.Remove(v.in("flat.example.private")))
	v.await(v.store, "flat.example", "no key")
}

// awaitSettled waits until no key is held, no file missing and none broken.
func (v *vanishing) awaitSettled() {
	v.Helper()
	deadline := time.Now().Add(time.Minute)
	for v.store.Held().Why != nil || len(v.store.allMissing())+len(v.store.Snapshot().Problems()) > 0 {
		if time.Now().After(deadline) {
			v.Fatalf("after a minute %+v, %v, %v", v.store.Held(), v.store.allMissing(), v.store.Snapshot().Problems())
		}
		time.Sleep(5 * time.Millisecond)
	}
}

const (
	unreadableLine = `msg="keys not reloaded, those in force stay" held=2`
	missingLine    = `msg="keys missing, and held in force"`
)

func TestKeysStayWhenTheirDirectory(t *testing.T) {
	t.Parallel()
	t.Run("is moved away", func(t *testing.T) {
		t.Parallel()
		v := newVanishing(t, false)
		v.endures(unreadableLine, func() { v.must(os.Rename(v.path, v.path+".aside")) },
			func() { v.must(os.Rename(v.path+".aside", v.path)) })
	})
	t.Run("is replaced by an empty one", func(t *testing.T) {
		t.Parallel()
		v := newVanishing(t, false)
		v.endures(missingLine, func() {
			v.must(os.Rename(v.path, v.path+".aside"), os.Mkdir(v.path, 0o755))
		}, func() {
			v.must(os.Remove(v.path), os.Rename(v.path+".aside", v.path))
		})
	})
	t.Run("is moved away and an empty one made later", func(t *testing.T) {
		t.Parallel()
		v := newVanishing(t, false)
		v.endures(missingLine, func() {
			v.must(os.Rename(v.path, v.path+".aside"))
			v.awaitLog(unreadableLine)
			v.must(os.Mkdir(v.path, 0o755))
			v.awaitLog(missingLine)
			if v.log.Count("whole again") > 0 {
				t.Errorf("nothing came back yet:\n%s", v.log)
			}
		}, func() {
			v.must(os.Remove(v.path), os.Rename(v.path+".aside", v.path))
			v.awaitLog("whole again")
		})
	})
	t.Run("loses all at once", func(t *testing.T) {
		t.Parallel()
		v := newVanishing(t, false)
		flat, _ := os.ReadFile(v.in("flat.example.private"))
		v.endures(`msg="keys missing, and held in force"`, func() {
			v.must(os.Remove(v.in("flat.example.private")), os.Rename(v.in("folder.example"), v.path+".aside"))
		}, func() {
			v.write("flat.example.private", flat)
			time.Sleep(2 * shortGrace) // one comes back later, and is not taken for removed
			v.must(os.Rename(v.path+".aside", v.in("folder.example")))
		})
	})
	t.Run("has symlinks whose targets vanish", func(t *testing.T) {
		t.Parallel()
		v := newVanishing(t, true)
		v.endures(`msg="key broken"`, func() { v.must(os.Rename(v.outside.path, v.outside.path+".aside")) },
			func() { v.must(os.Rename(v.outside.path+".aside", v.outside.path)) })
	})
	t.Run("is a symlink to another one", func(t *testing.T) {
		t.Parallel()
		v := newVanishing(t, false)
		way := v.path + ".way"
		v.must(os.Symlink(v.path, way), os.Mkdir(v.path+".other", 0o755))
		real := v.path
		v.path = way
		swap := func(target string) {
			v.must(os.Symlink(target, way+".new"), os.Rename(way+".new", way))
		}
		v.endures(missingLine, func() { swap(real + ".other") }, func() { swap(real) })
	})
}

// A folder of a domain that flaps takes no key along.
func TestFlappingFolder(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	const grace = time.Second
	v.store, v.log = v.watchWith(grace)
	stop := time.Now().Add(2 * grace)
	for time.Now().Before(stop) {
		v.must(os.Rename(v.in("folder.example"), v.path+".aside"))
		v.signs("away")
		time.Sleep(70 * time.Millisecond)
		v.must(os.Rename(v.path+".aside", v.in("folder.example")))
		v.signs("back")
		time.Sleep(10 * time.Millisecond)
	}
	v.awaitSettled()
	v.signs("quiet")
	if v.log.Count("key removed") > 0 {
		t.Errorf("a key was removed:\n%s", v.log)
	}
}

// What the new directory has is loaded, what it lacks is held, and what is deleted in it
// is dropped.
func TestReplacedDirectory(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	next := directory{t, v.path + ".next"}
	next.write("flat.example.private", pkcs8(t, rsaKeys(1024, 0)))
	next.write("more.example.private", ed25519PEM(t))
	next.write("other.example.private", ed25519PEM(t))
	v.store, v.log = v.watch()
	v.must(os.Rename(v.path, v.path+".old"), os.Rename(next.path, v.path))
	v.await(v.store, "flat.example", "mail:rsa")
	v.await(v.store, "more.example", "mail:ed25519")
	v.must(os.Remove(v.in("more.example.private")))
	v.await(v.store, "more.example", "no key")
	deadline := time.Now().Add(time.Minute)
	for v.store.Held().Keys != 1 {
		if time.Now().After(deadline) {
			t.Fatalf("held: %+v", v.store.Held())
		}
		time.Sleep(5 * time.Millisecond)
	}
	v.await(v.store, "folder.example", "s1:ed25519")
	why := finding.Text(v.store.Held().Why)
	if !strings.Contains(why, "another one") || !strings.Contains(why, "SIGHUP") {
		t.Errorf("held, for %s", why)
	}
	// An operator says that it is as it should be.
	v.must(v.store.Accept())
	v.await(v.store, "folder.example", "no key")
	v.await(v.store, "flat.example", "mail:rsa")
	if held := v.store.Held(); held.Keys != 0 || held.Why != nil {
		t.Errorf("held: %+v", held)
	}
}

// A directory that is replaced by one with the same keys in other layouts lacks nothing.
func TestReplacedLayouts(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	next := directory{t, v.path + ".next"}
	next.write("flat.example/mail.private", ed25519PEM(t))
	next.write("folder.example.s1.key", pkcs8(t, rsaKeys(1024, 0)))
	v.store, v.log = v.watch()
	v.must(os.Rename(v.path, v.path+".old"), os.Rename(next.path, v.path))
	v.await(v.store, "folder.example", "s1:rsa")
	v.await(v.store, "flat.example", "mail:ed25519")
	v.awaitSettled()
	// What is in force is logged a moment later, and between the two renames there was no
	// directory, which may have been seen.
	deadline := time.Now().Add(time.Minute)
	for v.log.Count("key replaced") != 2 {
		if time.Now().After(deadline) {
			t.Fatalf("the log:\n%s", v.log)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if v.log.Count(missingLine) > 0 {
		t.Errorf("the log:\n%s", v.log)
	}
}

// A directory that cannot be read is not accepted either.
func TestAcceptNeedsADirectory(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	v.store, v.log = v.watch()
	v.must(os.Rename(v.path, v.path+".aside"))
	v.awaitLog(unreadableLine)
	before := v.log.Count(unreadableLine)
	if err := v.store.Accept(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	v.signs("after SIGHUP")
	if v.log.Count(unreadableLine) != before+1 {
		t.Errorf("not said again:\n%s", v.log)
	}
}

// A single file that is deleted is, whether there are others or not.
func TestDeletedKeyEndsWithinTheGrace(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	v.store, v.log = v.watch()
	for _, test := range []struct{ file, domain string }{
		{"folder.example/s1.private", "folder.example"}, {"flat.example.private", "flat.example"},
	} {
		begin := time.Now()
		v.must(os.Remove(v.in(test.file)))
		v.await(v.store, test.domain, "no key")
		took := time.Since(begin)
		if took < shortGrace {
			t.Errorf("%s was dropped after %v", test.file, took)
		}
		t.Logf("%s: dropped after %v, with a grace of %v", test.file, took, shortGrace)
	}
	if v.log.Count("held") > 0 {
		t.Errorf("keys were held:\n%s", v.log)
	}
}

// Keys that were archived are gone, even if they are the last ones.
func TestArchivedKeysAreDropped(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	v.store, v.log = v.watch()
	for _, domain := range []string{"flat.example", "folder.example"} {
		if _, err := Retire(v.path, v.store.Domain(domain).List()[0]); err != nil {
			t.Fatal(err)
		}
	}
	v.await(v.store, "flat.example", "no key")
	v.await(v.store, "folder.example", "no key")
}

// So are those that are symlinks, which lead to the same keys from the archive.
func TestArchivedSymlinksAreDropped(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, true)
	v.must(os.Remove(v.in("folder.example")), os.Mkdir(v.in("folder.example"), 0o755),
		os.Symlink("../../outside/folder.example/s1.private", v.in("folder.example", "s1.private")))
	v.store, v.log = v.watch()
	for _, domain := range []string{"flat.example", "folder.example"} {
		archived, err := Retire(v.path, v.store.Domain(domain).List()[0])
		v.must(err)
		if _, err := os.Stat(archived); err != nil {
			t.Error(err)
		}
	}
	v.await(v.store, "flat.example", "no key")
	v.await(v.store, "folder.example", "no key")
}

// Kubernetes removes a key by a swap of ..data, and then removes its symlink.
func TestKubernetesRemovesAKey(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for _, version := range []string{"..v1", "..v2"} {
		d.write(version+"/a.example.private", ed25519PEM(t))
	}
	d.write("..v1/b.example.private", ed25519PEM(t))
	if err := errors.Join(os.Symlink("..v1", filepath.Join(d.path, "..data")),
		os.Symlink("..data/a.example.private", filepath.Join(d.path, "a.example.private")),
		os.Symlink("..data/b.example.private", filepath.Join(d.path, "b.example.private"))); err != nil {
		t.Fatal(err)
	}
	store, log := d.watch()
	d.await(store, "b.example", "mail:ed25519")
	if err := errors.Join(os.Symlink("..v2", filepath.Join(d.path, "..data_tmp")),
		os.Rename(filepath.Join(d.path, "..data_tmp"), filepath.Join(d.path, "..data")),
		os.Remove(filepath.Join(d.path, "b.example.private")),
		os.RemoveAll(filepath.Join(d.path, "..v1"))); err != nil {
		t.Fatal(err)
	}
	d.await(store, "b.example", "no key")
	d.await(store, "a.example", "mail:ed25519")
	if log.Count("key replaced") != 1 || log.Count("held") > 0 {
		t.Errorf("the log:\n%s", log)
	}
}

// A symlink to nowhere is a key that cannot be read: mail of its domain is deferred.
func TestDanglingSymlinkAtTheStart(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	for link, target := range map[string]string{
		"flat.example.private": "/nonexistent/key", "folder.example": "/nonexistent/folder",
	} {
		if err := os.Symlink(target, filepath.Join(d.path, link)); err != nil {
			t.Fatal(err)
		}
	}
	store := d.open()
	for _, domain := range []string{"flat.example", "folder.example"} {
		if got := describeKeys(store.Domain(domain)); !strings.Contains(got, "symlink whose target is missing") {
			t.Errorf("%s: %s", domain, got)
		}
	}
}

// Of many domains most were never read when their directory vanishes: their mail is
// deferred until it is back.
func TestUnreadDomainsVanish(t *testing.T) {
	t.Parallel()
	v := newVanishing(t, false)
	for i := range few {
		v.write(fmt.Sprintf("d%04d.example.private", i), ed25519PEM(t))
	}
	v.log = &journal{}
	store, err := Open(Options{Dir: v.path}, slog.New(slog.NewTextHandler(v.log, nil)))
	v.must(err, os.Rename(v.path, v.path+".aside"))
	for _, domain := range []string{"flat.example", "folder.example", "d0001.example"} {
		if got := describeKeys(store.Domain(domain)); !strings.Contains(got, "it is missing, and was not read before") {
			t.Errorf("%s: %s", domain, got)
		}
	}
	store.ReadAll()
	_ = store.Reload()
	if unread := store.Held().Unread; unread != few+2 {
		t.Errorf("%d are said to be unread", unread)
	}
	v.must(os.Rename(v.path+".aside", v.path), store.Reload())
	if lines := v.log.Count("\n"); lines > 10 {
		t.Errorf("the log has %d lines:\n%s", lines, v.log)
	}
	for domain, want := range map[string]string{
		"flat.example": "mail:ed25519", "folder.example": "s1:ed25519", "d0001.example": "mail:ed25519",
	} {
		if got := describeKeys(store.Domain(domain)); got != want {
			t.Errorf("back: %s: %s", domain, got)
		}
	}
}

// A directory that this user may not read any more keeps its keys, and so does one whose
// files cannot be looked at.
func TestUnreadableDirectoryKeepsItsKeys(t *testing.T) {
	for _, mode := range []os.FileMode{0, 0o111, 0o444} {
		t.Run(mode.String(), func(t *testing.T) {
			if os.Geteuid() == 0 {
				dropRights(t)
			}
			v := newVanishing(t, false)
			v.log = &journal{}
			var err error
			v.store, err = Open(Options{Dir: v.path, RemovalGrace: 1}, slog.New(slog.NewTextHandler(v.log, nil)))
			v.must(err, os.Chmod(v.path, mode))
			defer os.Chmod(v.path, 0o755)
			for range 3 {
				_ = v.store.Reload()
				v.store.update(map[string]bool{"flat.example.private": true, "folder.example": true})
				v.signs("unreadable")
			}
			if err := v.store.Accept(); err == nil != (mode == 0o444) {
				t.Errorf("error %v", err)
			}
			v.signs("after SIGHUP")
			v.must(os.Chmod(v.path, 0o755), v.store.Reload())
			v.signs("readable")
			if problems := v.store.Snapshot().Problems(); len(problems) > 0 {
				t.Errorf("problems %v", problems)
			}
		})
	}
}

// An unmounted directory looks empty, and a folder of it too.
func TestKeysStayWhenUnmounted(t *testing.T) {
	const inside = "KEYSTORE_MOUNTS"
	if os.Getenv(inside) == "" {
		if os.Geteuid() != 0 {
			t.Skip("needs root for a mount namespace")
		}
		t.Parallel()
		again := exec.Command(os.Args[0], "-test.run=^TestKeysStayWhenUnmounted$", "-test.v")
		again.Env = append(os.Environ(), inside+"=1")
		again.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
		out, err := again.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	for _, mounted := range []struct {
		name string
		same bool // of the same file system
	}{{"", false}, {"folder.example", false}, {"folder.example", true}} {
		name := mounted.name
		t.Run(fmt.Sprintf("keys/%s, same file system %t", name, mounted.same), func(t *testing.T) {
			t.Parallel()
			v := newVanishing(t, false)
			store := v.path + ".store" // what is mounted
			v.must(os.Rename(v.in(name), store), os.Mkdir(v.in(name), 0o755))
			if !mounted.same {
				v.must(os.Rename(store, store+".tree"), os.Mkdir(store, 0o755), syscall.Mount("tmpfs", store, "tmpfs", 0, ""),
					os.CopyFS(store, os.DirFS(store+".tree")))
				t.Cleanup(func() { v.must(syscall.Unmount(store, 0)) })
			}
			mount := func() { v.must(syscall.Mount(store, v.in(name), "", syscall.MS_BIND, "")) }
			unmount := func() { v.must(syscall.Unmount(v.in(name), syscall.MNT_DETACH)) }
			mount()
			t.Cleanup(unmount)
			v.endures(missingLine, func() {
				unmount()
				_ = v.store.Reload() // as the next rescan does: no event comes when a folder is unmounted
			}, mount)
		})
	}
}
