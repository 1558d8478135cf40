package milter

import (
	"cmp"
	"errors"
	"strings"
)

// mailboxes are the domains in a From field, as they are written there.
type mailboxes struct {
	authors []mailbox
	beside  []mailbox // that some programs take for one: of a display name, or of a route
}

// mailbox is an address of an author.
type mailbox struct {
	local  localPart
	domain string
}

// localPart is what is before the @, without quotes.
type localPart struct {
	text  string // of the last words, where there are blanks between some
	odd   bool   // programs differ in it: it has comments, backslashes, line ends or words without dots
	apart bool   // there are words before it, with a blank between
	word  bool   // its last token is one
}

// maxLocalBytes is what a local part may have by far (RFC 5321, section 4.5.3.1.1).
const maxLocalBytes = 1 << 10

// add adds the token to a local part, before which there may be a blank.
func (l *fromParser) add(p *localPart, first bool) {
	if !l.locals {
		return
	}
	word := l.kind == atom || l.kind == quoted
	if len(p.text)+len(l.text) > maxLocalBytes {
		p.odd = true
		return
	}
	switch spaced := l.spaced && !first; {
	case spaced && word && p.word:
		p.text, p.apart = "", true
	case spaced || word && p.word || !word && l.kind != '.':
		p.odd = true
	}
	switch p.word = word; {
	case l.kind == quoted:
		p.text += unquoted(l.text)
		p.odd = p.odd || strings.ContainsAny(l.text, "\r\n")
	case word:
		p.text += l.text
	default:
		p.text += string(l.kind)
	}
}

// unquoted is what a quoted string says.
func unquoted(text string) string {
	var b strings.Builder
	for i := 1; i < len(text)-1; i++ {
		if text[i] == '\\' {
			i++
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// parseFrom reads the value of a From field (RFC 5322, section 3.6.2; groups by
// RFC 6854). It is lenient where only one reading is possible, such as a display name
// with a dot, a comma or a semicolon that should have been quoted.
// Local parts are only told apart with locals.
func parseFrom(value string, locals bool) (mailboxes, error) {
	if err := checkFolding(value); err != nil {
		return mailboxes{}, err
	}
	p := fromParser{lexer: lexer{rest: value}, locals: locals}
	p.next()
	for p.kind != end && p.err == nil {
		p.mailbox()
	}
	switch {
	case p.err != nil:
		return mailboxes{}, p.err
	case len(p.authors) == 0:
		return mailboxes{}, errors.New("it has no address")
	}
	return p.mailboxes, nil
}

// checkFolding refuses control characters, and line ends that do not fold: that no white
// space follows (RFC 5322, section 2.2.3).
func checkFolding(value string) error {
	for i := range len(value) {
		switch c := value[i]; {
		case c == '\t' || c >= ' ' && c != 0x7f:
		case c == '\r' && strings.HasPrefix(value[i+1:], "\n"):
		case c == '\n' && i+1 < len(value) && (value[i+1] == ' ' || value[i+1] == '\t'):
		case c == '\r' || c == '\n':
			return errors.New("it has a CR or LF by itself")
		default:
			return errors.New("it has a control character")
		}
	}
	return nil
}

// fromParser reads a From field token by token. The error in lexer ends it.
type fromParser struct {
	lexer
	mailboxes
	locals  bool // whose texts are wanted
	inGroup bool
	cut     bool // the piece before ended within an encoded-word
}

// What is wrong with an address.
const (
	nothingBefore = "an address has nothing before the @"
	textAfter     = "it has text after the address"
)

// mailbox reads up to and including the next separator. A piece without an address is
// what an unquoted comma in a display name leaves ("Doe, Jane <jane@example.org>").
func (p *fromParser) mailbox() {
	words, bare := 0, 0 // words since the start or the last domain, domains
	hides, encoded, strange, angle := false, p.cut, false, false
	odd := ""              // what is wrong if this is not the display name of an address in angle brackets
	first := len(p.beside) // where the domains of this mailbox begin
	var before localPart
	for p.err == nil {
		switch p.kind {
		case end, ',', ';':
			p.inGroup = p.inGroup && p.kind != ';'
			switch {
			case odd != "" && !angle:
				p.fail(odd)
			case hides: // which some take for an address
				p.fail("it has an @ in quotes or encoded, and no address with it")
			case bare == 1 && !angle:
				p.authors = append(p.authors, p.beside[first])
				p.beside = p.beside[:first]
			}
			p.next()
			return
		case ':':
			switch {
			case p.inGroup || bare > 0 || angle:
				p.fail("it has a colon in an address")
				return
			case hides:
				p.fail("it has an @ in quotes or encoded, and no address with it")
				return
			}
			p.inGroup, words, before = true, 0, localPart{}
			p.next()
		case '@':
			switch {
			case angle:
				p.fail(textAfter)
			case words == 0:
				odd = cmp.Or(odd, nothingBefore)
			case bare > 0:
				odd = cmp.Or(odd, textAfter)
				fallthrough
			default:
				p.checkLocal(words, hides, encoded)
			}
			if p.err != nil {
				return
			}
			local := before
			local.apart, before = local.apart || p.spaced, localPart{}
			p.beside = append(p.beside, mailbox{local, p.domain()})
			bare, words, hides, encoded = bare+1, 0, false, false
		case '<':
			if angle {
				p.fail("it has two addresses in angle brackets without a comma between")
				return
			}
			if hides && (odd != "" || strange) { // what some parse in vain, and then take what is hidden
				p.fail(cmp.Or(odd, "it has an @ in quotes or encoded, beside a backslash or square brackets"))
				return
			}
			if hides && bare > 0 {
				p.fail(textAfter)
				return
			}
			if p.angle(); hides && p.err == nil && strings.HasSuffix(p.authors[len(p.authors)-1].domain, ".") {
				p.fail("it has an @ in quotes or encoded, before a domain with a dot at its end")
				return
			}
			angle, hides, encoded, p.cut = true, false, false, false
		case '>':
			p.fail("it has a closing angle bracket too many")
		default:
			switch {
			case p.kind == ')':
				odd = cmp.Or(odd, "it has a closing parenthesis too many")
			case bare > 0:
				odd = cmp.Or(odd, textAfter)
			}
			words, hides, encoded = words+1, hides || p.hidesAt(encoded), encoded || p.encoded()
			if p.cut || p.encoded() {
				p.cut = p.kind != atom || !strings.HasSuffix(p.text, "?=")
			}
			p.add(&before, words == 1)
			strange = strange || p.kind == '\\' || p.kind == '['
			p.next()
		}
	}
}

// angle reads an address in angle brackets, and an obsolete route before it (RFC 5322,
// section 4.4).
func (p *fromParser) angle() {
	p.next()
	if p.kind == '@' {
		for p.kind == '@' || p.kind == ',' {
			if p.kind == ',' {
				p.next()
				continue
			}
			p.beside = append(p.beside, mailbox{domain: p.domain()})
		}
		if p.kind != ':' {
			p.fail(nothingBefore)
			return
		}
		p.next()
	}
	words, hides, encoded := 0, false, false
	var local localPart
	for ; p.kind == atom || p.kind == quoted || p.kind == '.' || p.kind == '\\'; words++ {
		hides, encoded = hides || p.hidesAt(encoded), encoded || p.encoded()
		p.add(&local, words == 0)
		p.next()
	}
	switch {
	case p.kind == end:
		p.fail("it has an angle bracket without an end")
		return
	case p.kind != '@':
		p.fail("an address has no @")
		return
	}
	if p.checkLocal(words, hides, encoded); p.err != nil {
		return
	}
	local.apart = local.apart || p.spaced
	p.authors = append(p.authors, mailbox{local, p.domain()})
	switch p.kind {
	case '>':
		p.next()
	case end:
		p.fail("it has an angle bracket without an end")
	default:
		p.fail("the domain of an address has a character that is not allowed")
	}
}

// hidesAt reports whether the token has an @ in quotes or, where encoded-words have begun
// or it is one, as one says it or may say it in a charset of other octets.
func (p *fromParser) hidesAt(encoded bool) bool {
	switch {
	case p.kind == quoted:
		return strings.Contains(p.text, "@")
	case p.kind != atom || !encoded && !p.encoded():
		return false
	case otherCharset(p.text):
		return true
	case strings.Contains(strings.ToLower(p.text), "?b?"):
		text, err := wordDecoder().Decode(p.text)
		return err != nil || strings.Contains(text, "@")
	}
	return strings.Contains(p.text, "=40")
}

// encoded reports whether the token begins an encoded-word.
func (p *fromParser) encoded() bool { return p.kind == atom && strings.Contains(p.text, "=?") }

// checkLocal checks what is before an @: that many words, one of which hides another @, or
// is encoded, against RFC 2047, section 5. As part of a local part such a word makes some
// programs take for the domain what it says.
func (p *fromParser) checkLocal(words int, hides, encoded bool) {
	switch {
	case words == 0:
		p.fail(nothingBefore)
	case encoded:
		p.fail("an address has an encoded word")
	case words > 1 && hides:
		p.fail("an address has a second @ in quotes")
	}
}

// domain reads the @ and a domain, with comments and blanks about its dots (RFC 5322,
// section 4.4: obs-domain).
func (p *fromParser) domain() string {
	if len(p.authors)+len(p.beside) >= maxFromNames { // they take far more memory than the field
		p.fail("it has too many addresses")
		return ""
	}
	p.next()
	if p.kind == '[' {
		p.fail("it has an address literal in place of a domain")
		return ""
	}
	domain := ""
	for p.kind == atom {
		if domain += p.text; len(domain) > maxDomainBytes {
			p.fail("an address has a domain that is too long")
		}
		if p.next(); p.kind != '.' {
			break
		}
		domain += "."
		p.next()
	}
	switch {
	case domain == "":
		p.fail("an address has no domain")
	case strings.HasSuffix(domain, ".") && (p.kind == quoted || p.kind == '.' || p.kind == '[' || p.kind == '\\'):
		p.fail("an address has a domain with a dot too many")
	}
	return domain
}
