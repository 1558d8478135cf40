package dkim

// lineWidth is the longest line a field should have, without its CRLF
// (RFC 5322, section 2.1.1).
const lineWidth = 78

// folder writes a field value in lines of at most lineWidth characters, as
// far as there is a place to fold.
type folder struct {
	buf []byte
	col int // characters on the line so far
}

// newFolder begins the value of the field with this name.
func newFolder(name string) *folder { return &folder{col: len(name) + len(":")} }

// tag writes s, which is not split, after a space or on a new line.
func (f *folder) tag(s string) {
	if f.col+1+len(s) > lineWidth {
		f.fold()
	} else {
		f.write(" ")
	}
	f.write(s)
}

// joined writes s, which is not split, with no space before it if it fits.
func (f *folder) joined(s string) {
	if f.col+len(s) > lineWidth {
		f.fold()
	}
	f.write(s)
}

func (f *folder) fold() {
	f.buf = append(f.buf, "\r\n\t"...)
	f.col = 1
}

func (f *folder) write(s string) {
	f.buf = append(f.buf, s...)
	f.col += len(s)
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

// names writes the h= tag, folded at its colons.
func (f *folder) names(names []string) {
	for i, name := range names {
		end := ":"
		if i == len(names)-1 {
			end = ";"
		}
		if i == 0 {
			f.tag("h=" + name + end)
		} else {
			f.joined(name + end)
		}
	}
}
