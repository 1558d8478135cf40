// Package longline knows how Postfix breaks lines that are too long for SMTP, and
// whether a DKIM signature survives that.
//
// smtp(8) breaks them when it delivers, which is after signing: it ends a line after
// Limit octets and begins the next one with a space. In a header field that makes a
// fold, in a body one more line.
package longline

import "strings"

// Limit is how many octets a line may have, its CRLF not counted: RFC 5322, section
// 2.1.1, and RFC 5321, section 4.5.3.1.6. It is the default of smtp_line_length_limit.
const Limit = 998

// Rule says above how many octets a line is broken, and by which canonicalization the
// text is signed.
type Rule struct {
	Limit   int
	Relaxed bool
}

// Field returns the length of the longest line of a header field that is over the
// limit, 0 for none, and whether breaking it breaks the signature of the field. The
// lines of the value are parted by CRLF, or by LF alone.
//
// In a relaxed field a fold and white space are one SP (RFC 6376, section 3.4.2), so a
// break beside white space changes nothing.
func (r Rule) Field(name, value string) (longest int, breaks bool) {
	if len(name)+len(":")+len(value) <= r.Limit {
		return 0, false
	}
	for line := range strings.Lines(name + ":" + value) {
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if len(line) > r.Limit {
			longest = max(longest, len(line))
		}
		for cut := r.Limit; cut < len(line); cut += max(r.Limit-1, 1) {
			breaks = breaks || !r.Relaxed || !isBlank(line[cut-1]) && !isBlank(line[cut])
		}
	}
	return longest, breaks
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
