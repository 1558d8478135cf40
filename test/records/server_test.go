package records

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// tsigSecret is that of the key "signpost", by HMAC-SHA256.
const tsigSecret = "dGhpcyBpcyBubyBzZWNyZXQsIGJ1dCBhIHRlc3Q="

// servers start a primary server of a zone that takes updates: from this host,
// or only with the key.
var servers = map[string]func(t *testing.T, zone, file string, keyed bool) (port int){
	"named": startNamed,
	"knotd": startKnot,
}

func startNamed(t *testing.T, zone, file string, keyed bool) int {
	who := "127.0.0.1"
	if keyed {
		who = "key signpost"
	}
	dir, port := t.TempDir(), freePort(t)
	config := write(t, dir, "named.conf", fmt.Sprintf(`
options {
	directory %q;
	listen-on port %d { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	recursion no;
	dnssec-validation no;
	notify no;
};
controls { };
key signpost { algorithm hmac-sha256; secret %q; };
zone %q { type primary; file %q; allow-update { %s; }; allow-transfer { 127.0.0.1; }; };
`, dir, port, tsigSecret, zone, file, who))
	start(t, ` running$`, "named", "-g", "-n", "1", "-p", fmt.Sprint(port), "-c", config)
	return port
}

func startKnot(t *testing.T, zone, file string, keyed bool) int {
	who := "address: 127.0.0.1"
	if keyed {
		who = "key: signpost"
	}
	dir, port := t.TempDir(), freePort(t)
	config := write(t, dir, "knot.conf", fmt.Sprintf(`
server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]d
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %[1]q
log:
  - target: stdout
    any: info
key:
  - id: signpost
    algorithm: hmac-sha256
    secret: %[6]s
acl:
  - id: here
    address: 127.0.0.1
    action: transfer
  - id: updates
    %[5]s
    action: update
zone:
  - domain: %[3]s
    file: %[4]q
    acl: [here, updates]
`, dir, port, zone, file, who, tsigSecret))
	start(t, `server started`, "knotd", "-c", config)
	return port
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// freePort returns a port of 127.0.0.1 that is free for TCP and UDP.
func freePort(t *testing.T) int {
	t.Helper()
	for range 100 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.1:%d", port))
		tcp.Close()
		if err == nil {
			udp.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// start starts a server and waits until it has logged that it serves.
func start(t *testing.T, serves, name string, args ...string) {
	t.Helper()
	says := regexp.MustCompile(serves)
	command := exec.Command(name, args...)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = in, in
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	var mu sync.Mutex
	var log strings.Builder
	ready, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		found := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			mu.Lock()
			fmt.Fprintln(&log, lines.Text())
			mu.Unlock()
			if !found && says.MatchString(lines.Text()) {
				found = true
				close(ready)
			}
		}
	}()
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
		<-ended
		out.Close()
		if t.Failed() {
			t.Logf("%s:\n%s", name, log.String())
		}
	})
	select {
	case <-ready:
	case <-ended:
		t.Fatalf("%s did not start", name)
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not serve", name)
	}
}
