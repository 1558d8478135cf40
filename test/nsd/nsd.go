// Package nsd runs NSD, a real authoritative name server, for tests.
package nsd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Server is an NSD that runs.
type Server struct {
	Port string
	cmd  *exec.Cmd
	done chan struct{}
}

// Start runs NSD in the foreground, with its files in dir, at these loopback
// addresses and a port of its own, or at port. Zones are zone file texts by
// the name of the zone; they need no $ORIGIN, and a default TTL is set. It
// returns when the server answers.
func Start(dir, port string, zones map[string]string, addresses ...string) (*Server, error) {
	program, err := exec.LookPath("nsd")
	if err != nil {
		if program, err = exec.LookPath("/usr/sbin/nsd"); err != nil {
			return nil, fmt.Errorf("%w; hint: run test/setup.sh tests", err)
		}
	}
	for range 5 { // another program may take the port first
		chosen := port
		if chosen == "" {
			if chosen, err = freePort(addresses); err != nil {
				return nil, err
			}
		}
		var s *Server
		if s, err = start(program, dir, chosen, zones, addresses); err == nil || port != "" {
			return s, err
		}
	}
	return nil, err
}

// Stop ends the server and its children, and waits for them.
func (s *Server) Stop() {
	s.cmd.Process.Signal(syscall.SIGTERM)
	<-s.done
}

func start(program, dir, port string, zones map[string]string, addresses []string) (*Server, error) {
	var config strings.Builder
	// One process that stays in the group, no rate limits, nothing shared.
	fmt.Fprintf(&config, "server:\n server-count: 1\n username: \"\"\n zonesdir: %q\n database: \"\"\n pidfile: \"\"\n", dir)
	fmt.Fprintf(&config, " xfrdfile: \"\"\n zonelistfile: %q\n xfrdir: %q\n rrl-ratelimit: 0\n verbosity: 1\n", filepath.Join(dir, "zones.list"), dir)
	for _, address := range addresses {
		fmt.Fprintf(&config, " ip-address: %s@%s\n", address, port)
	}
	config.WriteString("remote-control:\n control-enable: no\n")
	number := 0
	for name, text := range zones {
		number++
		file := filepath.Join(dir, "zone"+strconv.Itoa(number))
		if err := os.WriteFile(file, []byte("$ORIGIN "+strings.TrimSuffix(name, ".")+".\n$TTL 60\n"+text), 0o600); err != nil {
			return nil, err
		}
		fmt.Fprintf(&config, "zone:\n name: %q\n zonefile: %q\n", name, file)
	}
	file := filepath.Join(dir, "nsd.conf")
	if err := os.WriteFile(file, []byte(config.String()), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command(program, "-d", "-c", file)
	said, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &Server{Port: port, cmd: cmd, done: make(chan struct{})}
	up := make(chan error, 1) // the first thing that it says of itself
	tell := func(err error) {
		select {
		case up <- err:
		default:
		}
	}
	go func() {
		defer close(s.done)
		var log bytes.Buffer
		lines := bufio.NewScanner(said)
		for lines.Scan() {
			line := lines.Text()
			log.WriteString(line + "\n")
			if strings.Contains(line, "nsd started") {
				tell(nil)
			} else if strings.Contains(line, "error:") {
				tell(errors.New("nsd: " + line))
			}
		}
		cmd.Wait()
		tell(errors.New("nsd: " + log.String()))
	}()
	if err := <-up; err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func freePort(addresses []string) (string, error) {
	socket, err := net.ListenPacket("udp", net.JoinHostPort(addresses[0], "0"))
	if err != nil {
		return "", err
	}
	defer socket.Close()
	_, port, err := net.SplitHostPort(socket.LocalAddr().String())
	return port, err
}
