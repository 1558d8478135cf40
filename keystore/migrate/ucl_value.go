package migrate

import (
	"strconv"
	"strings"
)

func (p *uclParser) value(depth int) (uclValue, error) {
	if p.peek() == '\r' || p.peek() == '\n' {
		p.skip(false) // the bracket may stand on the next line
	}
	v := uclValue{at: p.here()}
	var err error
	switch c := p.peek(); {
	case c == '{':
		p.pos++
		v.kind, v.object = uclSection, &uclObject{}
		err = p.members(v.object, true, depth+1)
	case c == '[':
		p.pos++
		v.kind = uclArray
		v.array, err = p.elements(depth + 1)
	case c == '"' || c == '\'':
		v.text, err = p.quoted()
	case strings.HasPrefix(p.text[min(p.pos, len(p.text)):], "<<"):
		var ok bool
		if v.text, ok = p.heredoc(); !ok {
			v.text, err = p.bare()
		}
	default:
		v.text, err = p.bare()
	}
	return v, err
}

func (p *uclParser) elements(depth int) ([]uclValue, error) {
	if depth > uclDepth {
		return nil, p.errorf("arrays are more than %d deep", uclDepth)
	}
	var all []uclValue
	for {
		p.skip(true)
		switch {
		case p.pos >= len(p.text):
			return nil, p.errorf("an array has no closing bracket")
		case p.peek() == ']':
			p.pos++
			return all, nil
		}
		v, err := p.value(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
}

// bare reads a text without quotes, up to the end of the line or what ends a
// value. Brackets in pairs belong to it, as in ${DBDIR}.
func (p *uclParser) bare() (string, error) {
	start, open := p.pos, 0
	for ; p.pos < len(p.text); p.pos++ {
		c := p.text[p.pos]
		if c == '{' || c == '[' {
			open++
		}
		if (c == '}' || c == ']') && open > 0 {
			open--
			continue
		}
		if strings.IndexByte("\r\n;,}]#", c) >= 0 || strings.HasPrefix(p.text[p.pos:], "/*") {
			break
		}
	}
	text := strings.TrimRight(p.text[start:p.pos], " \t")
	if text == "" {
		return "", p.errorf("a value is wanted")
	}
	return text, nil
}

// quoted reads a text in quotes. In double ones, a backslash escapes as in
// JSON; in single ones, only the quote and the end of a line.
func (p *uclParser) quoted() (string, error) {
	quote := p.next()
	var text strings.Builder
	for p.pos < len(p.text) {
		c := p.next()
		switch {
		case c == quote:
			return text.String(), nil
		case c != '\\' || p.pos >= len(p.text):
			text.WriteByte(c)
		case quote == '\'':
			switch p.peek() {
			case '\n':
				p.next()
			case '\'':
				text.WriteByte(p.next())
			default:
				text.WriteByte(c)
				text.WriteByte(p.next())
			}
		default:
			p.escape(&text)
		}
	}
	return "", p.errorf("a text has no closing quote")
}

func (p *uclParser) escape(text *strings.Builder) {
	c := p.next()
	switch c {
	case 'n':
		text.WriteByte('\n')
	case 't':
		text.WriteByte('\t')
	case 'r':
		text.WriteByte('\r')
	case 'b':
		text.WriteByte('\b')
	case 'f':
		text.WriteByte('\f')
	case 'u':
		if len(p.text)-p.pos >= 4 {
			if code, err := strconv.ParseUint(p.text[p.pos:p.pos+4], 16, 16); err == nil {
				text.WriteRune(rune(code))
				p.pos += 4
				return
			}
		}
		text.WriteByte(c)
	default:
		text.WriteByte(c)
	}
}

// heredoc reads <<EOD, lines, EOD.
func (p *uclParser) heredoc() (string, bool) {
	first, rest, found := strings.Cut(p.text[p.pos+2:], "\n")
	if !found || first == "" || strings.Trim(first, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return "", false
	}
	var lines []string
	taken := p.pos + 2 + len(first) + 1
	for line := range strings.Lines(rest) {
		bare := strings.TrimRight(line, "\r\n")
		if strings.TrimRight(bare, ";,") == first {
			p.line += len(lines) + 1
			p.pos = taken + len(first)
			return strings.Join(lines, "\n"), true
		}
		lines = append(lines, bare)
		taken += len(line)
	}
	return "", false
}

// macroCall reads .name(arguments) "text".
func (p *uclParser) macroCall(into *uclObject, depth int) error {
	at := p.here()
	p.pos++
	start := p.pos
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n(\"'{;", p.text[p.pos]) < 0 {
		p.pos++
	}
	name, args := p.text[start:p.pos], ""
	p.blanks()
	if p.peek() == '(' {
		var found bool
		if args, _, found = strings.Cut(p.text[p.pos+1:], ")"); !found {
			return p.errorf("the arguments of .%s have no closing bracket", name)
		}
		p.line += strings.Count(args, "\n")
		p.pos += len(args) + 2
		p.blanks()
	}
	v, err := p.value(depth)
	if err != nil {
		return err
	}
	if p.macro == nil {
		return nil
	}
	return p.macro(at, name, args, v.text, into)
}

// on reads a switch.
func (v uclValue) on() bool {
	switch strings.ToLower(v.text) {
	case "true", "yes", "on", "1":
		return true
	}
	return false
}

// texts returns a text, or those of an array.
func (v uclValue) texts() []string {
	if v.kind == uclText {
		return []string{v.text}
	}
	var all []string
	for _, element := range v.array {
		if element.kind == uclText {
			all = append(all, element.text)
		}
	}
	return all
}
