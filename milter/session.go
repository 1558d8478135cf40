package milter

import (
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"strings"

	gomilter "github.com/d--j/go-milter"

	"signpost/milter/dkim"
)

// session is one milter connection, which carries any number of messages. The
// protocol library calls its methods one after the other.
type session struct {
	gomilter.NoOpMilter
	server *Server
	// bareValue says that the MTA takes the space after the colon away and adds
	// it back, as before protocol version 6.
	bareValue bool
	client    Client
	message   message
}

func (s *Server) newSession(_ uint32, _ gomilter.OptAction, protocol gomilter.OptProtocol, _ gomilter.DataSize) gomilter.Milter {
	return &session{server: s, bareValue: protocol&gomilter.OptHeaderLeadingSpace == 0}
}

// NewConnection begins with a new SMTP client.
func (s *session) NewConnection(gomilter.Modifier) error {
	s.client = Client{}
	s.message = message{}
	return nil
}

// Connect learns who the SMTP client is.
func (s *session) Connect(_, family string, port uint16, addr string, _ gomilter.Modifier) (*gomilter.Response, error) {
	s.client = Client{}
	switch family {
	case "unix":
		s.client.Local = true
	case "tcp4", "tcp6":
		// Go's parser of addresses has taken it once already.
		s.client.Addr, _ = netip.ParseAddr(strings.Trim(addr, "[]"))
		// For sendmail(1), Postfix names the loopback address and no port.
		s.client.Local = port == 0 && s.client.Addr.IsLoopback()
	}
	return gomilter.RespContinue, nil
}

// MailFrom begins a message.
func (s *session) MailFrom(_, _ string, m gomilter.Modifier) (*gomilter.Response, error) {
	s.message = message{}
	s.client.Login = m.Get(gomilter.MacroAuthAuthen)
	return gomilter.RespContinue, nil
}

// Header keeps a header field until the key is known.
func (s *session) Header(name, value string, _ gomilter.Modifier) (*gomilter.Response, error) {
	if s.message.ignores(s.server, s.client, name) {
		return gomilter.RespContinue, nil
	}
	if s.bareValue {
		value = " " + value
	}
	s.message.add(s.server, dkim.Field{Name: name, Value: value})
	return gomilter.RespContinue, nil
}

// Headers decides, so that the body is hashed as it comes.
func (s *session) Headers(gomilter.Modifier) (response *gomilter.Response, err error) {
	defer s.recovered(&err)
	s.message.decide(s.server, s.client)
	return gomilter.RespContinue, nil
}

// BodyChunk hashes a part of the body.
func (s *session) BodyChunk(chunk []byte, _ gomilter.Modifier) (response *gomilter.Response, err error) {
	defer s.recovered(&err)
	s.message.decide(s.server, s.client)
	s.message.write(chunk)
	return gomilter.RespContinue, nil
}

// EndOfMessage adds the signatures, and says in the log what was done.
func (s *session) EndOfMessage(m gomilter.Modifier) (response *gomilter.Response, err error) {
	defer s.recovered(&err)
	s.message.decide(s.server, s.client)
	if err := s.insert(s.message.sign(), m); err != nil {
		s.message.fail(err)
	}
	verdict := s.message.verdict
	s.server.record(verdict, s.client, m.Get(gomilter.MacroQueueId))
	s.message = message{}
	if verdict.TempFail {
		return gomilter.RejectWithCodeAndReason(451, "4.7.1 the message cannot be signed now, try again later")
	}
	return gomilter.RespAccept, nil
}

// Abort forgets the message.
func (s *session) Abort(gomilter.Modifier) error {
	s.message = message{}
	return nil
}

// insert adds the fields to the top of the header, the first key's last, so
// that it stands first.
func (s *session) insert(values []string, m gomilter.Modifier) error {
	for i := len(values) - 1; i >= 0; i-- {
		value := values[i]
		if s.bareValue {
			value = strings.TrimPrefix(value, " ")
		}
		if err := m.InsertHeader(0, "DKIM-Signature", value); err != nil {
			return fmt.Errorf("adding the field: %w", err)
		}
	}
	return nil
}

// recovered keeps a panic to its own connection. The MTA sees the connection
// end and refuses the message for now.
func (s *session) recovered(err *error) {
	p := recover()
	if p == nil {
		return
	}
	s.server.counters.refused("panic")
	s.server.log.Error("connection closed: a fault in signpostd", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	*err = io.EOF
}
