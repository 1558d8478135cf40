// Package redistest starts Redis servers for tests: Debian's redis-server, each a process
// of its own on a free port, with its files in a folder of the test.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/redis/internal/resp"
)

// patience is how long something may take on a loaded machine.
const patience = 30 * time.Second

// Server is a redis-server that ends with its test.
type Server struct {
	Addr     string // 127.0.0.1:PORT
	Dir      string
	args     []string
	tls      *Certificates
	password string // that Do gives
	cmd      *exec.Cmd
	log      *bytes.Buffer
	done     chan struct{}
}

// Start starts a server with further arguments, as "--requirepass", "secret".
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	return start(t, Server{args: args})
}

// StartTLS starts a server that speaks TLS alone, with these certificates.
func StartTLS(t testing.TB, certificates *Certificates, args ...string) *Server {
	t.Helper()
	return start(t, Server{args: args, tls: certificates})
}

// start starts a server with the settings of another.
func start(t testing.TB, like Server) *Server {
	t.Helper()
	s := &Server{Dir: t.TempDir(), args: like.args, tls: like.tls, password: like.password, log: new(bytes.Buffer)}
	t.Cleanup(func() { s.Kill() })
	// The port may be gone when the server wants it.
	for range 5 {
		s.Addr = freeAddr(t)
		if s.run(t) {
			return s
		}
	}
	t.Fatalf("redis-server does not start: %s", s.log.String())
	return nil
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// program returns redis-server. Debian's package redis-tools has it under another name, and
// without a service that starts by itself.
func program(t testing.TB) (path, name string) {
	t.Helper()
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path, "redis-server"
	}
	path, err := exec.LookPath("redis-check-rdb")
	if err != nil {
		t.Fatal("redis-server is not installed: make setup does that")
	}
	return path, "redis-server"
}

// run starts the process and reports whether it answers.
func (s *Server) run(t testing.TB) bool {
	t.Helper()
	_, port, _ := net.SplitHostPort(s.Addr)
	args := []string{"--bind", "127.0.0.1", "--dir", s.Dir, "--save", "", "--appendonly", "no",
		"--daemonize", "no", "--databases", "16", "--repl-diskless-sync-delay", "0"}
	if s.tls != nil {
		args = append(args, "--port", "0", "--tls-port", port, "--tls-cert-file", s.tls.ServerCert,
			"--tls-key-file", s.tls.ServerKey, "--tls-ca-cert-file", s.tls.CA,
			"--tls-client-cert-file", s.tls.ClientCert, "--tls-client-key-file", s.tls.ClientKey)
	} else {
		args = append(args, "--port", port)
	}
	path, name := program(t)
	s.cmd = exec.Command(path)
	s.cmd.Args = append(append([]string{name}, args...), s.args...)
	if len(s.args) > 0 && !strings.HasPrefix(s.args[0], "-") { // a configuration file comes first
		s.cmd.Args = append(append([]string{name}, s.args...), args...)
	}
	s.cmd.Dir = s.Dir
	s.log.Reset()
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd, started, done := s.cmd, make(chan error), make(chan struct{})
	s.done = done
	go func() {
		defer close(done)
		// Its parent is the thread, which must live on.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-done:
			return false
		default:
		}
		if c, err := net.Dial("tcp", s.Addr); err == nil {
			_ = c.Close()
			return true
		}
	}
	t.Fatal("redis-server does not answer")
	return false
}

// Kill ends the process at once; what it has in memory is lost.
func (s *Server) Kill() {
	if s.cmd != nil && s.cmd.Process != nil {
		_ = s.cmd.Process.Kill()
		<-s.done
	}
}

// Restart ends the process, with its data saved, and starts it again on the same port.
// The first client must be let in without a password.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.Do(t, "SAVE")
	s.Kill()
	s.StartAgain(t)
}

// StartAgain starts the process after Kill, with the data that was saved.
func (s *Server) StartAgain(t testing.TB) {
	t.Helper()
	if !s.run(t) {
		t.Fatalf("redis-server does not start again: %s", s.log.String())
	}
}

// Do sends a command, as "HSET", "DKIM_KEYS", "mail.example.org", "…", and returns the answer
// for people: of an array one line for each. An error fails the test.
func (s *Server) Do(t testing.TB, command ...string) string {
	t.Helper()
	answer, err := s.Try(command...)
	if err != nil {
		t.Fatalf("%s %s: %v", s.Addr, strings.Join(command, " "), err)
	}
	return answer
}

// Try is Do for commands that may fail.
func (s *Server) Try(command ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := s.dial()
	if err != nil {
		return "", err
	}
	conn := resp.NewConn(c, patience, nil)
	defer conn.Close()
	var args resp.Command
	for _, arg := range command {
		args = append(args, arg)
	}
	commands := []resp.Command{args}
	if s.password != "" {
		commands = []resp.Command{{"AUTH", s.password}, args}
	}
	replies, err := conn.Do(ctx, commands...)
	if err != nil {
		return "", err
	}
	for _, reply := range replies {
		if err, ok := reply.(resp.Error); ok {
			return "", err
		}
	}
	return text(replies[len(replies)-1]), nil
}

func (s *Server) dial() (net.Conn, error) {
	if s.tls != nil {
		return s.tls.dial(s.Addr)
	}
	return net.DialTimeout("tcp", s.Addr, patience)
}

func text(reply any) string {
	switch reply := reply.(type) {
	case nil:
		return ""
	case []byte:
		return string(reply)
	case []any:
		var lines []string
		for _, item := range reply {
			lines = append(lines, text(item))
		}
		return strings.Join(lines, "\n")
	}
	return fmt.Sprint(reply)
}

// Until waits until a condition holds, and fails the test if it does not within patience.
func Until(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out: %s", what)
		}
	}
}

func write(t testing.TB, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
