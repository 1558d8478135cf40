package milter

import (
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"strings"
	"time"

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

// message is the state of one message.
type message struct {
	header      []dkim.Field
	headerBytes int
	tooLarge    bool
	decided     bool
	verdict     Verdict
	signer      *dkim.Message // nil when nothing is signed
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

// fieldCost is what a header field takes beside its octets, so that the bound
// holds for a great many short ones too.
const fieldCost = 64

// Header keeps a header field until the key is known. Of a message that will
// not be signed whatever it says, only the author is of interest.
func (s *session) Header(name, value string, _ gomilter.Modifier) (*gomilter.Response, error) {
	m := &s.message
	if m.tooLarge || !s.server.Rules.trusts(s.client) && !isFrom(name) {
		return gomilter.RespContinue, nil
	}
	m.headerBytes += len(name) + len(value) + fieldCost
	if m.headerBytes > s.server.limits.HeaderBytes {
		m.tooLarge, m.header = true, nil
		return gomilter.RespContinue, nil
	}
	if s.bareValue {
		value = " " + value
	}
	m.header = append(m.header, dkim.Field{Name: name, Value: value})
	return gomilter.RespContinue, nil
}

// Headers decides, so that the body is hashed as it comes.
func (s *session) Headers(gomilter.Modifier) (response *gomilter.Response, err error) {
	defer s.recovered(&err)
	s.decide()
	return gomilter.RespContinue, nil
}

// BodyChunk hashes a part of the body.
func (s *session) BodyChunk(chunk []byte, _ gomilter.Modifier) (response *gomilter.Response, err error) {
	defer s.recovered(&err)
	s.decide()
	if s.message.signer != nil {
		_, _ = s.message.signer.Write(chunk) // never fails
	}
	return gomilter.RespContinue, nil
}

// EndOfMessage adds the signatures, and says in the log what was done.
func (s *session) EndOfMessage(m gomilter.Modifier) (response *gomilter.Response, err error) {
	defer s.recovered(&err)
	s.decide()
	if s.message.signer != nil {
		if err := s.sign(m); err != nil {
			s.message.fail(err)
		}
	}
	verdict := s.message.verdict
	s.record(m.Get(gomilter.MacroQueueId))
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

// decide chooses the keys when the header is complete. Nothing of the header is
// needed after that.
func (s *session) decide() {
	m := &s.message
	if m.decided {
		return
	}
	m.decided = true
	m.verdict = s.server.Rules.Decide(s.client, m.header, s.server.Keys())
	if m.tooLarge && m.verdict.Reason != UntrustedClient {
		m.verdict = Verdict{Reason: HeaderTooLarge, TempFail: true, Err: fmt.Errorf(
			"the header has more than %d bytes; hint: raise --max-header-bytes", s.server.limits.HeaderBytes)}
	}
	if len(m.verdict.Keys) > 0 {
		signatures := make([]dkim.Signature, len(m.verdict.Keys))
		for i, key := range m.verdict.Keys {
			signatures[i] = dkim.Signature{Domain: key.Domain, Selector: key.Selector, Key: key.Signer, Policy: s.server.Policy}
		}
		signer, err := dkim.NewMessage(m.header, signatures)
		if err != nil {
			m.fail(err)
		}
		m.signer = signer
	}
	m.header = nil
}

// sign adds one field per key to the top of the header, the first key's last,
// so that it stands first.
func (s *session) sign(m gomilter.Modifier) error {
	values, err := s.message.signer.Sign(time.Now())
	if err != nil {
		return err
	}
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

func (m *message) fail(err error) {
	m.verdict.Reason, m.verdict.TempFail, m.verdict.Err = SignFailed, true, err
	m.signer = nil
}

// record counts the message and writes its line in the log. The words for a
// signed one are OpenDKIM's, for the sake of those who search for them.
func (s *session) record(queueID string) {
	v := s.message.verdict
	if queueID == probeQueueID {
		return
	}
	s.server.counters.message(v.Reason)
	if queueID == "" {
		queueID = "NOQUEUE"
	}
	attrs := []any{"queue", queueID, "client", s.client.String(), "from", v.Author}
	if v.Reason == Signed {
		var added []string
		for _, key := range v.Keys {
			added = append(added, fmt.Sprintf("(s=%s, d=%s)", key.Selector, key.Domain))
		}
		s.server.log.Info(queueID+": DKIM-Signature field added "+strings.Join(added, ", "), attrs...)
		return
	}
	attrs = append(attrs, "reason", string(v.Reason))
	if v.Err != nil {
		attrs = append(attrs, "err", v.Err)
	}
	if v.TempFail {
		s.server.log.Error(queueID+": refused for now, so that it does not go out unsigned", attrs...)
		return
	}
	s.server.log.Info(queueID+": not signed", attrs...)
}

// String names the client for the log.
func (c Client) String() string {
	name := "unknown"
	switch {
	case c.Local:
		name = "local"
	case c.Addr.IsValid():
		name = c.Addr.String()
	}
	if c.Login != "" {
		name += " (" + c.Login + ")"
	}
	return name
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
