// Package milter serves the milter protocol to Postfix and other MTAs: it
// decides which messages are signed and adds their DKIM-Signature fields.
package milter

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	gomilter "github.com/d--j/go-milter"

	"signpost/keystore"
	"signpost/milter/dkim"
)

// Config is what a Server works by. All fields but Limits are required.
type Config struct {
	Keys   func() *keystore.Snapshot // called once per message
	Policy *dkim.Policy
	Rules  Rules
	// Peers are the networks that TCP connections are taken from, for the
	// server signs for whoever reaches it.
	Peers  []netip.Prefix
	Limits Limits
	Log    *slog.Logger
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
	limits   Limits
	log      *slog.Logger
	counters *Counters
	protocol *gomilter.Server

	mu    sync.Mutex
	conns map[*conn]struct{}
	full  bool       // the bound on connections is reached, and that has been said
	until *time.Time // set by Shutdown

	// quiet is how long a connection must have been between messages before a
	// shutdown closes it: the SMTP client may have more to send.
	quiet time.Duration
}

// NewServer returns a server that does not serve yet.
func NewServer(config Config) *Server {
	defaults := DefaultLimits()
	s := &Server{
		Config:   config,
		limits:   config.Limits,
		log:      config.Log,
		counters: newCounters(),
		conns:    make(map[*conn]struct{}),
		quiet:    time.Second,
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
	s.protocol = gomilter.NewServer(
		gomilter.WithDynamicMilter(s.newSession),
		gomilter.WithAction(gomilter.OptAddHeader),
		gomilter.WithProtocol(wantedProtocol),
		gomilter.WithNegotiationCallback(negotiate),
		gomilter.WithMacroRequest(gomilter.StageMail, []gomilter.MacroName{gomilter.MacroAuthAuthen}),
		gomilter.WithMacroRequest(gomilter.StageEOM, []gomilter.MacroName{gomilter.MacroQueueId}),
	)
	return s
}

// wantedProtocol asks for connect, MAIL, header and body, with the space after
// the colon kept, and for no waiting for replies but to MAIL and to the end of
// the message. Without a reply to MAIL, Postfix keeps that command back until
// DATA, and a session that has begun a message would look idle to a shutdown.
const wantedProtocol = gomilter.OptNoHelo | gomilter.OptNoRcptTo | gomilter.OptNoData | gomilter.OptNoUnknown |
	gomilter.OptNoReplies&^gomilter.OptNoMailReply | gomilter.OptHeaderLeadingSpace

// negotiate takes what the MTA offers of what is wanted. Postfix offers all of
// it; with older MTAs only the adding of header fields is indispensable.
func negotiate(mtaVersion, version uint32, mtaActions, actions gomilter.OptAction,
	mtaProtocol, protocol gomilter.OptProtocol, size gomilter.DataSize,
) (uint32, gomilter.OptAction, gomilter.OptProtocol, gomilter.DataSize, error) {
	if mtaVersion < 2 {
		return 0, 0, 0, 0, fmt.Errorf("the MTA speaks milter protocol %d, 2 is the least; hint: set milter_protocol=6", mtaVersion)
	}
	if mtaActions&gomilter.OptAddHeader == 0 {
		return 0, 0, 0, 0, errors.New("the MTA does not let header fields be added, so nothing can be signed")
	}
	return min(mtaVersion, version), actions & mtaActions, protocol & mtaProtocol, size, nil
}

// LibraryLog sends the warnings of the protocol library to log. The library
// keeps this in a variable of its package, so call it once, before serving.
func LibraryLog(log *slog.Logger) {
	gomilter.LogWarning = func(format string, v ...any) {
		level := slog.LevelWarn
		if strings.Contains(format, "could not send the needed macros") {
			level = slog.LevelDebug // an old MTA, at each of its connections
		}
		log.Log(context.Background(), level, "milter protocol: "+fmt.Sprintf(format, v...))
	}
}

// Counters returns the counts since the start.
func (s *Server) Counters() *Counters { return s.counters }

// Serve serves peers until Shutdown, and then returns nil.
func (s *Server) Serve(ln net.Listener) error {
	err := s.protocol.Serve(&listener{Listener: ln, server: s})
	if errors.Is(err, gomilter.ErrServerClosed) || errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Shutdown closes the listeners, lets messages that are under way finish, and
// gives peers that are between messages a moment to begin another. Past half of
// the time to ctx's deadline each session ends with its message; at the
// deadline the rest are cut off, which the MTA takes for a temporary failure.
func (s *Server) Shutdown(ctx context.Context) error {
	until := time.Now()
	if deadline, ok := ctx.Deadline(); ok {
		until = until.Add(time.Until(deadline) / 2)
	}
	s.mu.Lock()
	s.until = &until
	for c := range s.conns {
		c.drain(until)
	}
	s.mu.Unlock()
	return s.protocol.Shutdown(ctx)
}

// admit takes a peer in, or says why not.
func (s *Server) admit(nc net.Conn) (*conn, string) {
	if !s.allowed(nc.RemoteAddr()) {
		return nil, "peer"
	}
	c := &conn{Conn: nc, server: s, acknowledge: acknowledger(nc)}
	c.in = bufio.NewReaderSize(source{c}, readBuffer)
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.conns) >= s.limits.Connections {
		if !s.full {
			s.full = true
			s.log.Error("too many connections, more are refused; hint: raise --max-connections", "limit", s.limits.Connections)
		}
		return nil, "limit"
	}
	s.conns[c] = struct{}{}
	if s.until != nil {
		c.draining.Store(s.until)
	}
	return c, ""
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

// listener hands only admitted, guarded connections to the library.
type listener struct {
	net.Listener
	server *Server
}

// Accept never fails for want of file descriptors: the library would stop
// serving.
func (l *listener) Accept() (net.Conn, error) {
	delay := 5 * time.Millisecond
	for {
		nc, err := l.Listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil, err
		}
		if err != nil {
			l.server.log.Error("accepting a connection", "err", err)
			time.Sleep(delay)
			delay = min(2*delay, time.Second)
			continue
		}
		delay = 5 * time.Millisecond
		c, why := l.server.admit(nc)
		if c != nil {
			return c, nil
		}
		l.server.counters.refused(why)
		if why == "peer" {
			l.server.log.Warn("connection refused: its address is not in --allow-peers", "peer", peerName(nc))
		}
		nc.Close()
	}
}

func peerName(c net.Conn) string {
	if name := c.RemoteAddr().String(); name != "" && name != "@" {
		return name
	}
	return "unix socket"
}
