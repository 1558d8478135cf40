// Package receiver says what a receiver of a message makes of it: of each DKIM
// signature (RFC 6376, 8301, 8463), of SPF (RFC 7208) and of DMARC (RFC 9989).
//
// It reads a message once, in fixed memory but for the header. It verifies with
// code of its own, as no library tells where a signature breaks, and what would
// mend it.
package receiver

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"signpost/keystore/published"
)

// Options are what a message is judged with.
type Options struct {
	// Source is asked for all records.
	Source published.Source
	// Offline says that Source holds only some records, so that one that is
	// missing says nothing.
	Offline  bool
	Envelope Envelope
	Now      time.Time
}

// Judgement is what a receiver makes of a message.
type Judgement struct {
	Notes      []string // about the message as it was read
	Signatures []*Signature
	SPF        SPF
	DMARC      DMARC
}

// maxSignatures is how many signatures are looked at: an end to the work that
// a message can make (RFC 6376, section 6.1).
const maxSignatures = 20

// Judge reads a message and judges it. The error says why it cannot be read as
// one, and names the line.
func Judge(ctx context.Context, r io.Reader, o Options) (*Judgement, error) {
	m, err := readHeader(r)
	if err != nil {
		return nil, err
	}
	j := new(Judgement)
	for _, f := range m.fields {
		if !strings.EqualFold(strings.TrimRight(f.Name, " \t"), "dkim-signature") {
			continue
		}
		s := parseSignature(f)
		if len(j.Signatures) >= maxSignatures {
			s.set(Policy, InNumber, "it is not looked at: the message has more than %d signatures", maxSignatures)
		}
		j.Signatures = append(j.Signatures, s)
	}
	b := newBodies(j.Signatures)
	if err := m.readBody(b.write); err != nil {
		return nil, fmt.Errorf("after line %d: %w", m.line, err)
	}
	b.end()
	for _, s := range j.Signatures {
		if s.Result == "" {
			s.verify(ctx, o.Source, m, b, o.Now)
		}
	}
	j.judgeSPF(ctx, m, o)
	j.judgeDMARC(ctx, m, o)
	j.Notes = m.notes
	return j, nil
}
