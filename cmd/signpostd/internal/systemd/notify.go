// Package systemd speaks with the service manager: it takes the sockets and sessions
// that are passed, and tells how the service is (sd_listen_fds(3), sd_notify(3)).
package systemd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Notifier tells the service manager. Without one all it does is nothing.
//
// Its socket is open from the start on, for a confined process cannot open another:
// that is why no library does this.
type Notifier struct {
	conn *net.UnixConn // nil without a service manager

	mu   sync.Mutex
	room int // descriptors that may still be stored
	text int // bytes that their names may still take
}

// maxNames is what the names of all stored descriptors may take: the next process gets
// them in one variable, for which there are 128 KiB (execve(2), MAX_ARG_STRLEN).
const maxNames = 100 << 10

// Connect reads $NOTIFY_SOCKET and $FDSTORE, and removes the first from the environment.
// $FDSTORE says how many descriptors may be stored; systemd sets it from version 254 on.
func Connect() (*Notifier, error) {
	n := &Notifier{text: maxNames}
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return n, nil
	}
	_ = os.Unsetenv("NOTIFY_SOCKET")
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		return n, fmt.Errorf("the service manager at %s: %w", name, err)
	}
	n.conn = conn
	_, _ = fmt.Sscan(os.Getenv("FDSTORE"), &n.room)
	return n, nil
}

// Present reports whether there is a service manager to tell.
func (n *Notifier) Present() bool { return n.conn != nil }

// Ready says that the service has started, or has reloaded, and how it is.
func (n *Notifier) Ready(status string) { n.send("READY=1\n" + statusLine(status)) }

// Status says how the service is.
func (n *Notifier) Status(status string) { n.send(statusLine(status)) }

// Reloading says that it reloads; Ready ends that.
func (n *Notifier) Reloading() {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now)
	n.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000))
}

// Stopping says that it stops.
func (n *Notifier) Stopping(status string) { n.send("STOPPING=1\n" + statusLine(status)) }

func statusLine(status string) string {
	return "STATUS=" + strings.NewReplacer("\n", "; ", "\r", "").Replace(status)
}

// send ignores errors: the service works all the same.
func (n *Notifier) send(state string) {
	if n.conn != nil {
		_, _ = n.conn.Write([]byte(state))
	}
}

// Stores reports whether descriptors can be stored over a restart.
func (n *Notifier) Stores() bool { return n.conn != nil && n.room > 0 }

// Store has the service manager keep a connection until the next process takes it with
// Passed. The name is printable ASCII without a colon.
func (n *Notifier) Store(conn net.Conn, name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	const longest = 255
	switch {
	case n.room == 0:
		return errors.New("FileDescriptorStoreMax= has no room")
	case len(name) > min(longest, n.text):
		return fmt.Errorf("its state has %d characters", len(name))
	}
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return errors.New("not a socket")
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = n.pass("FDSTORE=1\nFDNAME="+name, int(fd)) }); err != nil {
		return err
	}
	if sent == nil {
		n.room, n.text = n.room-1, n.text-len(name)-1
	}
	return sent
}

// pass sends a descriptor along. Package net does not on a connected datagram socket.
func (n *Notifier) pass(state string, fd int) error {
	raw, err := n.conn.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(socket uintptr) bool {
		sent = unix.Sendmsg(int(socket), []byte(state), unix.UnixRights(fd), nil, 0)
		return !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}

// Forget has the service manager close its copies of stored descriptors of the name.
func (n *Notifier) Forget(name string) { n.send("FDSTOREREMOVE=1\nFDNAME=" + name) }

// Wait waits until the service manager has read all that it was sent: what a process has
// sent just before it ends may be lost.
func (n *Notifier) Wait(most time.Duration) error {
	if n.conn == nil {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	err = n.pass("BARRIER=1", int(write.Fd()))
	write.Close()
	if err != nil {
		return err
	}
	if err := read.SetReadDeadline(time.Now().Add(most)); err != nil {
		return err
	}
	// It closes its copy.
	if _, err := read.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the service manager does not answer")
	}
	return nil
}
