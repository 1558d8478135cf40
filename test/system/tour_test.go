package system

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/test/lab"
	"signpost/test/lab/console"
)

// TestTourOfTheReadme does what the README says under "A new domain": each
// command is run as it stands there, and must print what stands there, where
// "…" stands for anything. Between the commands it does what the text asks a
// user for: it publishes the records, and saves the message that arrived.
func TestTourOfTheReadme(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	blocks, err := console.Read("../../README.md", "## A new domain")
	if err != nil {
		t.Fatal(err)
	}
	tour := w.newTour()

	// The domain as it is before: its host receives mail, and has a name.
	const host = "203.0.113.25"
	w.addAddress(host)
	w.dns.Publish(t, "example.org", "@ IN MX 10 mail\nmail IN A "+host+"\n")
	w.dns.Publish(t, "113.0.203.in-addr.arpa", "25 IN PTR mail.example.org.\n")
	w.dns.Publish(t, "example.com", fmt.Sprintf("@ IN MX 10 mx\nmx IN A %s.25\n", w.net))

	ran := make(map[string]int)
	for _, step := range slices.Concat(blocks...) {
		got := tour.run(step.Command)
		if !step.Matches(got) {
			t.Errorf("$ %s\nprinted\n%s\nand the README says\n%s", step.Command, got, step.Output)
		}
		verb := strings.Fields(step.Command)[1]
		ran[verb]++
		switch verb {
		case "keygen":
			w.startDaemon()
			tour.listen(w.startPostfix(w.milterAddr(), "myhostname = mail.example.org", "smtp_bind_address = "+host))
		case "dns":
			w.dns.Publish(t, "example.org", tour.run(step.Command+" --format zone"))
		case "send":
			await(t, "the message to arrive", func() bool { return len(w.sink.All()) > 0 })
			arrived := w.sink.All()[0]
			made := signatures(arrived.Data)
			if len(made) != 1 {
				t.Fatalf("the message has %d signatures", len(made))
			}
			w.mustVerify(arrived.Data, rsaSignature("example.org", made[0].selector))
			tour.write("message.eml", withTrace(arrived))
		}
	}
	for _, verb := range []string{"keygen", "dns", "check", "send", "verify"} {
		if ran[verb] == 0 {
			t.Errorf("the tour has no signpost %s", verb)
		}
	}
}

// A tour is the terminal of a user.
type tour struct {
	w   *world
	dir string
}

func (w *world) newTour() *tour {
	t := &tour{w, filepath.Join(w.dir, "home")}
	if err := os.Mkdir(t.dir, 0o755); err != nil {
		w.t.Fatal(err)
	}
	return t
}

func (t *tour) write(name string, data []byte) {
	t.w.t.Helper()
	if err := os.WriteFile(filepath.Join(t.dir, name), data, 0o644); err != nil {
		t.w.t.Fatal(err)
	}
}

// run gives a line to the shell and returns what it prints. Keys are in the
// world's directory, which goes by the name of the usual one.
func (t *tour) run(line string) string {
	cmd := t.w.command("sh", "-c", line)
	cmd.Dir = t.dir
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "PATH=") })
	cmd.Env = append(env, "PATH="+lab.Programs()+":"+os.Getenv("PATH"), "SIGNPOST_KEYS="+t.w.keys)
	out, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.w.t.Fatalf("%s: %v", line, err)
	}
	return strings.ReplaceAll(string(out), t.w.keys, "/etc/opendkim/keys")
}

// listen lets Postfix be reached where a user's own is: at localhost:587. No
// other test uses that address.
func (t *tour) listen(p *postfix) {
	t.w.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:587")
	if err != nil {
		t.w.t.Fatal(err)
	}
	t.w.t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				inner, err := net.Dial("tcp", p.addr)
				if err != nil {
					return
				}
				defer inner.Close()
				go io.Copy(inner, conn)
				io.Copy(conn, inner)
			}()
		}
	}()
}

// withTrace returns the message with what a receiver puts on top of it.
func withTrace(d lab.Delivery) []byte {
	return append(fmt.Appendf(nil, "Return-Path: <%s>\r\nReceived: from %s (%s [%s])\r\n\tby mx.example.com with ESMTP; %s\r\n",
		d.From, d.Helo, d.Helo, d.Client, time.Now().Format(time.RFC1123Z)), d.Data...)
}
