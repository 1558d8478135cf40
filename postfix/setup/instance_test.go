package setup

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/postfix"
	"signpost/test/lab/nameserver"
)

// instance is a Postfix of its own, running on ports 25 and 587.
type instance struct {
	dir string
	mu  sync.Mutex
	log strings.Builder
}

// startPostfix writes a configuration with the package under test, over Debian's
// own main.cf and master.cf, and starts Postfix on it. It is stopped at the end
// of the test.
func startPostfix(t *testing.T, vars map[string]string, request Request) *instance {
	t.Helper()
	root, err := os.MkdirTemp("", "postfix") // t.TempDir is closed to the user postfix
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	i := &instance{dir: filepath.Join(root, "etc")}
	for _, dir := range []string{"etc", "queue", "data"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	chownToPostfix(t, filepath.Join(root, "data"))
	copyFile(t, "/usr/share/postfix/main.cf.debian", filepath.Join(i.dir, "main.cf"))
	copyFile(t, "/usr/share/postfix/master.cf.dist", filepath.Join(i.dir, "master.cf"))
	all := map[string]string{
		"POSTFIX_myhostname":      "mta.example.org",
		"POSTFIX_queue_directory": filepath.Join(root, "queue"),
		"POSTFIX_data_directory":  filepath.Join(root, "data"),
	}
	for name, value := range vars {
		all[name] = value
	}
	request.Dir = i.dir
	writeConfig(t, all, request)
	i.start(t)
	return i
}

// start runs Postfix and returns when it listens.
func (i *instance) start(t *testing.T) {
	t.Helper()
	command := exec.Command("postfix", "-c", i.dir, "start-fg")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stdout, command.Stderr = in, in
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	up := make(chan bool, 1)
	go func() {
		defer close(up)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			i.mu.Lock()
			i.log.WriteString(lines.Text() + "\n")
			i.mu.Unlock()
			if strings.Contains(lines.Text(), "daemon started") {
				up <- true
			}
		}
	}()
	t.Cleanup(func() {
		if err := exec.Command("postfix", "-c", i.dir, "stop").Run(); err != nil {
			t.Errorf("stopping postfix: %v", err)
		}
		command.Wait()
		for range up { // its log ends with the last of its processes
		}
		out.Close()
		if t.Failed() {
			t.Logf("log of postfix:\n%s", i.logged())
		}
	})
	if !<-up {
		t.Fatalf("postfix did not start:\n%s", i.logged())
	}
}

func (i *instance) logged() string {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.log.String()
}

// writeConfig is what "signpost postfix write" does. The files get an older
// time, for Postfix waits until a fresh file has cooled down.
func writeConfig(t *testing.T, vars map[string]string, request Request) {
	t.Helper()
	dir, err := postfix.Open(request.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if request.Milter == "" {
		request.Milter = "inet:127.0.0.1:8891"
	}
	wanted, err := FromVariables(vars, dir.Main, request, ThisMachine(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	change, err := wanted.Change(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := change.Write(); err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(request.Dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		old := time.Now().Add(-time.Hour)
		if err := os.Chtimes(filepath.Join(request.Dir, entry.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
}

func chownToPostfix(t *testing.T, path string) {
	t.Helper()
	owner, err := user.Lookup("postfix")
	if err != nil {
		t.Fatalf("%v; hint: run make setup", err)
	}
	uid, _ := strconv.Atoi(owner.Uid)
	gid, _ := strconv.Atoi(owner.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		t.Fatal(err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatalf("%v; hint: run make setup", err)
	}
	if err := os.WriteFile(to, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// send hands a message to a port and returns the last reply, or the first that
// refuses.
func send(t *testing.T, port int, from, to string) string {
	t.Helper()
	conn, err := textproto.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if reply, err := reply(conn); err != nil {
		return reply
	}
	utf8 := ""
	for _, r := range from {
		if r >= 0x80 {
			utf8 = " SMTPUTF8"
		}
	}
	message := "DATA"
	for _, line := range []string{
		"EHLO client.example.org", "MAIL FROM:<" + from + ">" + utf8, "RCPT TO:<" + to + ">", message,
		"Subject: test\r\n\r\nhello\r\n.",
	} {
		conn.PrintfLine("%s", line)
		if got, err := reply(conn); err != nil || line[0] == 'S' {
			return got
		}
	}
	return ""
}

// reply reads a reply; the error says that it refuses.
func reply(conn *textproto.Conn) (string, error) {
	code, text, err := conn.ReadResponse(0)
	if err != nil {
		return err.Error(), err
	}
	text = fmt.Sprintf("%d %s", code, text)
	if code >= 400 {
		return text, fmt.Errorf("%s", text)
	}
	return text, nil
}

// serveDNS answers on 127.0.0.53:53: example.net exists, nothing else does.
func serveDNS(t *testing.T) {
	t.Helper()
	server, err := nameserver.Start("127.0.0.53:53", nameserver.NewZone(t, "example.net. A 127.0.0.1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
}

// serveMilter takes everything on 127.0.0.1:8891, and tells of each message.
func serveMilter(t *testing.T) <-chan bool {
	t.Helper()
	messages := make(chan bool, 100)
	serve(t, "127.0.0.1:8891", func(conn net.Conn) {
		for {
			var length uint32
			if binary.Read(conn, binary.BigEndian, &length) != nil || length == 0 || length > 1<<20 {
				return
			}
			frame := make([]byte, length)
			if _, err := io.ReadFull(conn, frame); err != nil {
				return
			}
			switch frame[0] {
			case 'O': // version 6, no changes, leave out all steps but the last
				conn.Write([]byte{0, 0, 0, 13, 'O', 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0x03, 0x7f})
			case 'E':
				messages <- true
				conn.Write([]byte{0, 0, 0, 1, 'a'})
			case 'Q':
				return
			}
		}
	})
	return messages
}

// serveNextHop takes all mail on 127.0.0.1:2525, and tells of each sender and
// of each login. It offers one, but does not ask for it.
func serveNextHop(t *testing.T) (senders, logins chan string) {
	t.Helper()
	senders, logins = make(chan string, 100), make(chan string, 100)
	serve(t, "127.0.0.1:2525", func(conn net.Conn) {
		text := textproto.NewConn(conn)
		text.PrintfLine("220 next.example.net ESMTP")
		for {
			line, err := text.ReadLine()
			switch {
			case err != nil:
				return
			case strings.HasPrefix(line, "EHLO"):
				text.PrintfLine("250-next.example.net\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8")
			case strings.HasPrefix(line, "AUTH PLAIN "):
				login, _ := base64.StdEncoding.DecodeString(line[len("AUTH PLAIN "):])
				logins <- string(login)
				text.PrintfLine("235 2.7.0 welcome")
			case strings.HasPrefix(line, "MAIL FROM:"):
				senders <- line[len("MAIL FROM:<"):strings.Index(line, ">")]
				text.PrintfLine("250 2.1.0 ok")
			case line == "DATA":
				text.PrintfLine("354 go on")
				if _, err := text.ReadDotBytes(); err != nil {
					return
				}
				text.PrintfLine("250 2.0.0 taken")
			case line == "QUIT":
				text.PrintfLine("221 2.0.0 bye")
				return
			default:
				text.PrintfLine("250 2.0.0 ok")
			}
		}
	})
	return senders, logins
}

func serve(t *testing.T, address string, handle func(net.Conn)) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				handle(conn)
			}()
		}
	}()
}
