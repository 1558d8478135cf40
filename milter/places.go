package milter

import (
	"fmt"
	"iter"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"
	"time"
)

// places are the connections that there may be at one time, and who holds them.
// When all are taken, those who hold many give to those who hold few, and peers
// that have never finished a message to those that have.
type places struct {
	total, each int           // bounds: on all, and on those of one peer
	quiet       time.Duration // what is between messages for less is not idle
	start       time.Time     // from which the times of holders and connections count
	holders     map[peer]*holder
	held        int
	most        int // held since memory was last given back
}

// peer is who connects: an address, of IPv6 the /64 that one host commonly has
// for itself, or the user at the other end of a unix socket.
type peer struct {
	network netip.Prefix
	user    uint32
}

func (p peer) String() string {
	if p.network.IsValid() {
		return p.network.String()
	}
	return fmt.Sprintf("unix socket, user id %d", p.user)
}

// peerOf returns who is at the other end.
func peerOf(c net.Conn) peer {
	if remote, ok := c.RemoteAddr().(*net.TCPAddr); ok {
		return peer{network: HostNetwork(remote.AddrPort().Addr())}
	}
	return peer{user: userOf(c)}
}

// userOf returns the user id at the other end of a unix socket.
func userOf(c net.Conn) (user uint32) {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if cred, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			user = cred.Uid
		}
	})
	return user
}

// holder is a peer that has connections, or has finished a message before.
type holder struct {
	peer
	conns  []*conn
	proven atomic.Int64 // when it last finished a message, 0 for never
	memory share
}

// standing is what decides whether a connection has to make room for another. Its time is
// counted in nanoseconds from start on, so that it makes no difference when the clock is set.
type standing struct {
	start     time.Time
	busy      atomic.Bool  // in a message
	since     atomic.Int64 // when it was made, or last began or ended a message
	displaced atomic.Bool
}

// step notes that a message has begun or ended.
func (s *standing) step(busy bool) {
	s.busy.Store(busy)
	s.since.Store(int64(time.Since(s.start)))
}

func newPlaces(total, each int, quiet time.Duration) *places {
	if each == 0 {
		each = max(1, total*3/4)
	}
	return &places{total: total, each: min(each, total), quiet: quiet, start: time.Now(), holders: make(map[peer]*holder)}
}

// all are the connections.
func (p *places) all() iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		for _, h := range p.holders {
			for _, c := range h.conns {
				if !yield(c) {
					return
				}
			}
		}
	}
}

// give gives a place to c.
func (p *places) give(h *holder, c *conn) {
	p.holders[h.peer] = h
	h.conns = append(h.conns, c)
	p.held++
	p.most = max(p.most, p.held)
}

// end takes the place of c back, if it has one.
func (p *places) end(c *conn) {
	h := c.holder
	i := slices.Index(h.conns, c)
	if i < 0 {
		return
	}
	h.conns = slices.Delete(h.conns, i, i+1)
	p.held--
	if len(h.conns) > 0 {
		return
	}
	if h.isNew() {
		delete(p.holders, h.peer)
	}
	p.forget()
}

// fewer reports, once, that far fewer connections are left than there were.
func (p *places) fewer() bool {
	if p.most < 256 || p.held > p.most/8 {
		return false
	}
	p.most = p.held
	return true
}

// forget bounds the memory of who has finished a message.
func (p *places) forget() {
	const most = 1024
	if len(p.holders) <= p.total+most {
		return
	}
	var oldest *holder
	for _, h := range p.holders {
		if len(h.conns) == 0 && (oldest == nil || h.proven.Load() < oldest.proven.Load()) {
			oldest = h
		}
	}
	if oldest != nil {
		delete(p.holders, oldest.peer)
	}
}

// holder returns the one for a peer.
func (p *places) holder(who peer) *holder {
	if h := p.holders[who]; h != nil {
		return h
	}
	return &holder{peer: who}
}

// room says whether h may have another connection: at once, after one is closed,
// or why not.
func (p *places) room(h *holder, now time.Time) (victim *conn, why string) {
	if len(h.conns) >= p.each {
		if victim = p.idle(h, now); victim == nil {
			why = "peer-limit"
		}
		return victim, why
	}
	if p.held < p.total {
		return nil, ""
	}
	if victim = p.fromOther(h, now); victim == nil {
		victim = p.idle(h, now)
	}
	if victim == nil {
		why = "limit"
	}
	return victim, why
}

// fromOther returns a connection of the peer that has the least right to it, if
// that is less than what h has.
func (p *places) fromOther(h *holder, now time.Time) *conn {
	var from *holder
	for _, other := range p.holders {
		if other != h && len(other.conns) > 0 && (from == nil || other.below(from)) {
			from = other
		}
	}
	switch {
	case from == nil:
		return nil
	case len(from.conns) > len(h.conns)+1, from.isNew() && !h.isNew():
		return from.idlest()
	case len(h.conns) == 0:
		return p.idle(from, now)
	}
	return nil
}

func (h *holder) isNew() bool { return h.proven.Load() == 0 }

// below reports whether h has less right to its connections than other: it has
// never finished a message, or holds more, or has longer done nothing with one.
func (h *holder) below(other *holder) bool {
	switch {
	case h.isNew() != other.isNew():
		return h.isNew()
	case len(h.conns) != len(other.conns):
		return len(h.conns) > len(other.conns)
	}
	return h.idlest().idler(other.idlest())
}

// idlest returns the connection that is missed least.
func (h *holder) idlest() (idlest *conn) {
	for _, c := range h.conns {
		if idlest == nil || c.idler(idlest) {
			idlest = c
		}
	}
	return idlest
}

// idler reports whether c is missed less than other: to close it between
// messages costs less than within one.
func (c *conn) idler(other *conn) bool {
	if c.busy.Load() != other.busy.Load() {
		return !c.busy.Load()
	}
	return c.since.Load() < other.since.Load()
}

// idle returns a connection of h that has done nothing for a while, if there is
// one.
func (p *places) idle(h *holder, now time.Time) (idlest *conn) {
	for _, c := range h.conns {
		patience := p.quiet
		if c.busy.Load() && !h.isNew() {
			patience = frameTimeout
		}
		if now.Sub(p.start)-time.Duration(c.since.Load()) >= patience && (idlest == nil || c.idler(idlest)) {
			idlest = c
		}
	}
	return idlest
}
