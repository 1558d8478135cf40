// Package milter serves the milter protocol to Postfix and other MTAs: it
// decides which messages are signed and adds their DKIM-Signature fields.
package milter

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
)

// Config is what a Server works by. All fields but Limits and Observe are
// required.
type Config struct {
	Keys   KeySource // asked for each message
	Policy *dkim.Policy
	Rules  Rules
	// Peers are the networks that TCP connections are taken from, for the
	// server signs for whoever reaches it.
	Peers  []netip.Prefix
	Limits Limits
	Log    *slog.Logger
	// Observe, if not nil, is called for each message when its answer is
	// decided, health checks apart. It may be called by many goroutines at once.
	Observe func(*Outcome)
}

// Limits bound what peers can take. Zero fields mean the default.
type Limits struct {
	HeaderBytes int           // of one message: names and values of all fields
	Connections int           // at one time
	Idle        time.Duration // without a frame
}

// DefaultLimits leave room for the largest settings that are seen in use: a
// header_size_limit of 4 MB, hundreds of smtpd processes, slow SMTP clients.
func DefaultLimits() Limits {
	return Limits{HeaderBytes: 8 << 20, Connections: 1000, Idle: time.Hour}
}

// Server serves milter sessions on any number of listeners.
type Server struct {
	Config
	recipe     *dkim.Recipe
	limits     Limits
	log        *slog.Logger
	counters   *Counters
	processors chan struct{} // held while a signature is made
	sessions   sync.Pool     // of *session, with their buffers
	ended      sync.WaitGroup

	mu        sync.Mutex
	conns     map[*conn]struct{}
	listeners map[net.Listener]struct{}
	taken     int64      // connections taken in since the start
	full      bool       // the bound on connections is reached, and that has been said
	until     *time.Time // set by Shutdown

	// quiet is how long a connection must have been between messages before a
	// shutdown closes it: the SMTP client may have more to send.
	quiet time.Duration
}

// NewServer returns a server that does not serve yet. The error is that of
// config.Policy.
func NewServer(config Config) (*Server, error) {
	recipe, err := config.Policy.Compile()
	if err != nil {
		return nil, err
	}
	defaults := DefaultLimits()
	s := &Server{
		Config:     config,
		recipe:     recipe,
		limits:     config.Limits,
		log:        config.Log,
		counters:   newCounters(),
		processors: make(chan struct{}, runtime.GOMAXPROCS(0)),
		conns:      make(map[*conn]struct{}),
		listeners:  make(map[net.Listener]struct{}),
		quiet:      time.Second,
	}
	if s.limits.HeaderBytes == 0 {
		s.limits.HeaderBytes = defaults.HeaderBytes
	}
	if s.limits.Connections == 0 {
		s.limits.Connections = defaults.Connections
	}
	if s.limits.Idle == 0 {
		s.limits.Idle = defaults.Idle
	}
	return s, nil
}

// Counters returns the counts since the start.
func (s *Server) Counters() *Counters { return s.counters }

// Sessions returns how many sessions are open now, and how many were begun
// since the start.
func (s *Server) Sessions() (open int, begun int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns), s.taken
}

// Serve serves peers until Shutdown, and then returns nil. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.listen(ln) {
		return nil
	}
	delay := 5 * time.Millisecond
	for {
		nc, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed) && s.stopping():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		case err != nil:
			// Such as for want of file descriptors: no reason to stop serving.
			s.log.Error("cannot accept a connection", finding.Attr(err))
			time.Sleep(delay)
			delay = min(2*delay, time.Second)
			continue
		}
		delay = 5 * time.Millisecond
		session, why := s.admit(nc)
		if session == nil {
			s.counters.refused(why)
			if why == "peer" {
				s.log.Warn("connection refused: the peer is not in an allowed network", "peer", peerName(nc))
			}
			nc.Close()
			continue
		}
		go s.serve(session)
	}
}

// listen reports whether to serve ln, which Shutdown is then to close.
func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[ln] = struct{}{}
	return s.until == nil
}

func (s *Server) stopping() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.until != nil
}

// Shutdown closes the listeners, lets messages in transit finish, and
// gives peers that are between messages a moment to begin another. Past half of
// the time to ctx's deadline each session ends with its message; at the
// deadline the rest are cut off, which the MTA takes for a temporary failure,
// and the error is that of ctx.
func (s *Server) Shutdown(ctx context.Context) error {
	until := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		until = until.Add(time.Until(deadline) / 2)
	}
	s.mu.Lock()
	s.until = &until
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.conns {
		c.drain(until)
	}
	s.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.ended.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

// admit takes a peer in, or says why not.
func (s *Server) admit(nc net.Conn) (*session, string) {
	if !s.allowed(nc.RemoteAddr()) {
		return nil, "peer"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.until != nil {
		return nil, "stopping"
	}
	if len(s.conns) >= s.limits.Connections {
		if !s.full {
			s.full = true
			s.log.Error("too many connections, more are refused", "limit", s.limits.Connections,
				"hint", "allow more, or find out who opens them")
		}
		return nil, "limit"
	}
	session := s.newSession(nc)
	s.conns[session.conn] = struct{}{}
	s.taken++
	s.ended.Add(1)
	return session, ""
}

// newSession returns a session with the buffers of one that has ended, where
// there is one: many MTAs make a connection for each message.
func (s *Server) newSession(nc net.Conn) *session {
	c := &conn{Conn: nc, server: s, acknowledge: acknowledger(nc)}
	next, ok := s.sessions.Get().(*session)
	if !ok {
		c.in = bufio.NewReaderSize(source{c}, readBuffer)
		return &session{conn: c, message: message{signer: s.recipe.NewMessage()}}
	}
	c.in, c.out = next.in, next.out[:0]
	c.in.Reset(source{c})
	next.message.reset()
	*next = session{conn: c, message: next.message}
	return next
}

// serve serves a peer to the end of its session.
func (s *Server) serve(session *session) {
	defer s.ended.Done()
	c := session.conn
	err := session.run()
	c.Close()
	c.report(err)
	s.gone(c)
	s.sessions.Put(session)
}

// gone lets the place of c be taken.
func (s *Server) gone(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	// Well below the bound, so that it is not said at every connection.
	if s.full && len(s.conns) <= s.limits.Connections*9/10 {
		s.full = false
		s.log.Info("connections are accepted again", "open", len(s.conns))
	}
}

func (s *Server) allowed(remote net.Addr) bool {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return true // who may use a unix socket is for its directory to say
	}
	return within(s.Peers, tcp.AddrPort().Addr())
}

func peerName(c net.Conn) string {
	if name := c.RemoteAddr().String(); name != "" && name != "@" {
		return name
	}
	return "unix socket"
}
