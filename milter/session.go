package milter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime/debug"
	"strings"

	"signpost/keystore/finding"
)

// session is one milter connection, which carries any number of messages.
type session struct {
	*conn
	terms   terms
	client  Client
	login   string // {auth_authen} for the next MAIL
	queueID string
	current *message // nil until the header begins
}

// run serves the peer until one side ends the session, and says why.
func (s *session) run() (err error) {
	defer s.recovered(&err)
	for err == nil {
		var command byte
		var payload []byte
		switch command, payload, err = s.next(); err {
		case nil:
			err = s.handle(command, payload)
		case errHandedOver:
			err = s.handOver()
		}
	}
	_ = s.flush() // the peer may have ended it and wait for a reply all the same
	return err
}

// handle does what a frame asks for. The error ends the session; io.EOF is a
// good end.
func (s *session) handle(command byte, payload []byte) error {
	switch command {
	case cmdNegotiate:
		return s.negotiate(payload)
	case cmdMacro:
		return s.macros(payload)
	case cmdConnect:
		if err := s.connect(payload); err != nil {
			return err
		}
	case cmdMail:
		s.forget()
		s.client.Login, s.login = s.login, ""
		s.client.Notice = s.client.Local && isNotice(payload)
	case cmdHeader:
		s.header(payload)
	case cmdEndOfHead:
		s.message().decide(s.server, s.client)
	case cmdBody:
		if err := s.chunk(); err != nil {
			return err
		}
	case cmdEndOfBody:
		if err := s.end(); err != nil {
			return err
		}
	case cmdAbort:
		s.forget()
		s.login, s.queueID = "", ""
	case cmdQuitReuse:
		s.forget()
		s.login, s.queueID, s.client = "", "", Client{}
	case cmdQuit:
		return io.EOF
	}
	if s.terms.answers(command) {
		s.out = appendReply(s.out, replyContinue, "")
	}
	return nil
}

func (s *session) negotiate(offer []byte) (err error) {
	if s.terms.version != 0 {
		return frameError{"a second negotiation in one connection"}
	}
	if s.terms, s.out, err = negotiate(offer, s.out); err != nil {
		s.server.counters.refused("negotiation")
		s.server.log.Warn("connection closed: the negotiation failed", "peer", peerName(s.conn), finding.Attr(err))
		return io.EOF
	}
	return nil
}

// macros keeps what we read of the macros. Postfix sends some with every
// command, those of header fields and body chunks among them.
func (s *session) macros(payload []byte) error {
	switch payload[0] {
	case cmdMail:
		s.login, s.queueID = macro(payload, macroLogin), clipped(macro(payload, macroQueueID))
		if len(s.login) > maxLogin { // cut off, it would be another's
			return frameError{fmt.Sprintf("login of %d bytes, at most %d are taken", len(s.login), maxLogin)}
		}
	case cmdEndOfBody:
		if id := macro(payload, macroQueueID); id != "" {
			s.queueID = clipped(id)
		}
	}
	return nil
}

// connect learns who the SMTP client is: host name NUL family, then port and
// address where the family has them.
func (s *session) connect(payload []byte) (err error) {
	s.forget()
	s.client = Client{}
	rest := payload[bytes.IndexByte(payload, 0)+1:]
	switch family := rest[0]; family {
	case 'U': // unknown
	case 'L':
		s.client.Local = true
	case '4', '6':
		if len(rest) < 3 {
			return frameError{"a client without an address"}
		}
		port := binary.BigEndian.Uint16(rest[1:])
		text, _, _ := bytes.Cut(rest[3:], []byte{0})
		addr := strings.TrimPrefix(string(text), "IPv6:")
		s.client.Addr, err = netip.ParseAddr(strings.Trim(addr, "[]"))
		if err != nil || addr != clipped(addr) { // a zone may have any length
			return frameError{fmt.Sprintf("invalid client address %q", clipped(addr))}
		}
		// For sendmail(1), Postfix names the loopback address and no port.
		s.client.Local = port == 0 && s.client.Addr.IsLoopback()
	default:
		return frameError{fmt.Sprintf("unknown family %q of a client", family)}
	}
	return nil
}

// clipped keeps what a peer sends from filling the log, and memory.
func clipped(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.Clone(s[:most])
}

// message returns the message in transit, which begins where there is none.
func (s *session) message() *message {
	if s.current == nil {
		s.current = s.server.newMessage()
		s.current.memory = &s.memory
	}
	return s.current
}

// forget ends the message, if there is one, and gives its memory back.
func (s *session) forget() {
	if s.current != nil {
		s.current.reset()
		s.server.messages.Put(s.current)
		s.current = nil
	}
	s.memory.close()
}

// header takes a field: name NUL value NUL.
func (s *session) header(payload []byte) {
	m := s.message()
	switch {
	case payload == nil && m.dropped == kept:
		m.drop(noMemory)
	case payload != nil:
		name, value, _ := bytes.Cut(payload[:len(payload)-1], []byte{0})
		m.field(s.server, s.client, name, value, s.bareValue())
	}
	if m.dropped != kept {
		s.wasting, s.large = true, nil
		s.memory.close()
	}
}

// bareValue reports whether the MTA takes the space after the colon away and
// adds it back, as before protocol version 6.
func (s *session) bareValue() bool { return s.terms.protocol&leadingSpace == 0 }

// chunk hashes a chunk of the body as it comes.
func (s *session) chunk() error {
	m := s.message()
	m.decide(s.server, s.client)
	for {
		piece, err := s.piece()
		if err != nil || len(piece) == 0 {
			return err
		}
		m.write(piece)
	}
}

// end answers the end of a message: with the signatures, the first key's last,
// so that it stands first. It says in the log what was done.
func (s *session) end() error {
	m := s.message()
	m.decide(s.server, s.client)
	values := m.sign(s.server)
	out := append(m.out, s.out...)
	for i := len(values) - 1; i >= 0; i-- {
		value := values[i]
		if s.bareValue() {
			value = strings.TrimPrefix(value, " ")
		}
		out = appendInsert(out, "DKIM-Signature", value)
	}
	if m.verdict.Action == Accept {
		out = appendReply(out, replyAccept, "")
	} else {
		out = appendReply(out, replyCode, refusal(m.verdict))
	}
	s.server.record(m, s.client, s.queueID)
	s.queueID = ""
	s.over()
	s.holder.proven.Store(s.since.Load())
	m.drop(kept)
	s.memory.close()
	s.out, m.out = out, out[:0]
	err := s.flush()
	s.forget() // now that the room for the answer is free
	return err
}

// recovered keeps a panic to its own connection. The MTA sees the connection
// end and defers the message.
func (s *session) recovered(err *error) {
	p := recover()
	if p == nil {
		return
	}
	s.server.counters.refused("panic")
	s.server.log.Error("connection closed: a fault in signpostd", "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	*err = io.EOF
}
