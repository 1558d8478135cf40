package milter

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"time"

	"signpost/keystore/finding"
)

// HandOver gives a connection to whoever serves it next, with the state of its
// session, as Resume takes it. The server closes its own descriptor after that, and
// goes on with the session where there is an error.
type HandOver func(nc net.Conn, state string) error

// errHandedOver is the end of a session here.
var errHandedOver = errors.New("handed over")

// rests reports whether the session can go on elsewhere: the server drains, and
// nothing of the session is here but its state, however long the SMTP client takes
// for its next message or for sending one.
func (c *conn) rests(err error) bool {
	return c.resting && c.draining.Load() != nil && len(c.in.buffered()) == 0 &&
		errors.Is(err, os.ErrDeadlineExceeded)
}

// handOver hands the session over if the server can do that.
func (s *session) handOver() error {
	if err := s.server.HandOver(s.Conn, s.state()); err != nil {
		s.stays = true
		s.server.sayStays(err)
		return nil
	}
	s.server.handed.Add(1)
	return errHandedOver
}

func (s *Server) sayStays(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unhanded.say(time.Now(), func(count int) {
		s.log.Warn("a session cannot be handed over, so it ends between messages",
			"sessions", count, finding.Attr(err))
	})
}

// HandedOver returns how many sessions were.
func (s *Server) HandedOver() int64 { return s.handed.Load() }

// The names in a state. What is not there is zero.
const (
	stateVersion  = "v"
	stateActions  = "a"
	stateProtocol = "p"
	stateClient   = "c"
	stateLocal    = "l"
	stateNotice   = "b"
	stateUser     = "u" // of the message that has begun
	stateLogin    = "n" // for the next
	stateQueue    = "q"
	stateMessage  = "m"
)

// state returns what there is to know of a session between messages, or of one whose
// message has no header yet, as printable ASCII without a colon.
func (s *session) state() string {
	values := make(url.Values)
	text := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	flag := func(name string, on bool) {
		if on {
			values.Set(name, "1")
		}
	}
	if s.began {
		text(stateVersion, strconv.FormatUint(uint64(s.terms.version), 16))
		text(stateActions, strconv.FormatUint(uint64(s.terms.actions), 16))
		text(stateProtocol, strconv.FormatUint(uint64(s.terms.protocol), 16))
	}
	if s.client.Addr.IsValid() {
		text(stateClient, s.client.Addr.String())
	}
	flag(stateLocal, s.client.Local)
	flag(stateNotice, s.client.Notice)
	text(stateUser, s.client.Login)
	text(stateLogin, s.login)
	text(stateQueue, s.queueID)
	flag(stateMessage, s.conn.message)
	return values.Encode()
}

// restore sets a new session to a state.
func (s *session) restore(state string) error {
	values, err := url.ParseQuery(state)
	if err != nil {
		return fmt.Errorf("state of a session %q: %w", clipped(state), err)
	}
	number := func(name string) (n uint32) {
		text := values.Get(name)
		if text == "" {
			return 0
		}
		wide, parseErr := strconv.ParseUint(text, 16, 32)
		err = errors.Join(err, parseErr)
		return uint32(wide)
	}
	s.terms = terms{number(stateVersion), number(stateActions), number(stateProtocol)}
	s.began = s.terms.version != 0
	if client := values.Get(stateClient); client != "" {
		var parseErr error
		s.client.Addr, parseErr = netip.ParseAddr(client)
		err = errors.Join(err, parseErr)
	}
	s.client.Local, s.client.Notice = values.Has(stateLocal), values.Has(stateNotice)
	s.client.Login = values.Get(stateUser)
	s.login, s.queueID = values.Get(stateLogin), values.Get(stateQueue)
	if values.Has(stateMessage) {
		s.conn.message = true
		s.step(true)
	}
	switch {
	case err != nil:
	case !s.began && state != "":
		err = errors.New("it has not begun")
	case s.began && (s.terms.version < 2 || s.terms.version > protocolVersion || s.terms.actions&actAddHeader == 0):
		err = errors.New("its terms are not ours")
	}
	if err != nil {
		return fmt.Errorf("state of a session %q: %w", clipped(state), err)
	}
	return nil
}

// Resume goes on with a session that was handed over. It takes nc.
func (s *Server) Resume(nc net.Conn, state string) error {
	if nc.RemoteAddr() == nil { // a TCP connection that was reset meanwhile
		nc.Close()
		return errors.New("its peer has gone")
	}
	session, why := s.admit(nc)
	if session == nil {
		s.counters.refused(why)
		nc.Close()
		return fmt.Errorf("no place for it: %s", why)
	}
	if err := session.restore(state); err != nil {
		nc.Close()
		s.gone(session.conn)
		s.ended.Done()
		return err
	}
	go s.serve(session)
	return nil
}
