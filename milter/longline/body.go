package longline

import "bytes"

// Line is a line of a body.
type Line struct {
	Number int // from 1
	Octets int
}

// Body looks for the first line of a body that is over the limit. It takes the body in
// pieces of any size and keeps nothing of them.
type Body struct {
	Rule
	lines  int  // that have ended
	octets int  // of the line that has not, a CR at its end included
	cr     bool // there is one
	long   Line // that is over the limit; its Number is 0 while there is none
	ended  bool // its length is known
	breaks bool // the signature does
}

// Reset begins another body.
func (b *Body) Reset() { *b = Body{Rule: b.Rule} }

// Write takes the next piece.
func (b *Body) Write(p []byte) {
	if b.long.Number == 0 {
		p = b.find(p)
	}
	if b.long.Number == 0 || b.ended && b.breaks {
		return
	}
	// A relaxed body has no blanks at the end of a line and no empty lines at its end
	// (RFC 6376, section 3.4.4): where only those follow, a break changes nothing.
	b.breaks = b.breaks || hasText(p)
	if b.ended || len(p) == 0 {
		return
	}
	i := bytes.IndexByte(p, '\n')
	if b.ended = i >= 0; !b.ended {
		i = len(p)
	}
	b.long.Octets += i
	b.cr = b.isCR(p, i-1)
	if b.ended && b.cr {
		b.long.Octets--
	}
}

// find looks in p for a line that is over the limit. It returns the octets that are
// over it and all that follows.
//
// Few lines are long, so it does not look at each: an LF late among as many octets as a
// line may have begins the next step.
func (b *Body) find(p []byte) []byte {
	start := -b.octets // of a line in p
	for over := start + b.Limit; over+1 < len(p); over = start + b.Limit {
		begin := max(start, 0)
		if i := lateLF(p[begin : over+1]); i >= 0 {
			start = begin + i + 1
		} else if b.isCR(p, over) && p[over+1] == '\n' {
			start = over + 2
		} else {
			return b.found(p, start)
		}
	}
	if last := bytes.LastIndexByte(p[max(start, 0):], '\n'); last >= 0 {
		start = max(start, 0) + last + 1
	}
	octets, cr := len(p)-start, b.isCR(p, len(p)-1)
	if octets > b.Limit+1 || octets == b.Limit+1 && !cr {
		return b.found(p, start)
	}
	b.lines += bytes.Count(p, []byte("\n"))
	b.octets, b.cr = octets, cr
	return nil
}

// lateLF returns where in p there is an LF, be it among the last octets, or -1.
func lateLF(p []byte) int {
	if late := len(p) - 128; late > 0 {
		if i := bytes.IndexByte(p[late:], '\n'); i >= 0 {
			return late + i
		}
	}
	return bytes.IndexByte(p, '\n')
}

func hasText(p []byte) bool {
	for _, c := range p {
		if !isBlank(c) && c != '\r' && c != '\n' {
			return true
		}
	}
	return false
}

// found takes the line that begins at p[start].
func (b *Body) found(p []byte, start int) []byte {
	over := max(start+b.Limit, 0)
	b.long = Line{Number: b.lines + bytes.Count(p[:max(start, 0)], []byte("\n")) + 1, Octets: over - start}
	b.breaks = !b.Relaxed || start+b.Limit < 0 // a CR that was no line end
	return p[over:]
}

// isCR looks at p[i], or at the end of the piece before.
func (b *Body) isCR(p []byte, i int) bool { return i < 0 && b.cr || i >= 0 && p[i] == '\r' }

// End ends the body. It returns the line that is over the limit, the zero Line for none,
// and whether breaking it breaks the signature.
func (b *Body) End() (line Line, breaks bool) {
	if b.long.Number == 0 && b.octets >= b.Limit {
		// A last line of as many octets as may be, without an end, as sendmail(1) may
		// hand it in: smtp(8) begins one more line after it.
		return Line{b.lines + 1, b.octets}, !b.Relaxed || b.octets > b.Limit
	}
	return b.long, b.breaks
}
