package dkim

import "strings"

// lineWidth is the longest line a field should have, without its CRLF
// (RFC 5322, section 2.1.1).
const lineWidth = 78

// folder writes a field value in lines of at most lineWidth characters, as
// far as there is a place to fold.
type folder struct {
	buf []byte
	col int // characters on the line so far
}

// begin begins the value of the field with this name.
func (f *folder) begin(name string) { f.buf, f.col = f.buf[:0], len(name)+len(":") }

// tag writes the parts of a tag, which is not split, after a space or on a new
// line.
func (f *folder) tag(parts ...string) {
	width := 0
	for _, part := range parts {
		width += len(part)
	}
	if f.col+1+width > lineWidth {
		f.fold()
	} else {
		f.write(" ")
	}
	for _, part := range parts {
		f.write(part)
	}
}

func (f *folder) fold() {
	f.buf = append(f.buf, "\r\n\t"...)
	f.col = 1
}

func (f *folder) write(s string) {
	f.buf = append(f.buf, s...)
	f.col += len(s)
}

// wrapped returns the value with what follows the first n octets in lines of
// full width.
func (f *folder) wrapped(n int) string {
	rest := f.buf[n:]
	var value strings.Builder
	value.Grow(len(f.buf) + len("\r\n\t")*(1+len(rest)/(lineWidth-1)))
	value.Write(f.buf[:n])
	for room := lineWidth - f.col; len(rest) > room; room = lineWidth - 1 {
		value.Write(rest[:room])
		value.WriteString("\r\n\t")
		rest = rest[room:]
	}
	value.Write(rest)
	return value.String()
}

// quoted writes a tag of dkim-quoted-printable, in which white space has no
// meaning: it is split only if it is too long for a line, and never within
// an encoded octet.
func (f *folder) quoted(s string) {
	for len(s) > lineWidth-1 {
		n := lineWidth - 1
		if s[n-1] == '=' {
			n--
		} else if s[n-2] == '=' {
			n -= 2
		}
		f.tag(s[:n])
		s = s[n:]
	}
	f.tag(s)
}

// names writes the h= tag, folded at its colons: no space before a name that
// fits.
func (f *folder) names(names []string) {
	for i, name := range names {
		end := ":"
		if i == len(names)-1 {
			end = ";"
		}
		if i == 0 {
			f.tag("h=", name, end)
			continue
		}
		if f.col+len(name)+len(end) > lineWidth {
			f.fold()
		}
		f.write(name)
		f.write(end)
	}
}
