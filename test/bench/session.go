package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"

	"signpost/test/lab"
)

// replyTimeout bounds the wait for a reply. Postfix waits as long (milter_content_timeout).
const replyTimeout = 300 * time.Second

// A session sends messages to a milter, one after another.
type session struct {
	network, address string // of the milter
	mail             mail
	perConnection    int           // messages on a connection, 0 for as many as there are
	domain           func() string // the author domain of the next message
	signatures       int           // that each message must get
	mayDefer         bool          // and be asked to send a message again, which is counted
	number           int           // of the session, which the queue IDs bear

	conn    net.Conn
	replies *bufio.Reader
	buf     []byte
	agreed  agreement // that the script was built for
	script  *script

	sent     int // messages, ever
	messages int // in this run
	deferred int // likewise, and beside those
	eom      []time.Duration
	whole    []time.Duration
	samples  []sample
}

// maxSamples is how many messages of a run each session keeps to verify.
const maxSamples = 4

// run sends messages until then, at least one, and returns with none under way.
func (s *session) run(until time.Time) error {
	s.messages, s.deferred, s.eom, s.whole, s.samples = 0, 0, s.eom[:0], s.whole[:0], nil
	defer func() {
		if s.conn != nil {
			s.conn.Close()
			s.conn = nil
		}
	}()
	for {
		if err := s.connect(); err != nil {
			return err
		}
		for n := 0; n == 0 || n != s.perConnection && time.Now().Before(until); n++ {
			added, err := s.send(n == 0)
			if s.mayDefer && errors.Is(err, errDeferred) {
				s.deferred++
				continue
			}
			if err != nil {
				return fmt.Errorf("message %d of session %d: %w", s.sent, s.number, err)
			}
			if err := s.require(added); err != nil {
				return err
			}
		}
		if err := s.disconnect(); err != nil {
			return err
		}
		if !time.Now().Before(until) {
			return nil
		}
	}
}

// errDeferred says that a message is to be sent again later.
var errDeferred = errors.New("deferred")

// single sends one message on a connection of its own.
func (s *session) single() ([]field, error) {
	if err := s.connect(); err != nil {
		return nil, err
	}
	added, err := s.send(true)
	if err != nil {
		return nil, errors.Join(err, s.conn.Close())
	}
	return added, s.disconnect()
}

// require sees to it that the message sent last was signed.
func (s *session) require(added []field) error {
	if len(added) != s.signatures {
		return fmt.Errorf("message %d of session %d got %d signatures, want %d", s.sent, s.number, len(added), s.signatures)
	}
	return nil
}

// connect connects, negotiates, and says who the client is.
func (s *session) connect() (err error) {
	s.conn, err = net.Dial(s.network, s.address)
	if err != nil {
		return err
	}
	if tcp, ok := s.conn.(*net.TCPConn); ok {
		tcp.SetNoDelay(false) // as Postfix leaves it
	}
	if s.replies == nil {
		s.replies = bufio.NewReaderSize(nil, 4<<10)
	}
	s.replies.Reset(s.conn)
	s.conn.SetDeadline(time.Now().Add(replyTimeout))
	if _, err := s.conn.Write(lab.Offer()); err != nil {
		return err
	}
	command, payload, err := lab.ReadFrame(s.replies, &s.buf)
	if err != nil {
		return fmt.Errorf("negotiation: %w", err)
	}
	if command != 'O' {
		return fmt.Errorf("negotiation answered with %q", command)
	}
	if s.script == nil || s.agreed.raw != string(payload) {
		s.agreed, err = parseAgreement(payload)
		if err != nil {
			return err
		}
		s.script = newScript(s.agreed, s.mail)
	}
	for _, step := range s.script.open {
		if _, err := s.conn.Write(s.script.bytes[step.start:step.end]); err != nil {
			return err
		}
		if _, _, err := s.reply(step.command); err != nil {
			return err
		}
	}
	return nil
}

// disconnect ends the last message, and the connection.
func (s *session) disconnect() error {
	_, err := s.conn.Write(slices.Concat(abort, quit))
	return errors.Join(err, s.conn.Close())
}

// lastWrite is how much of what goes with the end of the message is written when
// the clock for it starts, in bytes: a small message altogether.
const lastWrite = 64 << 10

// send sends a message, and returns the signatures that were added.
func (s *session) send(first bool) (added []field, err error) {
	s.sent++
	domain, id := s.domain(), queueID(s.number, s.sent)
	s.script.stamp(domain, id)
	start := time.Now()
	s.conn.SetDeadline(start.Add(replyTimeout))
	ended := start
	skipping := false
	for i, step := range s.script.message {
		if skipping && step.command == 'B' {
			continue
		}
		out := net.Buffers{s.script.bytes[step.start:step.end]}
		if i == 0 && first {
			out = net.Buffers{s.script.unasked, out[0][len(abort):]}
		}
		if last := len(out) - 1; step.command == 'E' && len(out[last]) > lastWrite {
			early := len(out[last]) - lastWrite
			before := append(out[:last:last], out[last][:early])
			out = net.Buffers{out[last][early:]}
			if _, err := before.WriteTo(s.conn); err != nil {
				return nil, err
			}
		}
		ended = time.Now()
		if _, err := out.WriteTo(s.conn); err != nil {
			return nil, err
		}
		skip, signatures, err := s.reply(step.command)
		if err != nil {
			return nil, fmt.Errorf("answer to %q: %w", step.command, err)
		}
		skipping = skipping || skip
		added = signatures
	}
	now := time.Now()
	s.messages++
	s.eom = append(s.eom, now.Sub(ended))
	s.whole = append(s.whole, now.Sub(start))
	s.keep(sample{domain: domain, id: id, added: added})
	return added, nil
}

// reply reads what the milter answers to a command. Before the end of the
// message that is one frame.
func (s *session) reply(command byte) (skip bool, added []field, err error) {
	for {
		answer, payload, err := lab.ReadFrame(s.replies, &s.buf)
		if err != nil {
			return false, nil, err
		}
		switch {
		case answer == 'p': // more time, please
		case answer == 'c', answer == 'a' && command == 'E':
			return false, added, nil
		case answer == 's' && command == 'B':
			return true, nil, nil
		case command == 'E' && (answer == 'h' || answer == 'i' || answer == 'm'):
			if f, ok := s.signature(answer, payload); ok {
				added = append(added, f)
			}
		case command == 'E' && answer == 'y' && bytes.HasPrefix(payload, []byte("4")):
			return false, nil, fmt.Errorf("%w: %q %q", errDeferred, answer, payload)
		default:
			return false, nil, fmt.Errorf("%q %q", answer, payload)
		}
	}
}

// signature reads a DKIM-Signature field out of the frame that adds it.
func (s *session) signature(command byte, payload []byte) (field, bool) {
	if command != 'h' && len(payload) >= 4 {
		payload = payload[4:] // where to insert it
	}
	name, value, _ := bytes.Cut(payload, []byte{0})
	if command == 'm' || !strings.EqualFold(string(name), "DKIM-Signature") {
		return field{}, false
	}
	f := field{name: "DKIM-Signature", value: strings.ReplaceAll(strings.TrimSuffix(string(value), "\x00"), "\r\n", "\n")}
	if s.agreed.protocol&leadingSpace == 0 {
		f.value = " " + f.value
	}
	return f, true
}

// keep keeps a message to verify, each of a run with the same chance.
func (s *session) keep(m sample) {
	if len(s.samples) < maxSamples {
		s.samples = append(s.samples, m)
	} else if i := rand.IntN(s.messages); i < maxSamples {
		s.samples[i] = m
	}
}

// queueID is as long as idMark.
func queueID(session, message int) string {
	return fmt.Sprintf("4bQ%03d%06d", session%1000, message%1000000)
}
