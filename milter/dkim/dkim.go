// Package dkim makes DKIM signatures: RFC 6376 with RFC 8301 (no weak
// algorithms), RFC 8463 (Ed25519) and RFC 8616 (internationalized names).
//
// A Message takes the header first, then the body in chunks of any size, and
// then gives one DKIM-Signature field per key. Each octet of the body is
// hashed once per body canonicalization in use, whatever the number of keys.
// Memory does not grow with the body, and there is no goroutine.
package dkim

import (
	"errors"
	"fmt"
	"time"
)

// Message is a message being signed. One goroutine at a time may use it.
type Message struct {
	// One per body canonicalization that a signature asks for, else nil.
	simple  *lineEnds
	relaxed *relaxedBody

	signers []*signer
	signed  bool
}

// NewMessage begins a message with its header, in the order of the message.
// It needs a From field (RFC 6376, section 5.4) and valid signatures. It does
// not keep the header.
func NewMessage(header []Field, signatures []Signature) (*Message, error) {
	x := newIndex(header)
	if x.lastNamed("from") < 0 {
		return nil, errors.New("the message has no From field; hint: DKIM must sign it (RFC 6376 section 5.4), so the sender has to add one")
	}
	m := new(Message)
	for _, s := range signatures {
		signer, err := newSigner(s)
		if err != nil {
			return nil, err
		}
		m.signers = append(m.signers, signer)
		m.addBody(s.Policy.Body)
	}
	for i, first := range m.signers {
		if first.names == nil {
			hashHeader(header, x, first.policy, m.signers[i:])
		}
	}
	return m, nil
}

func (m *Message) addBody(c Canonicalization) {
	switch {
	case c == Simple && m.simple == nil:
		m.simple = newSimpleBody()
	case c == Relaxed && m.relaxed == nil:
		m.relaxed = newRelaxedBody()
	}
}

// Write takes the next chunk of the body. It never fails and keeps nothing
// of the chunk.
func (m *Message) Write(chunk []byte) (int, error) {
	if m.simple != nil {
		m.simple.write(chunk)
	}
	if m.relaxed != nil {
		m.relaxed.write(chunk)
	}
	return len(chunk), nil
}

// Sign ends the message. It returns the value of one DKIM-Signature field per
// signature, in their order: everything after the colon, beginning with a
// space, folded with CRLF TAB, without a final CRLF. It must go into the
// message as it is. Sign may be called once, and nothing written after it.
func (m *Message) Sign(now time.Time) ([]string, error) {
	if m.signed {
		return nil, errors.New("the message is signed already; hint: make a new one with NewMessage")
	}
	m.signed = true
	if t := now.Unix(); t < 0 || t > maxTime {
		return nil, fmt.Errorf("the time %s cannot be written in t=; hint: set the clock", now)
	}
	var simple, relaxed []byte
	if m.simple != nil {
		simple = m.simple.sum(Simple)
	}
	if m.relaxed != nil {
		relaxed = m.relaxed.sum()
	}
	values := make([]string, 0, len(m.signers))
	for _, s := range m.signers {
		bodyHash := simple
		if s.policy.Body == Relaxed {
			bodyHash = relaxed
		}
		value, err := s.sign(now, bodyHash)
		if err != nil {
			return nil, fmt.Errorf("signing for %s with selector %s: %w", s.domain, s.selector, err)
		}
		values = append(values, value)
	}
	return values, nil
}
