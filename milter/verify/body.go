package verify

import (
	"bytes"

	"signpost/milter/dkim"
)

// bodies hashes a body in all the ways that the signatures ask for, in one
// pass, and in some more to find out why it does not match.
type bodies struct {
	hashes map[bodyKind]*dkim.BodyHash
	sums   map[bodyKind]bodySum // when the body has ended

	// The body as it was signed may have ended earlier: these are the lines
	// after which it has a hash that a signature gives.
	wanted map[string]bool
	ends   map[bodyEnd]int
	lines  int
	offset int // the line of the file that the header ends at
}

type bodyKind struct {
	c      dkim.Canonicalization
	length int64
}

type bodySum struct {
	hash   []byte
	octets int64
}

type bodyEnd struct {
	c    dkim.Canonicalization
	hash string
}

// maxEnds is after how many lines an earlier end is looked for. What is added
// on the way is added to short messages as to long ones.
const maxEnds = 20000

func newBodies(signatures []*Signature, offset int) *bodies {
	b := &bodies{offset: offset, hashes: make(map[bodyKind]*dkim.BodyHash), sums: make(map[bodyKind]bodySum),
		wanted: make(map[string]bool), ends: make(map[bodyEnd]int)}
	add := func(kind bodyKind) {
		if b.hashes[kind] == nil {
			b.hashes[kind] = dkim.NewBodyHash(kind.c, kind.length)
		}
	}
	for _, s := range signatures {
		if s.Result != "" {
			continue
		}
		add(bodyKind{s.body, s.length})
		add(bodyKind{dkim.Simple, -1})
		add(bodyKind{dkim.Relaxed, -1})
		b.wanted[string(s.bodyHash)] = true
	}
	for c := range b.both() {
		if empty := dkim.EmptyBody(c); b.wanted[string(empty)] {
			b.ends[bodyEnd{c, string(empty)}] = 0
		}
	}
	return b
}

func (b *bodies) both() map[dkim.Canonicalization]*dkim.BodyHash {
	both := make(map[dkim.Canonicalization]*dkim.BodyHash)
	for kind, hash := range b.hashes {
		if kind.length < 0 {
			both[kind.c] = hash
		}
	}
	return both
}

func (b *bodies) write(piece []byte, lineEnd bool) {
	for _, hash := range b.hashes {
		hash.Write(piece)
	}
	if !lineEnd {
		return
	}
	b.lines++
	if b.lines > maxEnds {
		return
	}
	for kind, hash := range b.hashes {
		if kind.length >= 0 {
			continue
		}
		if sum := hash.SumHere(); b.wanted[string(sum)] {
			b.ends[bodyEnd{kind.c, string(sum)}] = b.lines
		}
	}
}

func (b *bodies) end() {
	for kind, hash := range b.hashes {
		sum, octets := hash.Sum()
		b.sums[kind] = bodySum{sum, octets}
	}
}

// matches compares the body with a signature, and says in the signature's
// notes what may have happened to it.
func (b *bodies) matches(s *Signature) bool {
	got := b.sums[bodyKind{s.body, s.length}]
	if s.length > got.octets {
		s.set(Fail, inBody, "l= says that %d octets of the body are signed, and it has only %d", s.length, got.octets)
		return false
	}
	if bytes.Equal(got.hash, s.bodyHash) {
		if s.length >= 0 {
			s.note("l= leaves the body open: anyone may add to it, and some receivers refuse such signatures " +
				"(RFC 6376, section 8.2)")
			if extra := got.octets - s.length; extra > 0 {
				s.note("the last %d octets of the body are not signed", extra)
			}
		}
		return true
	}
	s.set(Fail, inBody, "the body was changed after it was signed: its hash is not the one in bh=")
	b.explain(s)
	return false
}

func (b *bodies) explain(s *Signature) {
	other := dkim.Simple
	if s.body == dkim.Simple {
		other = dkim.Relaxed
	}
	if s.length >= 0 && bytes.Equal(b.sums[bodyKind{s.body, -1}].hash, s.bodyHash) {
		s.note("the whole body has the hash in bh=, but l= says that %d octets are signed", s.length)
		return
	}
	if bytes.Equal(b.sums[bodyKind{other, -1}].hash, s.bodyHash) {
		s.note("the body has the hash in bh= with %s canonicalization, but c= says %s", other, s.body)
		return
	}
	for _, c := range []dkim.Canonicalization{s.body, other} {
		if line, ok := b.ends[bodyEnd{c, string(s.bodyHash)}]; ok && line < b.lines {
			if line == 0 {
				s.note("it was signed without a body: all of the body was added later")
			} else {
				s.note("up to line %d all is as it was signed: what follows, such as the footer of a mailing list, "+
					"was added later", b.offset+line)
			}
			if c != s.body {
				s.note("and that with %s canonicalization, but c= says %s", c, s.body)
			}
			return
		}
	}
}
