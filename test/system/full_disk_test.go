package system

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A disk is a small file system of its own, in place of a directory.
type disk struct {
	t    testing.TB
	path string
}

func (w *world) mountDisk(path string) disk {
	w.t.Helper()
	d := disk{w.t, path}
	d.must(os.MkdirAll(path, 0o755), syscall.Mount("tmpfs", path, "tmpfs", 0, "size=64k,mode=0755"),
		os.Chown(path, daemonUser, daemonUser))
	w.t.Cleanup(func() { d.must(syscall.Unmount(path, syscall.MNT_DETACH)) })
	return d
}

func (d disk) must(errs ...error) {
	d.t.Helper()
	if err := errors.Join(errs...); err != nil {
		d.t.Fatal(err)
	}
}

func (d disk) filler() string { return filepath.Join(d.path, ".filler") }

// fill leaves room for that many pages.
func (d disk) fill(pages int64) {
	d.t.Helper()
	filler, err := os.OpenFile(d.filler(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	d.must(err)
	for page := make([]byte, os.Getpagesize()); err == nil; {
		_, err = filler.Write(page)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		d.t.Fatal(err)
	}
	info, err := filler.Stat()
	d.must(err, filler.Truncate(info.Size()-pages*int64(os.Getpagesize())), filler.Close())
}

// files are the names of all files and folders.
func (d disk) files() (names []string) {
	d.t.Helper()
	d.must(filepath.WalkDir(d.path, func(path string, _ os.DirEntry, err error) error {
		names = append(names, strings.TrimPrefix(path, d.path))
		return err
	}))
	return names
}

// The disks of keys and state are full. Mail goes on, what cannot be written says so and
// leaves nothing behind, and the state is saved when there is room again. A new key for
// which there is room counts, though there is none for its record.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	v := &vanishing{world: newWorld(t)}
	keys, state := v.mountDisk(v.keys), v.mountDisk(filepath.Join(v.dir, "state"))
	v.addKey("rsa", "full.example.private", rsaSignature("full.example", "mail"))
	v.must(os.WriteFile(filepath.Join(keys.path, "full.example.txt"), []byte("its record\n"), 0o644))
	keys.fill(0)
	state.fill(0)
	v.d = v.startDaemon("--state=" + state.path)
	p := v.startPostfix(v.milterAddr())
	s := p.startStream(2, "full.example")
	s.awaitMore(5)
	await(t, "the daemon to notice", func() bool {
		return len(v.d.logged("cannot save state", "no space left on device")) > 0
	})
	before := keys.files()
	for _, args := range [][]string{
		{"rotate", "--keys", v.keys, "--resolver", v.nameserver(), "--timeout", "2s", "full.example"},
		{"keygen", "--keys", v.keys, "--type", "ed25519", "new.example"},
	} {
		out, err := v.companion(args...).CombinedOutput()
		exit := new(exec.ExitError)
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "no space left on device\nsignpost: hint: make room") {
			t.Errorf("%s: %v\n%s", args[0], err, out)
		}
		if after := keys.files(); !slices.Equal(after, before) {
			// A folder is no key.
			after = slices.DeleteFunc(after, func(name string) bool { return name == "/full.example" || name == "/new.example" })
			if !slices.Equal(after, before) {
				t.Errorf("%s leaves %q, there was %q", args[0], after, before)
			}
		}
	}
	if left := state.files(); !slices.Equal(left, []string{"", "/.filler"}) {
		t.Errorf("the state directory has %q", left)
	}
	s.awaitMore(5)
	room := time.Now()
	v.must(os.Remove(state.filler()))
	await(t, "the state to be saved", func() bool { return len(v.d.logged("state is saved again")) > 0 })
	recovered := time.Since(room)
	all, refused := s.finish()
	v.report("full disks", s, all, len(refused), recovered)
	v.d.signal(syscall.SIGTERM)
	await(t, "signpostd to end", v.d.ended)

	keys.fill(1)
	v.d = v.startDaemon("DKIM_AUTOGENERATE=yes", "ALLOWED_SENDER_DOMAINS=full.example key.example none.example")
	for _, line := range [][]string{
		{"new key made", "domain=key.example"},
		{"cannot write the record of a key", "domain=key.example", "no space left on device", "make room"},
		{"cannot make a key", "domain=none.example", "no space left on device"},
		{"mail is deferred until there is a usable key", "domain=none.example"},
	} {
		if len(v.d.logged(line...)) == 0 {
			t.Errorf("no %q in the log", line)
		}
	}
	for _, domain := range []string{"full.example", "key.example"} {
		p.mustSubmit("a@"+domain, "reader@rcpt.test", letter("a@"+domain, domain))
		if message := v.awaitDelivery(domain); len(signatureFields(message)) != 1 {
			t.Errorf("not signed:\n%s", message)
		}
	}
	if left := keys.files(); slices.ContainsFunc(left, func(name string) bool {
		return strings.Contains(name, "none.example") || strings.Contains(name, "key.example.txt") ||
			strings.HasPrefix(filepath.Base(name), ".key")
	}) {
		t.Errorf("half written: %q", left)
	}
}
