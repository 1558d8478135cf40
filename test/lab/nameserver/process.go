package nameserver

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"signpost/keystore/finding"
)

// A Process is a name server of other people that runs.
type Process struct {
	Port string // on all of its addresses

	cmd   *exec.Cmd
	end   chan struct{} // closed when it and its children have ended
	log   strings.Builder
	start string // what it had logged when it was ready
}

// start starts a program and returns when it has logged that it serves.
func start(port, serves, name string, args ...string) (*Process, error) {
	program, err := exec.LookPath(name)
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			return nil, finding.WithHint(err, "run test/setup.sh tests")
		}
	}
	p := &Process{Port: port, cmd: exec.Command(program, args...), end: make(chan struct{})}
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.cmd.Stdout, p.cmd.Stderr = in, in
	err = p.cmd.Start()
	in.Close()
	if err != nil {
		out.Close()
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		defer close(p.end)
		defer out.Close()
		up := false
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text() + "\n"
			p.log.WriteString(line)
			if !up && strings.Contains(line, serves) {
				up = true
				ready <- p.log.String()
			}
		}
		p.cmd.Wait()
	}()
	select {
	case p.start = <-ready:
		return p, nil
	case <-p.end:
		return nil, fmt.Errorf("%s ended:\n%s", name, p.log.String())
	case <-time.After(time.Minute):
		p.Stop()
		return nil, fmt.Errorf("%s does not serve after a minute:\n%s", name, p.log.String())
	}
}

// Stop ends the server and its children, waits for them, and returns what they
// have logged.
func (p *Process) Stop() (log string) {
	p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.end
	return p.log.String()
}

// onFreePort starts a server on a port of its own.
func onFreePort(address string, start func(port string) (*Process, error)) (*Process, error) {
	var lastErr error
	for range 5 { // another program may take the port first
		port, err := FreePort(address)
		if err != nil {
			return nil, err
		}
		p, err := start(port)
		if err == nil {
			return p, nil
		}
		lastErr = err
	}
	return nil, lastErr
}

// write makes a file in a folder and returns its path.
func write(dir, name, text string) (path string, err error) {
	path = filepath.Join(dir, name)
	return path, os.WriteFile(path, []byte(text), 0o600)
}
