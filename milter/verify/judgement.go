// Package verify says what a receiver of a message makes of it: of each DKIM
// signature (RFC 6376, 8301, 8463), of SPF (RFC 7208) and of DMARC (RFC 9989).
//
// It reads a message once, in fixed memory but for the header. It verifies with
// code of its own, as no library tells where a signature breaks, and what would
// mend it.
package verify

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/milter/message"
)

// Options are what a message is judged with.
type Options struct {
	// Source is asked for all records.
	Source dns.Source
	// Offline says that Source holds only some records, so that one that is
	// missing says nothing.
	Offline  bool
	Envelope Envelope
	Now      time.Time
	// Brief leaves out what a pass does not need, SPF, and of a fail what may have caused it.
	Brief bool
}

// Message is a message that has been read: its header, and the hashes of its
// body.
type Message struct {
	text       message.Reader
	signatures []*Signature
	bodies     *bodies
	guesses    int // that were made
}

// Judgement is what a receiver makes of a message.
type Judgement struct {
	Notes      []string // about the message as it was read
	Signatures []*Signature
	SPF        SPF
	DMARC      DMARC
}

// maxSignatures bounds the work that a message can cause (RFC 6376, section 6.1).
const maxSignatures = 20

// Read reads a message to its end. Line ends may be LF. The error says why it
// cannot be read as a message, and names the line.
func Read(r io.Reader) (*Message, error) {
	m := new(Message)
	if err := m.text.ReadHeader(r); err != nil {
		return nil, err
	}
	if m.text.BareLF {
		m.text.Note("path-lf", finding.Note, "header", "lines end in LF and are read as CRLF, as in transit", "")
	}
	signatures := message.Named(m.text.Fields, "dkim-signature")
	if count := len(signatures); count > maxSignatures {
		m.text.Note("dkim-many", finding.Note, "header",
			fmt.Sprintf("%d DKIM signatures, of which only the first %d were verified", count, maxSignatures), "")
		signatures = signatures[:maxSignatures]
	}
	for _, f := range signatures {
		m.signatures = append(m.signatures, parseSignature(f))
	}
	m.bodies = newBodies(m.signatures, m.text.Line)
	if err := m.text.ReadBody(m.bodies.write); err != nil {
		return nil, fmt.Errorf("after line %d: %w", m.text.Line, err)
	}
	m.bodies.end()
	return m, nil
}

// Judge judges the message. It may be called once.
func (m *Message) Judge(ctx context.Context, o Options) *Judgement {
	j := &Judgement{Signatures: m.signatures}
	for _, note := range m.text.Notes {
		j.Notes = append(j.Notes, note.Name+": "+note.What)
	}
	for _, s := range j.Signatures {
		if s.Result == "" {
			m.verify(ctx, s, o)
		}
	}
	if o.Brief && m.passes() {
		j.SPF.Skipped = "not checked: a signature passes"
	} else {
		j.judgeSPF(ctx, m, o)
	}
	j.judgeDMARC(ctx, m, o)
	return j
}

// passes reports whether a signature passes that is likely to be aligned.
func (m *Message) passes() bool {
	author, err := authorDomain(m.text.Fields)
	return err == nil && slices.ContainsFunc(m.signatures, func(s *Signature) bool {
		return s.Result == Pass && s.Related(author)
	})
}
