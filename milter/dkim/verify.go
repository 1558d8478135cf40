package dkim

import (
	"crypto/sha256"
	"hash"
)

// AppendField appends the canonical form of f without its final CRLF, as a
// verifier hashes it (RFC 6376, section 3.4).
func (c Canonicalization) AppendField(dst []byte, f Field) []byte {
	return appendField(dst, c, f.Name, f.Value)
}

// BodyHash hashes a body that has CRLF line ends, as a verifier does. Its
// memory is fixed.
type BodyHash struct {
	relaxed *relaxedBody // nil for a simple body
	ends    *lineEnds
	prefix  *prefixHash
	c       Canonicalization
}

// NewBodyHash hashes the first length octets of the canonical body, as l= has
// it (RFC 6376, section 3.5), or all of it when length is below 0.
func NewBodyHash(c Canonicalization, length int64) *BodyHash {
	b := &BodyHash{c: c}
	if c == Relaxed {
		b.relaxed = newRelaxedBody()
		b.ends = &b.relaxed.out
	} else {
		b.ends = newSimpleBody()
	}
	b.prefix = &prefixHash{Hash: b.ends.hash, most: length}
	b.ends.hash = b.prefix
	return b
}

// Write takes the next chunk of the body. It never fails.
func (b *BodyHash) Write(p []byte) (int, error) {
	if b.relaxed != nil {
		b.relaxed.write(p)
	} else {
		b.ends.write(p)
	}
	return len(p), nil
}

// SumHere returns the hash that the body would have if it ended here, and nil
// where it could not: within a line, or after an empty one, which changes
// nothing. Writing may go on.
func (b *BodyHash) SumHere() []byte {
	if b.ends.crlfs != 1 || b.ends.cr || b.relaxed != nil && b.relaxed.held != heldNone {
		return nil
	}
	inner, ok := b.prefix.Hash.(hash.Cloner)
	if !ok {
		return nil
	}
	clone, err := inner.Clone()
	if err != nil {
		return nil
	}
	clone.Write([]byte("\r\n"))
	return clone.Sum(nil)
}

// Sum ends the body. It returns its hash, and how many octets its canonical
// form has, those beyond the length included.
func (b *BodyHash) Sum() (sum []byte, octets int64) {
	if b.relaxed != nil {
		sum = b.relaxed.sum()
	} else {
		sum = b.ends.sum(b.c)
	}
	return sum, b.prefix.seen
}

// EmptyBody returns the hash of a body without a line.
func EmptyBody(c Canonicalization) []byte {
	if c == Simple {
		sum := sha256.Sum256([]byte("\r\n"))
		return sum[:]
	}
	sum := sha256.Sum256(nil)
	return sum[:]
}

// prefixHash passes on what comes first and counts the rest.
type prefixHash struct {
	hash.Hash
	most int64 // below 0: all
	seen int64
}

func (h *prefixHash) Write(p []byte) (int, error) {
	n := int64(len(p))
	if h.most >= 0 {
		n = max(0, min(n, h.most-h.seen))
	}
	h.Hash.Write(p[:n])
	h.seen += int64(len(p))
	return len(p), nil
}
