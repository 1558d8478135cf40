package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"signpost/keystore/finding"
)

// The names of sockets, FileDescriptorName= in their units, and what those of stored
// sessions begin with.
const (
	milterName    = "milter"
	httpName      = "http"
	SessionPrefix = "session-"
)

// Passed is what the service manager passes to a process.
type Passed struct {
	Milter   []net.Listener
	HTTP     net.Listener // nil for none
	Sessions []Session
}

// Session is a connection that the process before has stored.
type Session struct {
	net.Conn
	State string // its name without the prefix
}

// Take takes what is passed, and the variables that say so out of the environment.
func Take() (*Passed, error) {
	p := new(Passed)
	for _, file := range activation.Files(true) {
		if err := p.take(file); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// take takes a descriptor by its name.
func (p *Passed) take(file *os.File) error {
	defer file.Close() // what follows uses a copy
	name := file.Name()
	if state, found := strings.CutPrefix(name, SessionPrefix); found {
		conn, err := net.FileConn(file)
		if err != nil {
			return fmt.Errorf("a session that is passed: %w", err)
		}
		p.Sessions = append(p.Sessions, Session{conn, state})
		return nil
	}
	if name != milterName && name != httpName {
		return finding.WithHint(fmt.Errorf("a socket is passed with the name %q", name),
			"write FileDescriptorName=milter or http into its unit")
	}
	ln, err := listener(file)
	if err != nil {
		return finding.WithHint(fmt.Errorf("the socket %q that is passed: %w", name, err),
			"its unit must have ListenStream= and not Accept=yes")
	}
	switch {
	case name == milterName:
		p.Milter = append(p.Milter, ln)
	case p.HTTP == nil:
		p.HTTP = ln
	default:
		return errors.New("two sockets are passed with the name \"http\", and there is one status page")
	}
	return nil
}

// listener is net.FileListener, which takes other sockets for one too.
func listener(file *os.File) (net.Listener, error) {
	listens, err := unix.GetsockoptInt(int(file.Fd()), unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case err != nil:
		return nil, err
	case listens == 0:
		return nil, errors.New("nobody can connect to it")
	}
	return net.FileListener(file)
}

// Close closes what is passed.
func (p *Passed) Close() {
	for _, ln := range p.Milter {
		ln.Close()
	}
	if p.HTTP != nil {
		p.HTTP.Close()
	}
	for _, session := range p.Sessions {
		session.Close()
	}
}
