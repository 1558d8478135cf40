package dkim

import (
	"crypto/sha256"
	"hash"
	"strings"
)

// lineEnds passes a body on to its hash, but keeps back the CRLFs it ends
// with so far: RFC 6376, sections 3.4.3 and 3.4.4, ignore empty lines at the
// end. They are counted, not stored. By itself it is the simple body
// canonicalization.
type lineEnds struct {
	hash  hash.Hash
	crlfs int  // CRLFs kept back
	cr    bool // a CR after them, which may begin another
	text  bool // something has been hashed
	crlf  [512]byte
}

func (l *lineEnds) init() {
	l.hash = sha256.New()
	copy(l.crlf[:], strings.Repeat("\r\n", len(l.crlf)/2))
}

func (l *lineEnds) reset() {
	l.hash.Reset()
	l.crlfs, l.cr, l.text = 0, false, false
}

func newSimpleBody() *lineEnds {
	l := new(lineEnds)
	l.init()
	return l
}

func (l *lineEnds) write(p []byte) {
	if len(p) == 0 {
		return
	}
	if l.cr {
		l.cr = false
		if p[0] == '\n' {
			l.crlfs++
			p = p[1:]
		} else {
			l.pass(l.crlf[:1]) // a bare CR
		}
	}
	end := len(p)
	if end > 0 && p[end-1] == '\r' {
		l.cr = true
		end--
	}
	last := end
	for end >= 2 && p[end-2] == '\r' && p[end-1] == '\n' {
		end -= 2
	}
	if end > 0 {
		l.pass(p[:end])
	}
	l.crlfs += (last - end) / 2
}

// pass hashes text, and before it the line ends kept back.
func (l *lineEnds) pass(text []byte) {
	for l.crlfs > 0 {
		n := min(l.crlfs, len(l.crlf)/2)
		l.hash.Write(l.crlf[:2*n])
		l.crlfs -= n
	}
	l.hash.Write(text)
	l.text = true
}

// sum ends the body. Whatever line ends were kept back, there is one CRLF, so
// that one is added where the body has none. Only the relaxed body may be
// empty.
func (l *lineEnds) sum(c Canonicalization) []byte {
	if l.cr {
		l.pass(l.crlf[:1])
	}
	if l.text || c == Simple {
		l.hash.Write(l.crlf[:2])
	}
	return l.hash.Sum(nil)
}
