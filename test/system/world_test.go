package system

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/test/lab"
	"signpost/test/lab/nameserver"
)

// patience bounds every wait for something that should happen soon. It is a
// bound for broken software on a busy machine, not a measure.
const patience = 90 * time.Second

// A world is what one test has for itself: a folder, addresses, DNS, a
// receiving sink and a key directory.
type world struct {
	t    testing.TB
	dir  string // readable by everyone
	net  string // 127.1.N: Postfix is at .1, the daemon at .8, the sink at .25, the DNS at .53
	dns  *nameserver.Zone
	sink *lab.Sink
	keys string // the key directory
	logs []string

	services string // lines of master.cf beside the stock ones; set before startPostfix
}

// newWorld makes a world that ends with the test. Mail for rcpt.test and the
// domains below it arrives in its sink.
func newWorld(t testing.TB) *world {
	t.Helper()
	openSources(t, "../..")
	dir, err := os.MkdirTemp(lab.Files(), "w")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: dir, keys: filepath.Join(dir, "keys")}
	t.Cleanup(func() {
		if t.Failed() {
			w.showLogs()
		}
		os.RemoveAll(dir)
	})
	for n := 1; w.dns == nil; n++ {
		if n > 250 {
			t.Fatal("no free addresses in 127.1.0.0/16")
		}
		w.net = fmt.Sprintf("127.1.%d", n)
		w.dns = w.serveZone(".53")
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w.write("resolv.conf", "nameserver "+w.nameserver()+"\n")
	w.addAddress(w.net + ".1") // Postfix wants to find its own on an interface
	if w.sink, err = lab.StartSink(w.net + ".25:25"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.sink.Stop)
	w.dns.Publish(t, "test", fmt.Sprintf("rcpt IN MX 10 mx.rcpt\nmx.rcpt IN A %s.25\n", w.net))
	if err := os.Mkdir(w.keys, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(w.keys, daemonUser, daemonUser); err != nil {
		t.Fatal(err)
	}
	return w
}

// serveZone serves an empty zone on port 53 of an address of the world until the
// test ends. It returns nil when the address is taken.
func (w *world) serveZone(host string) *nameserver.Zone {
	zone := new(nameserver.Zone)
	server, err := nameserver.Start(w.net+host+":53", zone)
	if err != nil {
		return nil
	}
	w.t.Cleanup(server.Stop)
	return zone
}

// nameserver is the IP address of the world's DNS.
func (w *world) nameserver() string { return w.net + ".53" }

// openSources opens every folder of the module. `go test` keeps the result of
// a test until something that it opened changes, and would not know otherwise
// that the daemon is part of the test.
func openSources(t testing.TB, root string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// addAddress gives the loopback interface an address until the test ends.
func (w *world) addAddress(ip string) {
	w.t.Helper()
	w.run("ip", "address", "add", ip+"/32", "dev", "lo")
	w.t.Cleanup(func() { w.run("ip", "address", "del", ip+"/32", "dev", "lo") })
}

// write makes a file in the world's folder and returns its path.
func (w *world) write(name, content string) string {
	w.t.Helper()
	path := filepath.Join(w.dir, name)
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// command prepares a command that sees the world's DNS: it gets its own
// mount namespace, with the world's resolv.conf in place.
func (w *world) command(name string, args ...string) *exec.Cmd {
	inWorld := []string{"-c", `mount --bind "$0" /etc/resolv.conf && exec "$@"`, w.dir + "/resolv.conf", name}
	cmd := exec.Command("sh", append(inWorld, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	return cmd
}

// run runs a command in the world to its end and returns its output; it must
// succeed.
func (w *world) run(name string, args ...string) string {
	w.t.Helper()
	out, err := w.command(name, args...).CombinedOutput()
	if err != nil {
		w.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// showLogs puts the end of every log into the test's output.
func (w *world) showLogs() {
	for _, path := range w.logs {
		content, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		lines := bytes.Split(bytes.TrimRight(content, "\n"), []byte("\n"))
		lines = lines[max(0, len(lines)-30):]
		w.t.Logf("end of %s:\n%s", filepath.Base(path), bytes.Join(lines, []byte("\n")))
	}
}

// await waits until cond holds, and fails the test when it does not.
func await(t testing.TB, what string, cond func() bool) {
	t.Helper()
	awaitFor(t, patience, what, cond)
}

func awaitFor(t testing.TB, limit time.Duration, what string, cond func() bool) {
	t.Helper()
	if !lab.Wait(limit, cond) {
		t.Fatalf("waited %v for %s", limit, what)
	}
}
