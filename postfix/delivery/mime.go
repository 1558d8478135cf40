package delivery

import (
	"bytes"
	"fmt"
	"strings"
)

// entity is a header of MIME (RFC 2045) as smtp(8) reads it when it converts 8-bit
// content: that of the message, of a part, or of a message in a message.
type entity struct {
	kind    string // type/subtype, in lower case
	field   string // the last one so far, unfolded
	line    int    // where that begins
	found   string // an 8-bit Content-Transfer-Encoding
	foundAt int
}

// declares8Bit returns the 8-bit Content-Transfer-Encoding of the message or of a
// part of it, and where that stands. Postfix goes by what is declared, also where all
// octets are ASCII.
func (m Mail) declares8Bit() (where, encoding string) {
	var top entity
	var boundaries []boundary
	for _, f := range m.Header {
		boundaries = top.add(f.Name+":"+f.Value, boundaries)
		if top.found != "" {
			return f.Name, top.found
		}
	}
	inHeader, part := top.kind == "message/rfc822", entity{}
	number := m.BodyLine
	for raw := range bytes.Lines(m.Body) {
		line := strings.TrimSuffix(strings.TrimSuffix(string(raw), "\n"), "\r")
		if inHeader {
			if part.continues(line, number) {
				number++
				continue
			}
			boundaries = part.end(boundaries)
			if part.found != "" {
				break
			}
			if isField(line) {
				part.field, part.line = line, number
				number++
				continue
			}
			inHeader = line == "" && part.kind == "message/rfc822"
			part = entity{}
		}
		if rest, ok := strings.CutPrefix(line, "--"); ok {
			if depth := innermost(boundaries, rest); depth >= 0 {
				b := boundaries[depth]
				inHeader, part = !strings.HasPrefix(rest[len(b.text):], "--"), entity{kind: b.kind}
				boundaries = boundaries[:depth+1]
				if !inHeader {
					boundaries = boundaries[:depth]
				}
			}
		}
		number++
	}
	if part.end(boundaries); part.found != "" {
		return fmt.Sprintf("part at line %d", part.foundAt), part.found
	}
	return "", ""
}

// boundary parts a multipart, and kind is what its parts are by default.
type boundary struct{ text, kind string }

// innermost returns the boundary that a line after its two hyphens begins with, or -1.
func innermost(boundaries []boundary, line string) int {
	for i := len(boundaries) - 1; i >= 0; i-- {
		if strings.HasPrefix(line, boundaries[i].text) {
			return i
		}
	}
	return -1
}

// continues takes a line that folds the last field.
func (e *entity) continues(line string, number int) bool {
	if e.field == "" || line == "" || line[0] != ' ' && line[0] != '\t' {
		return false
	}
	e.field += "\n" + line
	return true
}

// end takes in the field that is complete now.
func (e *entity) end(boundaries []boundary) []boundary {
	field := e.field
	e.field = ""
	boundaries = e.add(field, boundaries)
	if e.found != "" && e.foundAt == 0 {
		e.foundAt = e.line
	}
	return boundaries
}

// add takes in a field. It returns the boundaries with those that it names.
func (e *entity) add(field string, boundaries []boundary) []boundary {
	name, value, _ := strings.Cut(field, ":")
	switch strings.ToLower(strings.TrimRight(name, " \t")) {
	case "content-transfer-encoding":
		if encoding := firstWord(value); is8Bit(encoding) {
			e.found = encoding
		}
	case "content-type":
		list := tokens(value, mimeSpecials)
		e.kind = ""
		if len(list) >= 3 && list[1] == "/" {
			e.kind = strings.ToLower(list[0] + "/" + list[2])
		}
		if len(list) == 0 || !strings.EqualFold(list[0], "multipart") {
			return boundaries
		}
		kind := ""
		if e.kind == "multipart/digest" {
			kind = "message/rfc822"
		}
		for i := 1; i+3 < len(list); i++ {
			if list[i] == ";" && strings.EqualFold(list[i+1], "boundary") && list[i+2] == "=" {
				boundaries = append(boundaries, boundary{list[i+3], kind})
			}
		}
	}
	return boundaries
}

func is8Bit(encoding string) bool {
	return strings.EqualFold(encoding, "8bit") || strings.EqualFold(encoding, "binary")
}

// isField reports whether a line begins a header field. Blanks may stand before the
// colon.
func isField(line string) bool {
	name, _, found := strings.Cut(line, ":")
	name = strings.TrimRight(name, " \t")
	return found && name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r <= ' ' || r > '~' })
}

// firstWord is the first token of a value. A quoted string is none.
func firstWord(value string) string {
	for value = strings.TrimLeft(value, " \t\r\n"); strings.HasPrefix(value, "("); {
		value = strings.TrimLeft(afterComment(value), " \t\r\n")
	}
	if list := tokens(value, mailSpecials); len(list) > 0 && value[0] != '"' {
		return list[0]
	}
	return ""
}

// What ends a word: RFC 2045, section 5.1, and RFC 5322, section 3.2.3.
const (
	mimeSpecials = `()<>@,;:\"/[]?=`
	mailSpecials = `()<>@,;:\".[]`
)

// tokens takes a value apart: words, the text of quoted strings, and single special
// characters. Comments are left out.
func tokens(value, specials string) (list []string) {
	for value != "" {
		switch c := value[0]; {
		case c <= ' ':
			value = value[1:]
		case c == '(':
			value = afterComment(value)
		case c == '"':
			text, rest := unquoted(value)
			list, value = append(list, text), rest
		case strings.IndexByte(specials, c) >= 0:
			list, value = append(list, value[:1]), value[1:]
		default:
			n := strings.IndexFunc(value, func(r rune) bool { return r <= ' ' || r < 0x7f && strings.ContainsRune(specials, r) })
			if n < 0 {
				n = len(value)
			}
			list, value = append(list, value[:n]), value[n:]
		}
	}
	return list
}

// afterComment skips a comment, which may have others in it.
func afterComment(value string) string {
	depth := 0
	for i := 0; i < len(value); i++ {
		switch value[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return value[i+1:]
			}
		}
	}
	return ""
}

// unquoted returns the text of a quoted string, and what follows it.
func unquoted(value string) (text, rest string) {
	var b strings.Builder
	for i := 1; i < len(value); i++ {
		switch value[i] {
		case '\\':
			if i++; i < len(value) {
				b.WriteByte(value[i])
			}
		case '"':
			return b.String(), value[i+1:]
		default:
			b.WriteByte(value[i])
		}
	}
	return b.String(), ""
}
