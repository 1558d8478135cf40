package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gomilter "github.com/d--j/go-milter"
	"golang.org/x/sys/unix"

	"signpost/keystore"
)

// manager does what systemd does for a service: it has the sockets, passes them, listens
// to what the service says of itself, and keeps what it stores.
type manager struct {
	*testing.T
	dir    string
	notify *net.UnixConn
	said   chan string

	mu     sync.Mutex
	passed []*os.File
	names  []string
}

func newManager(t *testing.T) *manager {
	m := &manager{T: t, dir: t.TempDir(), said: make(chan string, 1000)}
	var err error
	m.notify, err = net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.dir, "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.notify.Close() })
	go m.listen()
	return m
}

// socket opens a socket that will be passed by the name.
func (m *manager) socket(name string) (path string) {
	m.Helper()
	path = filepath.Join(m.dir, name)
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { ln.Close() })
	file, err := ln.File()
	if err != nil {
		m.Fatal(err)
	}
	m.pass(file, name)
	return path
}

func (m *manager) pass(file *os.File, name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.Cleanup(func() { file.Close() })
	m.passed, m.names = append(m.passed, file), append(m.names, name)
}

// listen takes what a service says: what it stores is passed to the next.
func (m *manager) listen() {
	data, rights := make([]byte, 4096), make([]byte, 4096)
	for {
		n, o, _, _, err := m.notify.ReadMsgUnix(data, rights)
		if err != nil {
			return
		}
		said := string(data[:n])
		messages, _ := unix.ParseSocketControlMessage(rights[:o])
		for _, message := range messages {
			fds, _ := unix.ParseUnixRights(&message)
			for _, fd := range fds {
				file := os.NewFile(uintptr(fd), "stored")
				if _, name, found := strings.Cut(said, "FDSTORE=1\nFDNAME="); found {
					m.pass(file, name)
				} else {
					file.Close() // a barrier
				}
			}
		}
		if _, name, found := strings.Cut(said, "FDSTOREREMOVE=1\nFDNAME="); found {
			m.forget(name)
		}
		m.said <- said
	}
}

func (m *manager) forget(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.Index(m.names, name); i >= 0 {
		m.passed[i].Close()
		m.passed, m.names = slices.Delete(m.passed, i, i+1), slices.Delete(m.names, i, i+1)
	}
}

// hears waits for something to be said, and returns it.
func (m *manager) hears(text string) string {
	m.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case said := <-m.said:
			if strings.Contains(said, text) {
				return said
			}
		case <-deadline:
			m.Fatalf("not said: %s", text)
		}
	}
}

// start starts signpostd as systemd does, which knows its process id only then.
func (m *manager) start(args ...string) *process {
	m.Helper()
	log, err := os.OpenFile(filepath.Join(m.dir, "log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		m.Fatal(err)
	}
	defer log.Close()
	m.mu.Lock()
	defer m.mu.Unlock()
	daemon := exec.Command("sh", append([]string{"-c", `LISTEN_PID=$$ exec "$@"`, "sh",
		filepath.Join(filepath.SplitList(os.Getenv("PATH"))[0], "signpostd")}, args...)...)
	daemon.Env = append(os.Environ(), "NOTIFY_SOCKET="+filepath.Join(m.dir, "notify"), "FDSTORE=10",
		fmt.Sprintf("LISTEN_FDS=%d", len(m.passed)), "LISTEN_FDNAMES="+strings.Join(m.names, ":"))
	daemon.ExtraFiles = slices.Clone(m.passed)
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		m.Fatal(err)
	}
	m.Cleanup(func() { daemon.Process.Kill(); daemon.Wait() })
	return &process{daemon, m.T, log.Name()}
}

// A start, a reload and a restart under systemd. Nothing is said to be ready before it
// is, and a session goes on over the restart, in the next process.
func TestSystemd(t *testing.T) {
	m := newManager(t)
	socket, page := m.socket("milter"), m.socket("http")
	keys := filepath.Join(m.dir, "keys")
	if err := os.Mkdir(keys, 0o755); err != nil {
		t.Fatal(err)
	}
	args := []string{"--keys", keys, "--dns-check=off", "--confine=require"}
	first := m.start(args...)
	if said := m.hears("READY=1"); !strings.Contains(said, "STATUS=no key yet in "+keys) {
		t.Errorf("got %q", said)
	}
	first.await(`in place of --listen`)
	first.await(`msg="status page" addr=unix:` + page)
	first.await("msg=listening addr=unix:" + socket)

	keyFor(t, keys)
	if err := first.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if said := m.hears("RELOADING=1"); !strings.Contains(said, "\nMONOTONIC_USEC=") {
		t.Errorf("got %q", said)
	}
	m.hears("READY=1\nSTATUS=signs for 1 domain")

	session, err := gomilter.NewClient("unix", socket, gomilter.WithActions(gomilter.OptAddHeader)).Session(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	sign := func() {
		t.Helper()
		if _, err := session.Mail("<a@example.org>", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := session.Rcpt("<b@example.net>", ""); err != nil {
			t.Fatal(err)
		}
		if _, err := session.DataStart(); err != nil {
			t.Fatal(err)
		}
		if _, err := session.HeaderField("From", " a@example.org", nil); err != nil {
			t.Fatal(err)
		}
		if _, err := session.HeaderEnd(); err != nil {
			t.Fatal(err)
		}
		if _, err := session.BodyChunk([]byte("x")); err != nil {
			t.Fatal(err)
		}
		if changes, _, err := session.End(); err != nil || len(changes) != 1 {
			t.Fatalf("%v, %v", changes, err)
		}
	}
	if _, err := session.Conn("client.example", gomilter.FamilyInet, 1025, "127.0.0.1"); err != nil {
		t.Fatal(err)
	}
	if _, err := session.Helo("client.example"); err != nil {
		t.Fatal(err)
	}
	sign()
	if err := first.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	m.hears("STOPPING=1")
	m.hears("FDSTORE=1")
	if err := first.Wait(); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	first.await(`msg="sessions handed over to the next signpostd" sessions=1`)
	for _, file := range []string{socket, page} {
		if _, err := os.Stat(file); err != nil {
			t.Errorf("a socket of systemd is gone: %v", err)
		}
	}

	second := m.start(args...)
	m.hears("FDSTOREREMOVE=1")
	m.hears("READY=1")
	second.await(`msg="sessions go on" sessions=1`)
	sign()
}

// Mail that must be signed and cannot be is no reason to keep the boot waiting: the
// status says it.
func TestSystemdNotReady(t *testing.T) {
	t.Parallel()
	m := newManager(t)
	m.socket("milter")
	d := m.start("--keys", m.dir, "--dns-check=off", "--domains=example.org")
	if said := m.hears("STATUS="); said != "STATUS=there is no usable key; hint: put one into the key directory, it is loaded at once" {
		t.Errorf("got %q", said)
	}
	keyFor(t, m.dir)
	m.hears("READY=1\nSTATUS=signs for 1 domain")
	d.await("msg=listening")
}

// What systemd passes by mistake is an error that says what to do.
func TestSystemdWrongSockets(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"signpostd.socket": `signpostd: error: a socket is passed with the name "signpostd.socket"; hint: write FileDescriptorName=milter or http into its unit`,
		"http":             `signpostd: error: two sockets are passed with the name "http"`,
		"milter":           `signpostd: error: the socket "milter" that is passed: `,
	} {
		m := newManager(t)
		switch m.socket(name); name {
		case "http":
			m.pass(m.passed[0], "http")
		case "milter":
			datagrams, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(m.dir, "d"), Net: "unixgram"})
			if err != nil {
				t.Fatal(err)
			}
			file, err := datagrams.File()
			datagrams.Close()
			if err != nil {
				t.Fatal(err)
			}
			m.pass(file, "milter")
		}
		d := m.start("--keys", m.dir)
		d.await(want)
		if err := d.Wait(); err == nil {
			t.Errorf("%s: it has started", name)
		}
	}
}

// keyFor makes a key of example.org in a key directory.
func keyFor(t *testing.T, dir string) {
	t.Helper()
	order := keystore.Order{Domain: "example.org", Selector: "mail", Algorithm: keystore.Ed25519, Flat: true}
	if _, err := keystore.Make(dir, order); err != nil {
		t.Fatal(err)
	}
}
