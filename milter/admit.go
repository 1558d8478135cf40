package milter

import (
	"net"
	"runtime/debug"
	"time"
)

// admit takes a peer in, or says why not.
func (s *Server) admit(nc net.Conn) (*session, string) {
	if !s.allowed(nc.RemoteAddr()) {
		return nil, "peer"
	}
	who := peerOf(nc)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until != nil && s.HandOver == nil {
		return nil, "stopping"
	}
	now := time.Now()
	h := s.places.holder(who)
	victim, why := s.places.room(h, now)
	if why != "" {
		s.sayRefused(h, why, now)
		return nil, why
	}
	if victim != nil {
		s.displace(victim, h, now)
	}
	session := s.newSession(nc, h)
	session.start = s.places.start
	session.step(false)
	if s.until != nil {
		session.draining.Store(s.until) // accepted just before, it goes on elsewhere
	}
	s.places.give(h, session.conn)
	s.taken++
	s.ended.Add(1)
	return session, ""
}

// displace closes a connection for the sake of another. The MTA defers what may
// be in transit.
func (s *Server) displace(c *conn, h *holder, now time.Time) {
	held := len(c.holder.conns)
	s.places.end(c)
	c.displaced.Store(true)
	c.Close()
	s.counters.refused("displaced")
	s.displaced.say(now, func(count int) {
		s.log.Warn("connection closed in favour of another", "peer", peerName(c), "held", held,
			"new", h.peer.String(), "holds", len(h.conns), "closed", count,
			"hint", "find out who opens so many connections, or allow more")
	})
}

// sayRefused logs that there are too many connections.
func (s *Server) sayRefused(h *holder, why string, now time.Time) {
	if why == "limit" && !s.full {
		s.full = true
		s.log.Error("too many connections, more are refused", "limit", s.limits.Connections,
			"hint", "allow more, or find out who opens them")
	}
	if why == "peer-limit" {
		s.greedy.say(now, func(count int) {
			s.log.Error("connection refused: the peer has as many as one may have", "peer", h.peer.String(),
				"limit", s.places.each, "refused", count, "hint", "allow more, or find out why it opens so many")
		})
	}
}

// sayForeign logs that a peer may not connect.
func (s *Server) sayForeign(nc net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.foreign.say(time.Now(), func(count int) {
		s.log.Warn("connection refused: the peer is not in an allowed network", "peer", peerName(nc), "refused", count)
	})
}

// gone lets the place of c be taken.
func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.places.end(c)
	if s.places.fewer() {
		go debug.FreeOSMemory()
	}
	// Well below the bound, so that it is not said at every connection.
	if s.full && s.places.held <= s.limits.Connections*9/10 {
		s.full = false
		s.log.Info("connections are accepted again", "open", s.places.held)
	}
}

func (s *Server) allowed(remote net.Addr) bool {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return true // who may use a unix socket is for its directory to say
	}
	return Within(s.Peers, tcp.AddrPort().Addr())
}

func peerName(c net.Conn) string {
	if name := c.RemoteAddr().String(); name != "" && name != "@" {
		return name
	}
	return "unix socket"
}
