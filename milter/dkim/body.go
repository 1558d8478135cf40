package dkim

import "encoding/binary"

// relaxedBody is the relaxed body canonicalization of RFC 6376, section
// 3.4.4, on its way into a hash. Its memory is fixed.
//
// White space is decided at the last octet of a run, which needs only the two
// octets after it: the run becomes one SP, or nothing if a CRLF follows.
// Nothing is ever taken back, so a run may be of any length.
type relaxedBody struct {
	out  lineEnds
	held held
	buf  [bufSize]byte
}

// held is what the last chunk ended with that the next one decides on.
type held uint8

const (
	heldNone held = iota
	heldWSP       // WSP
	heldCR        // WSP CR
)

const bufSize = 4096

func newRelaxedBody() *relaxedBody {
	b := new(relaxedBody)
	b.out.init()
	return b
}

func (b *relaxedBody) reset() {
	b.out.reset()
	b.held = heldNone
}

func (b *relaxedBody) write(p []byte) {
	if len(p) == 0 {
		return
	}
	i, n := b.resume(p) // i octets of p are done, n are in b.buf
	for i+10 <= len(p) {
		if suspect(p[i:i+9])&high == 0 {
			run := plain(p[i:])
			n = b.put(p[i:i+run], n)
			i += run
			continue
		}
		n = b.room(n)
		in := p[i : i+10]
		word, length := squeeze(binary.LittleEndian.Uint64(in), binary.LittleEndian.Uint64(in[1:]),
			binary.LittleEndian.Uint64(in[2:]))
		binary.LittleEndian.PutUint64(b.buf[n:n+8], word)
		n += length
		i += 8
	}
	n = b.room(n)
	for i < len(p) {
		c := p[i]
		i++
		if c == ' ' || c == '\t' {
			i, n = b.blank(p, i, n)
			continue
		}
		b.buf[n] = c
		n++
	}
	b.out.write(b.buf[:n])
}

// room passes the n octets in b.buf on if there is no room for ten more. It
// returns how many remain.
func (b *relaxedBody) room(n int) int {
	if n <= bufSize-10 {
		return n
	}
	b.out.write(b.buf[:n])
	return 0
}

// resume decides on what the last chunk left, given that p follows. It
// returns how much of p is dealt with and how much of b.buf is filled.
func (b *relaxedBody) resume(p []byte) (i, n int) {
	switch b.held {
	case heldWSP:
		b.held = heldNone
		return b.blank(p, 0, 0)
	case heldCR:
		b.held = heldNone
		if p[0] != '\n' {
			b.buf[n] = ' '
			n++
		}
		b.buf[n] = '\r'
		n++
	}
	return 0, n
}

// blank decides on a WSP that p[i:] follows; n counts the octets in b.buf. It
// returns i and n moved on.
func (b *relaxedBody) blank(p []byte, i, n int) (int, int) {
	switch rest := p[i:]; {
	case len(rest) == 0:
		b.held = heldWSP
	case rest[0] == ' ' || rest[0] == '\t':
		// The next one decides.
	case rest[0] == '\r' && len(rest) == 1:
		b.held = heldCR
		i++
	case rest[0] == '\r' && rest[1] == '\n':
		// The line ends: no SP.
	default:
		b.buf[n] = ' '
		n++
	}
	return i, n
}

// sum ends the body. White space at the very end is the end of a line that
// lacks its CRLF, and goes like any other; a CR after it is an octet of text.
func (b *relaxedBody) sum() []byte {
	if b.held == heldCR {
		b.out.write([]byte(" \r"))
	}
	b.held = heldNone
	return b.out.sum(Relaxed)
}

// put writes text that stays as it is. It returns n, the octets in b.buf,
// moved on.
func (b *relaxedBody) put(text []byte, n int) int {
	if n+len(text) <= len(b.buf) {
		return n + copy(b.buf[n:], text)
	}
	b.out.write(b.buf[:n])
	if len(text) > len(b.buf)/2 {
		b.out.write(text) // not worth a copy
		return 0
	}
	return copy(b.buf[:], text)
}
