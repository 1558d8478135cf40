package report

import "bytes"

// Kind is what a file is by its content.
type Kind int

// Kinds of files.
const (
	Other     Kind = iota
	Aggregate      // a DMARC aggregate report, for Parse
	TLS            // a TLS report (RFC 8460), for ParseTLS
)

// SniffLen is how much of a file Sniff wants to see. More does no harm.
const SniffLen = 4096

// Sniff tells what a file is from how it begins, unpacked. It says so too of a report that
// Parse will then refuse, so that somebody hears of it.
func Sniff(prefix []byte) Kind {
	text := plain(prefix)
	if len(text) == 0 {
		return Other
	}
	switch first := text[0]; {
	case first == '<' && startsElement(bytes.ToLower(text), "feedback"):
		return Aggregate
	case first == '{' && isTLS(bytes.ToLower(text)):
		return TLS
	}
	return Other
}

// plain takes off what may stand before a text: marks of the encoding and white space. The
// text of UTF-16 is cut down to its ASCII, which is all that Sniff looks at.
func plain(prefix []byte) []byte {
	if _, ok := utf16Order(prefix); ok {
		prefix = bytes.ReplaceAll(prefix, []byte{0}, nil)
		prefix = bytes.TrimPrefix(bytes.TrimPrefix(prefix, []byte{0xfe, 0xff}), []byte{0xff, 0xfe})
	}
	return bytes.TrimLeft(bytes.TrimPrefix(prefix, []byte("\ufeff")), " \t\r\n\x00")
}

// startsElement finds a start tag of an element, whatever its namespace. It need not be the
// root: some reporters put a tag of their schema around it.
func startsElement(text []byte, name string) bool {
	for {
		i := bytes.Index(text, []byte(name))
		if i < 1 {
			return false
		}
		before, after := text[:i], text[i+len(name):]
		ends := len(after) > 0 && bytes.IndexByte([]byte(" \t\r\n/>"), after[0]) >= 0
		if at := bytes.LastIndexByte(before, '<'); ends && at >= 0 {
			prefix := before[at+1:]
			if len(prefix) == 0 || prefix[len(prefix)-1] == ':' && !bytes.ContainsAny(prefix, " \t\r\n>/") {
				return true
			}
		}
		text = after
	}
}

// isTLS wants two of the names that RFC 8460, section 4.4 gives to the members of a report,
// for any of them alone stands in other JSON.
func isTLS(text []byte) bool {
	met := 0
	for _, name := range []string{`"organization-name"`, `"date-range"`, `"report-id"`, `"policies"`} {
		if bytes.Contains(text, []byte(name)) {
			met++
		}
	}
	return met >= 2
}
