// Package milter serves the milter protocol to Postfix and other MTAs: it
// decides which messages are signed and adds their DKIM-Signature fields.
package milter

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"signpost/keystore/finding"
	"signpost/milter/dkim"
)

// Config is what a Server works by. All fields but Limits and Observe are
// required.
type Config struct {
	Keys KeySource // asked for each message
	// Keyless, if not nil, is called with the author domain of each message of a trusted
	// client for which there is no key, before it is answered.
	Keyless func(author string)
	Policy  *dkim.Policy
	Rules   Rules
	// Peers are the networks that TCP connections are taken from, for the
	// server signs for whoever reaches it.
	Peers  []netip.Prefix
	Limits Limits
	Log    *slog.Logger
	// Observe, if not nil, is called for each message when its answer is
	// decided, health checks apart. It may be called by many goroutines at once.
	Observe func(*Outcome)
	// HandOver, if not nil, takes the sessions that a shutdown would end. See Shutdown.
	HandOver HandOver
}

// Limits bound what peers can take. Zero fields mean the default.
type Limits struct {
	HeaderBytes     int           // of one message: names and values of all fields
	Memory          int           // of all messages in transit, beyond a few KiB each
	Connections     int           // at one time
	PeerConnections int           // of those, of one peer
	Message         time.Duration // from the first header field to the end of the body
	Idle            time.Duration // without a frame
}

// DefaultLimits leave room for the largest settings that are seen in use: a
// header_size_limit of 4 MB, hundreds of smtpd processes, slow SMTP clients. A
// message has the time of milter_content_timeout. PeerConnections are by default
// three quarters of Connections.
func DefaultLimits() Limits {
	return Limits{HeaderBytes: 8 << 20, Memory: 256 << 20, Connections: 1000,
		Message: 5 * time.Minute, Idle: time.Hour}
}

// Server serves milter sessions on any number of listeners.
type Server struct {
	Config
	recipe     *dkim.Recipe
	lines      lineRules
	limits     Limits
	log        *slog.Logger
	counters   *Counters
	also       alsoState
	processors chan struct{} // held while a signature is made
	budget     *budget
	buffers    sync.Pool // of *[readBuffer]byte
	messages   sync.Pool // of *message
	ended      sync.WaitGroup

	mu        sync.Mutex
	places    *places
	listeners map[net.Listener]struct{}
	taken     int64      // connections taken in since the start
	full      bool       // the bound on connections is reached, and that has been said
	until     *time.Time // set by Shutdown
	displaced seldom
	greedy    seldom
	foreign   seldom
	handed    atomic.Int64 // sessions handed over
	unhanded  seldom

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
		lines:      lineRulesOf(config.Policy),
		limits:     config.Limits,
		log:        config.Log,
		counters:   newCounters(),
		processors: make(chan struct{}, runtime.GOMAXPROCS(0)),
		listeners:  make(map[net.Listener]struct{}),
		quiet:      time.Second,
	}
	if s.limits.HeaderBytes == 0 {
		s.limits.HeaderBytes = defaults.HeaderBytes
	}
	if s.limits.Memory == 0 {
		s.limits.Memory = defaults.Memory
	}
	if s.limits.Connections == 0 {
		s.limits.Connections = defaults.Connections
	}
	if s.limits.Message == 0 {
		s.limits.Message = defaults.Message
	}
	if s.limits.Idle == 0 {
		s.limits.Idle = defaults.Idle
	}
	s.places = newPlaces(s.limits.Connections, s.limits.PeerConnections, s.quiet)
	s.budget = &budget{limit: s.limits.Memory}
	return s, nil
}

// Counters returns the counts since the start.
func (s *Server) Counters() *Counters { return s.counters }

// Sessions returns how many sessions are open now, and how many were begun
// since the start.
func (s *Server) Sessions() (open int, begun int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.places.held, s.taken
}

// Memory returns what messages in transit have taken beyond their reserve, and
// the most that they may.
func (s *Server) Memory() (taken, limit int) {
	s.budget.mu.Lock()
	defer s.budget.mu.Unlock()
	return s.budget.live, s.budget.limit
}

// Serve serves peers until Shutdown, and then returns nil. It closes ln.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.listen(ln) {
		return nil
	}
	defer s.ended.Done()
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
				s.sayForeign(nc)
			}
			nc.Close()
			continue
		}
		go s.serve(session)
	}
}

// listen reports whether to serve ln, which Shutdown is then to close and to wait for:
// a connection may have been accepted just before.
func (s *Server) listen(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners[ln] = struct{}{}
	if s.until != nil {
		return false
	}
	s.ended.Add(1)
	return true
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
//
// With HandOver, a session is handed over instead of ended: at once when it is between
// messages, or the header of its message has not begun, and else after its message.
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
	for c := range s.places.all() {
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
	for c := range s.places.all() {
		c.Close()
	}
	s.mu.Unlock()
	<-done
	return ctx.Err()
}

func (s *Server) newSession(nc net.Conn, h *holder) *session {
	c := &conn{Conn: nc, server: s, holder: h, in: newInput(nc, &s.buffers), acknowledge: acknowledger(nc)}
	c.out = c.short[:0]
	c.memory = account{budget: s.budget, share: &h.memory}
	return &session{conn: c}
}

// newMessage returns a message with the memory of one that has ended, where there
// is one: most connections wait most of the time, and have none.
func (s *Server) newMessage() *message {
	if m, ok := s.messages.Get().(*message); ok {
		return m
	}
	return &message{signer: s.recipe.NewMessage()}
}

// serve serves a peer to the end of its session.
func (s *Server) serve(session *session) {
	defer s.ended.Done()
	c := session.conn
	err := session.run()
	c.Close()
	c.report(err)
	session.forget()
	c.in.release()
	s.gone(c)
}
