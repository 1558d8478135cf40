package milter

import (
	"errors"
	"strings"
)

// lexer takes a structured header field apart into tokens (RFC 5322, section 3.2), and
// leaves out comments and blanks.
type lexer struct {
	rest   string
	spaced bool   // there were blanks or comments before the token
	kind   byte   // of the token: one of those below, or the special character that it is
	text   string // of an atom, or of a quoted string with its quotes
	err    error  // then the token is the end
}

// The kinds of tokens that are not one character.
const (
	end    = 0
	atom   = 'a'
	quoted = 'q'
)

const (
	blanks   = " \t\r\n"
	specials = `()<>[]:;@\,."`
)

func (l *lexer) fail(what string) {
	if l.err == nil {
		l.err = errors.New(what)
	}
	l.kind, l.rest = end, ""
}

// next reads the next token.
func (l *lexer) next() {
	for l.spaced = false; l.rest != ""; l.spaced = true {
		switch c := l.rest[0]; {
		case strings.IndexByte(blanks, c) >= 0:
			l.rest = l.rest[1:]
		case c == '(':
			l.comment()
		default:
			l.token(c)
			return
		}
	}
	l.kind = end
}

func (l *lexer) token(c byte) {
	switch c {
	case '"':
		l.quoted()
		return
	case '[', ']':
		l.brackets()
		return
	case '\\': // as in DOMAIN\user, but not to hide a special character from some programs
		if len(l.rest) == 1 || strings.IndexByte(specials+blanks, l.rest[1]) >= 0 {
			l.fail("it has a backslash outside of quotes")
			return
		}
	}
	if strings.IndexByte(specials, c) >= 0 {
		l.kind, l.rest = c, l.rest[1:]
		return
	}
	n := strings.IndexAny(l.rest, specials+blanks)
	if n < 0 {
		n = len(l.rest)
	}
	l.kind, l.text, l.rest = atom, l.rest[:n], l.rest[n:]
}

// comment skips a comment, which may hold others.
func (l *lexer) comment() {
	depth := 0
	for i := 0; i < len(l.rest); i++ {
		switch l.rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				l.rest = l.rest[i+1:]
				return
			}
		}
	}
	l.fail("it has a comment without an end")
}

// brackets reads a word in square brackets: an address literal, or text in a name, where
// some programs take all up to the end for one thing.
func (l *lexer) brackets() {
	n := strings.IndexByte(l.rest, ']')
	if n < 1 || strings.ContainsAny(l.rest[1:n], `()<>[:;@\,"`) {
		l.fail("it has square brackets with more than a word in them, or one without the other")
		return
	}
	l.kind, l.rest = '[', l.rest[n+1:]
}

func (l *lexer) quoted() {
	for i := 1; i < len(l.rest); i++ {
		switch l.rest[i] {
		case '\\':
			i++
		case '"':
			l.kind, l.text, l.rest = quoted, l.rest[:i+1], l.rest[i+1:]
			if strings.ContainsAny(l.text, "\r\n") && strings.Contains(l.text, "@") {
				l.fail("it has an @ in quotes that span lines") // Python ends them with the line
			}
			return
		}
	}
	l.fail("it has a quoted string without an end")
}
