package report

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of what is read of one report, whatever its size.
const (
	maxDepth = 32        // of elements
	maxText  = 1000      // bytes of one text; the rest is cut off
	window   = 64 * 1024 // bytes that are looked at, and the longest tag
	maxNames = 1000      // of elements that are kept
)

// token is what markup.next has come to.
type token int

const (
	start token = iota
	end
	text
)

// markup reads XML as reporters write it, piece by piece. It is not encoding/xml, which gives
// up where an address in angle brackets, a "<" in a name or a missing end tag stands in an
// element that nobody asks for. What it gives is always nested: an end tag closes what was
// left open inside, and one that closes nothing is passed over. Entities other than those of
// XML itself do not exist, and a document type is refused, so nothing can grow.
type markup struct {
	in   *bufio.Reader
	line int

	name string // of the element that started or ended
	text []byte // valid until next is called; in which encoding may be wrong
	open []string
	odd  bool // not well-formed, so far
	cut  bool // the text was cut off

	inTag   bool   // "<" was read
	keep    int    // how many elements shall be left open: more are ended first
	pending string // element that starts once these are
	empty   bool   // the element that starts ends at once

	several bool // a report may follow another
	begun   bool // something of a report has been met
	another bool // the next report begins here, and the input ends for this one

	names map[string]string
}

func newMarkup(r io.Reader) *markup {
	return &markup{in: bufio.NewReaderSize(r, window), line: 1, keep: maxDepth, names: make(map[string]string)}
}

// next reads up to the next start, end or text that is not blank. At the end of the input it
// returns io.EOF, whatever is open.
func (m *markup) next() (token, error) {
	for {
		switch {
		case len(m.open) > m.keep:
			m.name = m.open[len(m.open)-1]
			m.open = m.open[:len(m.open)-1]
			return end, nil
		case m.pending != "":
			return m.begin()
		case m.another:
			return text, io.EOF
		}
		m.keep = maxDepth
		m.text, m.cut = m.text[:0], false
		var err error
		if !m.inTag {
			err = m.readText()
		} else if err = m.readTag(); err == nil && (m.pending != "" || len(m.open) > m.keep) {
			continue
		}
		if err != nil && err != io.EOF {
			return text, err
		}
		if len(bytes.TrimSpace(m.text)) > 0 {
			return text, nil
		}
		if err != nil {
			return text, err
		}
	}
}

// begin opens the pending element.
func (m *markup) begin() (token, error) {
	if len(m.open) == maxDepth {
		m.pending = ""
		return start, m.errorf("elements are nested more than %d deep", maxDepth)
	}
	m.name, m.pending = m.pending, ""
	m.open = append(m.open, m.name)
	m.keep = maxDepth
	if m.empty {
		m.keep, m.empty = len(m.open)-1, false
	}
	return start, nil
}

// skip passes over what is left of the elements that are open beyond a depth.
func (m *markup) skip(depth int) error {
	for len(m.open) > depth {
		if _, err := m.next(); err != nil {
			return err
		}
	}
	return nil
}

// readText reads up to the next "<", and that too.
func (m *markup) readText() error {
	for {
		s, err := m.in.ReadSlice('<')
		m.line += bytes.Count(s, []byte("\n"))
		if err == nil {
			m.inTag = true
			s = s[:len(s)-1]
		}
		m.add(unescape(s))
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// add adds to the text as far as there is room.
func (m *markup) add(s []byte) {
	if room := maxText - len(m.text); len(s) > room {
		m.cut = m.cut || len(bytes.TrimSpace(s[room:])) > 0
		s = s[:room]
	}
	m.text = append(m.text, s...)
}

// readTag reads what follows a "<", be it a tag or not.
func (m *markup) readTag() error {
	m.inTag = false
	s, err := m.peek()
	switch {
	case bytes.HasPrefix(s, []byte("!--")):
		m.discard(len("!--"))
		return m.until("-->", false)
	case bytes.HasPrefix(s, []byte("![CDATA[")):
		m.discard(len("![CDATA["))
		return m.until("]]>", true)
	case len(s) >= 8 && bytes.EqualFold(s[:8], []byte("!doctype")):
		return m.errorf("a document type (<!DOCTYPE>) is refused: no report has one")
	case errors.Is(err, bufio.ErrBufferFull):
		return m.errorf("a tag of more than %d bytes", window)
	case err != nil && err != io.EOF:
		return err
	case len(s) > 1 && (s[0] == '!' || s[0] == '?') && s[len(s)-1] == '>':
		m.discard(len(s))
		return nil
	}
	tag, ends := bytes.CutPrefix(s, []byte("/"))
	name := m.tagName(tag)
	if name == "" || !bytes.HasSuffix(s, []byte(">")) {
		m.odd = true
		m.add([]byte("<"))
		m.add(unescape(s))
		m.discard(len(s))
		return nil
	}
	empty := bytes.HasSuffix(s, []byte("/>"))
	m.discard(len(s))
	m.tag(name, ends, empty)
	return nil
}

// tag takes up a start or an end tag.
func (m *markup) tag(name string, ends, empty bool) {
	if ends {
		for i := len(m.open) - 1; i >= 0; i-- {
			if m.open[i] == name {
				m.odd = m.odd || i < len(m.open)-1
				m.keep = i
				return
			}
		}
		m.odd = true
		return
	}
	if m.several && m.begun && name == "feedback" {
		m.another, m.empty = true, empty
		return
	}
	m.begun = m.begun || elements[name]
	// Nothing of the schema stands in an element that holds a value: its end tag is missing.
	if n := len(m.open); n > 0 && valueElements[m.open[n-1]] && (valueElements[name] || elements[name]) {
		m.odd = true
		m.keep = n - 1
	}
	m.pending, m.empty = name, empty
}

// tagName returns the name at the start of a tag, in lower case and without its namespace; it
// is empty for what cannot be a tag.
func (m *markup) tagName(s []byte) string {
	if i := bytes.IndexAny(s, " \t\r\n/>"); i >= 0 {
		s = s[:i]
	}
	if name, ok := m.names[string(s)]; ok {
		return name
	}
	for i, c := range s {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c == ':' || c >= 0x80
		if !letter && (i == 0 || (c < '0' || '9' < c) && c != '-' && c != '.') {
			return ""
		}
	}
	local := s[bytes.LastIndexByte(s, ':')+1:]
	name := string(bytes.ToLower(local[:min(len(local), 100)]))
	if len(m.names) < maxNames && len(s) <= 100 {
		m.names[string(s)] = name
	}
	return name
}

// until passes over what stands before a mark, and the mark, or takes it for text.
func (m *markup) until(mark string, isText bool) error {
	last := make([]byte, 0, len(mark)+1)
	for string(last) != mark {
		c, err := m.in.ReadByte()
		if err != nil {
			return err
		}
		if c == '\n' {
			m.line++
		}
		if last = append(last, c); len(last) <= len(mark) {
			continue
		}
		if isText {
			m.add(last[:1])
		}
		last = append(last[:0], last[1:]...)
	}
	return nil
}

// peek returns what follows, up to and with the next ">", or up to the next "<", which no tag
// has in it, and does not consume it. Where there is neither it says why.
func (m *markup) peek() ([]byte, error) {
	for seen := 0; ; {
		s, err := m.in.Peek(max(m.in.Buffered(), seen+1))
		if i := bytes.IndexAny(s[seen:], "<>"); i >= 0 {
			if s[seen+i] == '>' {
				i++
			}
			return s[:seen+i], nil
		}
		if err != nil || len(s) == window {
			return s, cmp.Or(err, bufio.ErrBufferFull)
		}
		seen = len(s)
	}
}

// discard consumes bytes that were peeked at.
func (m *markup) discard(n int) {
	s, _ := m.in.Peek(n)
	m.line += bytes.Count(s, []byte("\n"))
	m.in.Discard(n)
}

// follows goes to the report that follows, and tells whether there is one. The error says why
// reading ended before that is known.
func (m *markup) follows() (bool, error) {
	var wrong syntaxError
	for !m.another {
		switch _, err := m.next(); {
		case err == nil, errors.As(err, &wrong), m.another:
		case err == io.EOF:
			return false, nil
		default:
			return false, err
		}
	}
	m.another, m.odd = false, false
	m.open, m.pending, m.keep = m.open[:0], "feedback", maxDepth
	return true, nil
}

// syntaxError is an error of what was read, not of reading.
type syntaxError struct{ error }

func (e syntaxError) Unwrap() error { return e.error }

// errorf says what is wrong in the line that was read last.
func (m *markup) errorf(format string, args ...any) error {
	return syntaxError{fmt.Errorf("line %d: "+format, append([]any{m.line}, args...)...)}
}

// unescape replaces the entities of XML and references to characters. An "&" that begins
// nothing of the kind stands for itself, as those meant who wrote it. What is long enough to be
// cut off is not looked at.
func unescape(s []byte) []byte {
	if bytes.IndexByte(s, '&') < 0 {
		return s
	}
	s = s[:min(len(s), 8*maxText)]
	var out []byte
	for {
		before, after, found := bytes.Cut(s, []byte("&"))
		out = append(out, before...)
		if !found {
			return out
		}
		s = after
		i := bytes.IndexByte(s[:min(len(s), 12)], ';')
		r, ok := rune(0), false
		if i > 0 {
			r, ok = character(string(s[:i]))
		}
		if !ok {
			out = append(out, '&')
			continue
		}
		out = utf8.AppendRune(out, r)
		s = s[i+1:]
	}
}

// character returns what an entity or a reference to a character stands for.
func character(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 21)
	return rune(n), err == nil && n > 0 && n <= utf8.MaxRune
}
