package milter

import (
	"net"
	"syscall"
)

// acknowledger returns what to call after each read from a peer. By TCP, an MTA
// that need not wait for replies sends a small message as several segments, and
// keeps the last back until the first is acknowledged (RFC 896); the system
// delays that for 40 ms in the hope of a reply to send it with. So it is told
// to acknowledge at once, again after each read, for it forgets (tcp(7)).
func acknowledger(peer net.Conn) func() {
	tcp, ok := peer.(*net.TCPConn)
	if !ok {
		return func() {}
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return func() {}
	}
	quick := func(fd uintptr) {
		// Only speed depends on it.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	}
	return func() { _ = raw.Control(quick) }
}
