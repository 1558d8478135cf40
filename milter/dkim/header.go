package dkim

import (
	"slices"
	"strings"
)

// Field is a header field as it stands in the message. Value is everything
// after the colon, a leading space included, without the final line end.
// Lines of a folded value may be parted by CRLF, or by a lone LF as the milter
// protocol hands them over; both mean CRLF.
type Field struct{ Name, Value string }

// index finds the fields of a header by name, from the last one up.
type index struct {
	names map[string]int // by lower-case name: where in last
	last  []int          // the last field of a name
	above []int          // by field: the next one up of its name, or -1
}

// newIndex looks at each field once, however many have one name.
func newIndex(header []Field) index {
	x := index{names: make(map[string]int), above: make([]int, len(header))}
	var buf []byte
	for i, f := range header {
		buf = appendName(buf[:0], f.Name)
		n, ok := x.names[string(buf)]
		if !ok {
			n = len(x.last)
			x.names[string(buf)] = n
			x.last = append(x.last, -1)
		}
		x.above[i], x.last[n] = x.last[n], i
	}
	return x
}

// lastNamed returns the last field with a lower-case name, or -1.
func (x index) lastNamed(name string) int {
	if n, ok := x.names[name]; ok {
		return x.last[n]
	}
	return -1
}

// hashHeader hashes the fields that policy signs for each signer with that
// policy, and gives it their names for h=: in the order of Sign, each as often
// as it occurs, and once more where it is oversigned.
//
// Of fields with one name the last goes first (RFC 6376, section 5.4.2). The
// name too many stands for no field and adds nothing to the hash.
func hashHeader(header []Field, x index, policy *Policy, signers []*signer) {
	signers = slices.DeleteFunc(slices.Clone(signers), func(s *signer) bool { return s.policy != policy })
	sign, oversign := policy.fields()
	names := make([]string, 0, len(sign)+len(oversign))
	var buf []byte
	for _, name := range sign {
		name = lower(name)
		for i := x.lastNamed(name); i >= 0; i = x.above[i] {
			names = append(names, name)
			buf = appendField(buf[:0], policy.Header, header[i])
			buf = append(buf, "\r\n"...)
			for _, s := range signers {
				s.hash.Write(buf)
			}
		}
		if listed(oversign, name) {
			names = append(names, name)
		}
	}
	for _, s := range signers {
		s.names = names
	}
}

// appendField appends the canonical form of f without its final CRLF.
func appendField(dst []byte, c Canonicalization, f Field) []byte {
	if c == Relaxed {
		dst = appendName(dst, f.Name)
		dst = append(dst, ':')
		return appendRelaxed(dst, f.Value)
	}
	dst = append(dst, f.Name...)
	dst = append(dst, ':')
	return appendSimple(dst, f.Value)
}

// appendSimple appends v as it stands in the message: with CRLF line ends.
func appendSimple(dst []byte, v string) []byte {
	for {
		line, rest, more := strings.Cut(v, "\n")
		if !more {
			return append(dst, v...)
		}
		dst = append(dst, strings.TrimSuffix(line, "\r")...)
		dst = append(dst, "\r\n"...)
		v = rest
	}
}

// appendRelaxed appends v by RFC 6376, section 3.4.2: unfolded, each run of
// white space one SP, none at either end. A bare CR is not white space.
func appendRelaxed(dst []byte, v string) []byte {
	start, blank := len(dst), false
	for i := 0; i < len(v); i++ {
		c := v[i]
		if c == ' ' || c == '\t' {
			blank = true
			continue
		}
		if c == '\n' || c == '\r' && i+1 < len(v) && v[i+1] == '\n' {
			continue // a fold; the white space after it counts by itself
		}
		if blank && len(dst) > start {
			dst = append(dst, ' ')
		}
		blank = false
		dst = append(dst, c)
	}
	return dst
}

// appendName appends a field name in lower case, without white space between
// it and the colon (RFC 5322, section 4.5, had some). Other octets stay.
func appendName(dst []byte, name string) []byte {
	for _, c := range []byte(strings.TrimRight(name, " \t")) {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}
