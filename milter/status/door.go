package status

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"signpost/milter"
)

// More than browsers, a Prometheus or two and the checks of a container engine need,
// and few enough to cost little.
const (
	mostConnections = 256
	mostOfPeer      = 64
)

// door is a listener that has a place for whoever comes: when all are taken, the peer
// that has the most of them loses the one that was quiet longest.
type door struct {
	net.Listener
	mu     sync.Mutex
	visits []*visit // the one that was quiet longest first
}

// visit is a connection.
type visit struct {
	net.Conn
	door *door
	peer netip.Prefix // the zero one for a unix socket
	busy bool         // with a request
}

// Bounded bounds the connections of a listener, in all and of each peer.
func Bounded(ln net.Listener) net.Listener { return &door{Listener: ln} }

// Accept returns the next connection.
func (d *door) Accept() (net.Conn, error) {
	conn, err := d.Listener.Accept()
	if err != nil {
		return nil, err
	}
	v := &visit{Conn: conn, door: d, peer: peerOf(conn)}
	d.mu.Lock()
	leaver := d.leaver(v.peer)
	d.visits = append(d.visits, v)
	d.mu.Unlock()
	if leaver != nil {
		leaver.Close()
	}
	return v, nil
}

// leaver returns the connection to close for one more of a peer, nil while there is
// room. The lock is held.
func (d *door) leaver(peer netip.Prefix) *visit {
	held := make(map[netip.Prefix]int)
	for _, v := range d.visits {
		held[v.peer]++
	}
	if held[peer] < mostOfPeer {
		if len(d.visits) < mostConnections {
			return nil
		}
		for _, v := range d.visits {
			if held[v.peer] > held[peer] {
				peer = v.peer
			}
		}
	}
	i := slices.IndexFunc(d.visits, func(v *visit) bool { return v.peer == peer && !v.busy })
	if i < 0 {
		i = slices.IndexFunc(d.visits, func(v *visit) bool { return v.peer == peer })
	}
	return d.visits[i]
}

// peerOf returns who is at the other end.
func peerOf(conn net.Conn) netip.Prefix {
	remote, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	if err != nil {
		return netip.Prefix{}
	}
	return milter.HostNetwork(remote.Addr())
}

// Close ends the connection and gives its place back.
func (v *visit) Close() error {
	d := v.door
	d.mu.Lock()
	d.visits = slices.DeleteFunc(d.visits, func(o *visit) bool { return o == v })
	d.mu.Unlock()
	return v.Conn.Close()
}

// follow is told by the server what goes on at a connection.
func follow(conn net.Conn, state http.ConnState) {
	v, ok := conn.(*visit)
	if !ok || state != http.StateActive && state != http.StateIdle {
		return
	}
	d := v.door
	d.mu.Lock()
	defer d.mu.Unlock()
	v.busy = state == http.StateActive
	if i := slices.Index(d.visits, v); i >= 0 {
		d.visits = append(slices.Delete(d.visits, i, i+1), v)
	}
}
