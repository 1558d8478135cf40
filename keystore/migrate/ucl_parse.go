package migrate

import (
	"fmt"
	"strings"
)

// uclParser reads the part of UCL that configurations are written in:
// sections, arrays, texts in quotes or bare, heredocs, comments, and macros,
// which are handed on.
type uclParser struct {
	file string
	text string
	pos  int
	line int
	// macro is called with the name, the arguments in round brackets and the
	// text of a macro such as .include, and the object it stands in.
	macro func(at Place, name, args, text string, into *uclObject) error
}

// uclDepth bounds nesting.
const uclDepth = 64

func (p *uclParser) parse() (*uclObject, error) {
	p.line = 1
	p.text = strings.TrimPrefix(p.text, "\ufeff")
	root := &uclObject{}
	p.skip(true)
	outer := p.peek() == '{' // JSON
	if outer {
		p.pos++
	}
	if err := p.members(root, outer, 0); err != nil {
		return nil, err
	}
	p.skip(true)
	if p.pos < len(p.text) {
		return nil, p.errorf("unexpected %q", p.text[p.pos])
	}
	return root, nil
}

func (p *uclParser) errorf(format string, args ...any) error {
	return fmt.Errorf("%s:%d: %w", p.file, p.line, fmt.Errorf(format, args...))
}

func (p *uclParser) here() Place { return Place{p.file, p.line} }

// peek returns the next byte, 0 at the end.
func (p *uclParser) peek() byte {
	if p.pos < len(p.text) {
		return p.text[p.pos]
	}
	return 0
}

// next takes a byte.
func (p *uclParser) next() byte {
	c := p.peek()
	if c == '\n' {
		p.line++
	}
	p.pos++
	return c
}

// skip skips blanks and comments, and with ends set what ends a value.
func (p *uclParser) skip(ends bool) {
	for p.pos < len(p.text) {
		switch c := p.peek(); {
		case strings.IndexByte(" \t\r\n\v\f", c) >= 0, ends && (c == ';' || c == ','):
			p.next()
		case c == '#':
			for p.pos < len(p.text) && p.peek() != '\n' {
				p.pos++
			}
		case strings.HasPrefix(p.text[p.pos:], "/*"):
			p.comment()
		default:
			return
		}
	}
}

// comment skips a comment; they nest.
func (p *uclParser) comment() {
	depth := 0
	for p.pos < len(p.text) {
		switch {
		case strings.HasPrefix(p.text[p.pos:], "/*"):
			depth++
			p.pos += 2
		case strings.HasPrefix(p.text[p.pos:], "*/"):
			depth--
			p.pos += 2
			if depth == 0 {
				return
			}
		default:
			p.next()
		}
	}
}

// members reads what is in a section, up to its closing bracket if it has one.
func (p *uclParser) members(into *uclObject, closed bool, depth int) error {
	if depth > uclDepth {
		return p.errorf("sections are more than %d deep", uclDepth)
	}
	for {
		p.skip(true)
		switch c := p.peek(); {
		case p.pos >= len(p.text):
			if closed {
				return p.errorf("a section has no closing bracket")
			}
			return nil
		case c == '}':
			if !closed {
				return p.errorf("a closing bracket too many")
			}
			p.pos++
			return nil
		case c == '.':
			if err := p.macroCall(into, depth); err != nil {
				return err
			}
		default:
			if err := p.member(into, depth); err != nil {
				return err
			}
		}
	}
}

// member reads a name with its value. "a b { }" is "a { b { } }".
func (p *uclParser) member(into *uclObject, depth int) error {
	if depth > uclDepth {
		return p.errorf("sections are more than %d deep", uclDepth)
	}
	at := p.here()
	name, err := p.name()
	if err != nil {
		return err
	}
	p.blanks()
	separated := false
	if c := p.peek(); c == '=' || c == ':' {
		separated = true
		p.pos++
		p.skip(false)
	}
	if !separated && p.moreNames() {
		inner := &uclObject{}
		if err := p.member(inner, depth+1); err != nil {
			return err
		}
		into.add(name, uclValue{at: at, kind: uclSection, object: inner})
		return nil
	}
	value, err := p.value(depth)
	if err != nil {
		return err
	}
	value.at = at
	into.add(name, value)
	return nil
}

// blanks skips what can stand between a name and its value.
func (p *uclParser) blanks() {
	for p.peek() == ' ' || p.peek() == '\t' || strings.HasPrefix(p.text[min(p.pos, len(p.text)):], "/*") {
		if p.peek() == '/' {
			p.comment()
			continue
		}
		p.pos++
	}
}

// moreNames reports whether what follows a name is another name, with a
// section further on in the line.
func (p *uclParser) moreNames() bool {
	if c := p.peek(); c == '{' || c == '[' || c == '\n' || c == '\r' {
		return false
	}
	rest := p.text[min(p.pos, len(p.text)):]
	end := strings.IndexAny(rest, ",;\r\n{[")
	return end >= 0 && (rest[end] == '{' || rest[end] == '[')
}

func (p *uclParser) name() (string, error) {
	if c := p.peek(); c == '"' || c == '\'' {
		return p.quoted()
	}
	start := p.pos
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n=:{}[];,\"'#", p.text[p.pos]) < 0 {
		p.pos++
	}
	if start == p.pos {
		return "", p.errorf("a name is wanted, not %q", p.peek())
	}
	return p.text[start:p.pos], nil
}
