package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"signpost/test/lab"
)

// removalGrace is that of the daemons of tests: see launchDaemon.
const removalGrace = time.Second

// vanished are the domains of the streams here: with a flat key, and with a folder.
var vanished = []string{"flat.example", "folder.example"}

// A vanishing is a stream of mail from two domains while their keys are away.
type vanishing struct {
	*world
	d *daemon
}

func (v *vanishing) must(errs ...error) {
	v.t.Helper()
	if err := errors.Join(errs...); err != nil {
		v.t.Fatal(err)
	}
}

func (v *vanishing) move(from, to string) { v.t.Helper(); v.must(os.Rename(from, to)) }

// inDaemon runs a command in the mount namespace of the daemon.
func (v *vanishing) inDaemon(command ...string) {
	v.t.Helper()
	v.run("nsenter", append([]string{"-m", "-t", fmt.Sprint(v.d.cmd.Process.Pid)}, command...)...)
}

// folder is where the key of folder.example is, and aside where it is moved.
func (v *vanishing) folder() string { return filepath.Join(v.keys, "folder.example") }
func (v *vanishing) aside() string  { return filepath.Join(v.dir, "aside") }

// Keys go away under a stream of mail, for longer than the grace period, and come back.
// Every message is signed all the time.
func TestKeysVanishUnderMail(t *testing.T) {
	t.Parallel()
	const held, unreadable = `msg="keys missing, and held in force"`, `msg="keys not reloaded, those in force stay"`
	for _, fault := range []struct {
		name    string
		prepare func(*vanishing) // before the daemon starts
		begin   func(*vanishing)
		logged  string
		end     func(*vanishing)
	}{
		{"moved away", nil,
			func(v *vanishing) { v.move(v.keys, v.aside()) }, unreadable,
			func(v *vanishing) { v.move(v.aside(), v.keys) }},
		{"unmounted", func(v *vanishing) {
			v.move(v.keys, v.aside())
			store := filepath.Join(v.dir, "store")
			v.must(os.Mkdir(v.keys, 0o755), os.Mkdir(store, 0o755), syscall.Mount("tmpfs", store, "tmpfs", 0, "mode=0755"),
				os.CopyFS(store, os.DirFS(v.aside())), syscall.Mount(store, v.keys, "", syscall.MS_BIND, ""))
			v.t.Cleanup(func() { v.must(syscall.Unmount(v.keys, 0), syscall.Unmount(store, 0)) })
		},
			func(v *vanishing) { v.inDaemon("umount", v.keys) }, held,
			func(v *vanishing) { v.inDaemon("mount", "--bind", filepath.Join(v.dir, "store"), v.keys) }},
		{"unreadable", nil,
			func(v *vanishing) { v.must(os.Chmod(v.keys, 0)) }, unreadable,
			func(v *vanishing) { v.must(os.Chmod(v.keys, 0o755)) }},
		{"replaced by an empty one", nil,
			func(v *vanishing) { v.move(v.keys, v.aside()); v.must(os.Mkdir(v.keys, 0o755)) }, held,
			func(v *vanishing) { v.must(os.Remove(v.keys)); v.move(v.aside(), v.keys) }},
		{"targets of symlinks gone", func(v *vanishing) {
			outside := filepath.Join(v.dir, "outside")
			v.move(v.keys, outside)
			v.must(os.Mkdir(v.keys, 0o755))
			for _, name := range []string{"flat.example.private", "folder.example"} {
				v.must(os.Symlink(filepath.Join(outside, name), filepath.Join(v.keys, name)))
			}
		},
			func(v *vanishing) { v.move(filepath.Join(v.dir, "outside"), v.aside()) }, `msg="key broken"`,
			func(v *vanishing) { v.move(v.aside(), filepath.Join(v.dir, "outside")) }},
		{"folder flaps", nil,
			func(v *vanishing) { // for longer than the grace period
				for stop := time.Now().Add(3 * removalGrace); time.Now().Before(stop); time.Sleep(15 * time.Millisecond) {
					v.move(v.folder(), v.aside())
					time.Sleep(85 * time.Millisecond)
					v.move(v.aside(), v.folder())
				}
			}, "",
			func(*vanishing) {}},
	} {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			v := &vanishing{world: newWorld(t)}
			v.addKey("rsa", "flat.example.private", rsaSignature("flat.example", "mail"))
			v.addKey("rsa", "folder.example/s1.private", rsaSignature("folder.example", "s1"))
			if fault.prepare != nil {
				fault.prepare(v)
			}
			grace := removalGrace
			if fault.name == "folder flaps" { // a busy machine may notice nothing for a second
				grace *= 2
			}
			v.d = v.startDaemon("--removal-grace=" + grace.String())
			p := v.startPostfix(v.milterAddr())
			s := p.startStream(2, vanished...)
			s.awaitMore(5)
			begin := time.Now()
			fault.begin(v)
			await(t, "the daemon to notice", func() bool { return len(v.d.logged(fault.logged)) > 0 })
			time.Sleep(time.Until(begin.Add(2*removalGrace + removalGrace/2)))
			s.awaitMore(5)
			fault.end(v)

			// All is as before: a new key is in force soon.
			back := time.Now()
			v.dropKey("new.example.private", newKey(t, "ed25519"))
			await(t, "a new key", func() bool { return len(v.d.logged(`msg="key added"`, "new.example")) > 0 })
			recovered := time.Since(back)
			s.awaitMore(5)
			all, refused := s.finish()
			v.report(fault.name, s, all, len(refused), recovered)
			if found := v.d.logged("key removed"); len(found) > 0 {
				t.Errorf("a key was dropped: %s", found[0])
			}
		})
	}
}

// report counts at both ends and logs one line.
func (v *vanishing) report(fault string, s *stream, all []received, refused int, recovered time.Duration) {
	v.t.Helper()
	var data [][]byte
	var longest time.Duration
	unsigned, bad := 0, 0
	for _, m := range all {
		data = append(data, m.data)
		longest = max(longest, m.ended.Sub(m.begun))
		if len(signatureFields(m.data)) == 0 {
			unsigned++
		}
	}
	for _, verdict := range v.judge(data, v.verifiers()[:1]) {
		if verdict.result != "pass" {
			bad++
		}
	}
	sent, _ := s.counts()
	v.t.Logf("fault=%q sent=%d received=%d unsigned=%d bad=%d lost=%d deferred=%d longest=%dms recovered=%dms memory=%dKiB",
		fault, sent, len(all), unsigned, bad, sent-len(all), refused, longest.Milliseconds(),
		recovered.Milliseconds(), v.d.memoryKB("VmHWM"))
	if unsigned+bad+refused != 0 || sent != len(all) {
		v.t.Error("not every message was signed and arrived")
	}
}

// One key is deleted under mail: it no longer signs when the grace period is over, and the
// other one does all the time.
func TestDeletedKeyEndsUnderMail(t *testing.T) {
	t.Parallel()
	v := &vanishing{world: newWorld(t)}
	for _, domain := range []string{"stays.example", "removed.example", "archived.example"} {
		v.addKey("rsa", domain+".private", rsaSignature(domain, "mail"))
	}
	v.d = v.startDaemon()
	p := v.startPostfix(v.milterAddr())
	s := p.startStream(1, "stays.example")
	s.awaitMore(5)
	begin := time.Now()
	v.removeKey("removed.example.private")
	v.run("setpriv", "--reuid", fmt.Sprint(daemonUser), "--regid", fmt.Sprint(daemonUser), "--clear-groups",
		lab.Programs()+"/signpost", "keys", "--keys", v.keys, "--remove", "--now", "archived.example")
	for _, domain := range []string{"removed.example", "archived.example"} {
		await(t, "the end of the key of "+domain, func() bool { return len(v.d.logged("key removed", "domain="+domain)) > 0 })
	}
	took := time.Since(begin)
	if took < removalGrace {
		t.Errorf("the keys were dropped after %v", took)
	}
	t.Logf("dropped after %v, with a grace of %v", took, removalGrace)
	p.mustSubmit("a@removed.example", "reader@rcpt.test", letter("a@removed.example", "removed"))
	if message := v.awaitDelivery("removed"); len(signatureFields(message)) > 0 {
		t.Errorf("the deleted key signs:\n%s", message)
	}
	s.awaitMore(5)
	s.end()
	for _, m := range v.sink.All() {
		if subject(m.Data) != "removed" && len(signatureFields(m.Data)) != 1 {
			t.Errorf("not signed:\n%s", m.Data)
		}
	}
}
