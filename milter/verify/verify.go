package verify

import (
	"bytes"
	"context"
	"crypto"
	"crypto/rsa"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"signpost/milter/message"
)

// clockDrift is how far a clock may be ahead of ours.
const clockDrift = 5 * time.Minute

// verify finds out what becomes of a signature that could be read. What is
// certain goes first: a changed body whatever the DNS says.
func (m *Message) verify(ctx context.Context, s *Signature, o Options) {
	sameBody := m.bodies.matches(s)
	body := *s
	keys := s.fetchKeys(ctx, o)
	if len(keys) == 0 {
		if !sameBody && s.Result == TempError {
			s.set(body.Result, body.Where, "%s", body.Reason)
			s.note("the key could not be looked up either")
		} else if !sameBody {
			s.note("besides, %s", body.Reason)
		}
		return
	}
	digest := s.headerDigest(m.text.Fields)
	if !slices.ContainsFunc(keys, func(key crypto.PublicKey) bool { return good(key, digest, s.signature) }) {
		m.headerFails(s, keys[0], o.Brief)
		if !sameBody {
			s.note("besides, %s", body.Reason)
		}
		return
	}
	if !sameBody {
		s.set(body.Result, body.Where, "%s", body.Reason)
		s.note("the header and the key are good: only the body was changed")
		return
	}
	switch {
	case !s.Expires.IsZero() && o.Now.After(s.Expires):
		s.set(Fail, inTime, "it expired on %s (x=), and is good apart from that", day(s.Expires))
	case s.Time.After(o.Now.Add(clockDrift)):
		s.set(Fail, inTime, "it was made on %s (t=), which is in the future, and is good apart from that", day(s.Time))
	default:
		s.set(Pass, "", "")
	}
}

func day(t time.Time) string { return t.Format("2006-01-02 15:04:05 MST") }

// headerFails says why a signature does not match the header, as far as that
// can be known.
func (m *Message) headerFails(s *Signature, key crypto.PublicKey, brief bool) {
	if key, ok := key.(*rsa.PublicKey); ok && !madeWith(key, s.signature) {
		s.set(Fail, inKey, "the signature was not made with the key at %s", s.name())
		s.note("either the record holds the key of another time or place, or b= was damaged")
		return
	}
	s.set(Fail, inHeader, "a signed header field was changed, added or removed")
	if _, ok := key.(*rsa.PublicKey); ok {
		s.note("the key is the right one")
	} else {
		s.Reason += ", or the signature was made with another key than the one at " + s.name()
	}
	if brief {
		return
	}
	if guess := m.guess(s, key); guess != "" {
		s.note("%s", guess)
	}
}

// These bound how many other headers are tried for all signatures together, and
// of how many fields.
const (
	maxGuesses = 200
	maxFields  = 500
)

// guess tries what is often done to headers on the way. Whatever it returns is
// certain: the signature matches the header it names.
func (m *Message) guess(s *Signature, key crypto.PublicKey) string {
	fields := m.text.Fields
	if len(fields) > maxFields {
		return ""
	}
	matches := func(header []message.Field) bool {
		m.guesses++
		return m.guesses <= maxGuesses && good(key, s.headerDigest(header), s.signature)
	}
	for i, f := range fields {
		name := strings.ToLower(strings.TrimRight(f.Name, " \t"))
		if !slices.Contains(s.Signed, name) {
			continue
		}
		if matches(slices.Delete(slices.Clone(fields), i, i+1)) {
			return fmt.Sprintf("it matches without the %s field at line %d: that was added later", f.Name, f.Line)
		}
		if name != "subject" {
			continue
		}
		// A mailing list puts "[name] " in front.
		value := strings.TrimLeft(f.Value, whiteSpace)
		if tag, rest, found := strings.Cut(value, "]"); found && strings.HasPrefix(tag, "[") {
			changed := slices.Clone(fields)
			changed[i].Value = " " + strings.TrimLeft(rest, whiteSpace)
			if matches(changed) {
				return fmt.Sprintf("it matches without %q at the start of the Subject: a mailing list may have put it there",
					tag+"]")
			}
		}
	}
	return ""
}

// digestInfo comes before a SHA-256 digest in an RSA signature (RFC 8017,
// section 9.2).
const digestInfo = "\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20"

// madeWith reports whether an RSA signature was made with the private half of
// key, whatever it signs: only then does it come out in the right form.
func madeWith(key *rsa.PublicKey, signature []byte) bool {
	size := key.Size()
	if len(signature) != size || size < 64 {
		return false
	}
	number := new(big.Int).SetBytes(signature)
	if number.Cmp(key.N) >= 0 {
		return false
	}
	form := number.Exp(number, big.NewInt(int64(key.E)), key.N).FillBytes(make([]byte, size))
	want := slices.Concat([]byte{0, 1}, bytes.Repeat([]byte{0xff}, size-3-len(digestInfo)-32), []byte{0},
		[]byte(digestInfo))
	return bytes.Equal(form[:len(want)], want)
}
