// Package dkim makes DKIM signatures: RFC 6376 with RFC 8301 (no weak
// algorithms), RFC 8463 (Ed25519) and RFC 8616 (internationalized names).
//
// A Message takes the header first, then the body in chunks of any size, and
// then gives one DKIM-Signature field per key. Each octet of the body is
// hashed once, whatever the number of keys. Memory does not grow with the body,
// and there is no goroutine.
package dkim

import (
	"errors"
	"fmt"
	"time"

	"signpost/keystore/finding"
)

// Message is a message being signed: Field for each header field, Begin, Write
// for each chunk of the body, Sign. After Reset it takes another one and uses
// the same memory. One goroutine at a time may use it.
type Message struct {
	recipe  *Recipe
	header  header
	names   []string // for h=
	signers []signer

	// The one that the policy asks for, else nil.
	simple  *lineEnds
	relaxed *relaxedBody

	state state
	field folder // reused
}

type state uint8

const (
	inHeader state = iota
	inBody
	signed
)

// NewMessage returns a message that has no field yet.
func (r *Recipe) NewMessage() *Message {
	m := &Message{recipe: r}
	m.header.reset(len(r.names))
	if r.policy.Body == Relaxed {
		m.relaxed = newRelaxedBody()
	} else {
		m.simple = newSimpleBody()
	}
	return m
}

// Reset forgets the message, whatever its state.
func (m *Message) Reset() {
	m.header.reset(len(m.recipe.names))
	m.names = emptied(m.names, mostFields)
	for i := range m.signers {
		m.signers[i].Signature = Signature{}
	}
	m.signers = m.signers[:0]
	if m.relaxed != nil {
		m.relaxed.reset()
	} else {
		m.simple.reset()
	}
	m.state = inHeader
}

// Field takes the next header field, in the order of the message, and keeps
// nothing of the two slices. They are as in Field.
func (m *Message) Field(name, value []byte) {
	if n := m.recipe.find(name); n >= 0 {
		m.header.add(m.recipe.policy.Header, n, name, value)
	}
}

// Grows returns about how many octets of memory Field would take for a field.
// There is no other growth: small ones find room in what is kept.
func (m *Message) Grows(name, value []byte) int {
	if m.recipe.find(name) < 0 {
		return 0
	}
	return m.header.grows(m.recipe.policy.Header, name, value)
}

// Begin ends the header. There must be a From field (RFC 6376, section 5.4),
// and the signatures must be valid.
func (m *Message) Begin(signatures ...Signature) error {
	if m.state != inHeader {
		return finding.WithHint(errors.New("the header has ended already"),
			"Reset begins another message")
	}
	if m.header.last[m.recipe.from] < 0 {
		return finding.WithHint(errors.New("the message has no From field"),
			"DKIM must sign it (RFC 6376 section 5.4), so the sender has to add one")
	}
	m.signers = m.signers[:0] // after one that failed
	for _, s := range signatures {
		if err := m.sign(s); err != nil {
			return err
		}
	}
	m.header.all(m.recipe, func(name string, text []byte) {
		m.names = append(m.names, name)
		for i := range m.signers {
			m.signers[i].hash.Write(text)
		}
	})
	m.state = inBody
	return nil
}

// sign adds a signer, with the memory of one before it where there is one.
func (m *Message) sign(s Signature) error {
	if n := len(m.signers); n < cap(m.signers) {
		m.signers = m.signers[:n+1]
	} else {
		m.signers = append(m.signers, signer{})
	}
	return m.signers[len(m.signers)-1].set(s)
}

// Write takes the next chunk of the body. It never fails and keeps nothing
// of the chunk.
func (m *Message) Write(chunk []byte) (int, error) {
	if m.relaxed != nil {
		m.relaxed.write(chunk)
	} else {
		m.simple.write(chunk)
	}
	return len(chunk), nil
}

// Sign ends the message. It returns the value of one DKIM-Signature field per
// signature, in their order: everything after the colon, beginning with a
// space, folded with CRLF TAB, without a final CRLF. It must go into the
// message as it is. Sign may be called once, and nothing written after it.
// Where a signature cannot be made its value is empty; the error is of the first
// such, and the values of the others are good.
func (m *Message) Sign(now time.Time) ([]string, error) {
	switch m.state {
	case inHeader:
		return nil, finding.WithHint(errors.New("the header has not ended"),
			"call Begin first")
	case signed:
		return nil, finding.WithHint(errors.New("the message is signed already"),
			"Reset begins another")
	}
	m.state = signed
	if t := now.Unix(); t < 0 || t > maxTime {
		return nil, finding.WithHint(fmt.Errorf("the time %s cannot be written in t=", now),
			"set the clock")
	}
	var bodyHash []byte
	if m.relaxed != nil {
		bodyHash = m.relaxed.sum()
	} else {
		bodyHash = m.simple.sum(Simple)
	}
	values := make([]string, 0, len(m.signers))
	var failed error
	for i := range m.signers {
		s := &m.signers[i]
		value, err := s.sign(&m.field, &m.recipe.policy, m.names, now, bodyHash)
		if err != nil && failed == nil {
			failed = fmt.Errorf("signing for %s with selector %s: %w", s.Domain, s.Selector, err)
		}
		values = append(values, value)
	}
	return values, failed
}
