package milter

import (
	"errors"
	"strings"
)

// AuthorDomains returns the domain of each address in the value of a From
// field (RFC 5322, section 3.6.2; groups by RFC 6854), as it is written there.
//
// It is lenient where only one reading is possible, such as a display name that
// should have been quoted, and strict where two programs could take two
// different addresses from the field: then it is an error.
func AuthorDomains(value string) ([]string, error) {
	p := authorParser{rest: value}
	for {
		done, err := p.mailbox()
		if err != nil {
			return nil, err
		}
		if done {
			break
		}
	}
	if len(p.domains) == 0 {
		return nil, errors.New("it has no address")
	}
	return p.domains, nil
}

type authorParser struct {
	rest    string
	inGroup bool
	domains []string
}

// mailbox reads up to and including the next separator.
func (p *authorParser) mailbox() (done bool, err error) {
	var text strings.Builder // outside of angle brackets, without comments
	angle, hasAngle := "", false
	for {
		if p.rest == "" {
			return true, p.add(text.String(), angle, hasAngle)
		}
		c := p.rest[0]
		switch {
		case c == ',' || c == ';':
			p.rest = p.rest[1:]
			if c == ';' {
				if !p.inGroup {
					return false, errors.New("it has a semicolon outside of a group")
				}
				p.inGroup = false
			}
			return false, p.add(text.String(), angle, hasAngle)
		case c == ':':
			if p.inGroup || hasAngle || strings.Contains(text.String(), "@") {
				return false, errors.New("it has a colon in an address")
			}
			p.inGroup = true
			p.rest = p.rest[1:]
			text.Reset() // the name of the group
		case c == '(':
			if err := p.comment(); err != nil {
				return false, err
			}
			text.WriteByte(' ')
		case c == '"':
			quoted, err := p.quoted()
			if err != nil {
				return false, err
			}
			if hasAngle {
				return false, errors.New("it has text after the address")
			}
			text.WriteString(quoted)
		case c == '<':
			if hasAngle {
				return false, errors.New("it has two addresses in angle brackets without a comma between")
			}
			if angle, err = p.angle(); err != nil {
				return false, err
			}
			hasAngle = true
		case c == '>':
			return false, errors.New("it has a closing angle bracket too many")
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			p.rest = p.rest[1:]
			text.WriteByte(' ')
		case c < ' ' || c == 0x7f:
			return false, errors.New("it has a control character")
		default:
			if hasAngle {
				return false, errors.New("it has text after the address")
			}
			p.rest = p.rest[1:]
			text.WriteByte(c)
		}
	}
}

// add takes the address of one mailbox. A piece without one is what an unquoted
// comma in a display name leaves ("Doe, Jane <jane@example.org>").
func (p *authorParser) add(text, angle string, hasAngle bool) error {
	spec := strings.TrimSpace(text)
	if hasAngle {
		spec = angle
	} else if !strings.Contains(spec, "@") {
		return nil
	}
	domain, err := specDomain(spec)
	if err != nil {
		return err
	}
	p.domains = append(p.domains, domain)
	return nil
}

// specDomain returns the domain of local-part@domain.
func specDomain(spec string) (string, error) {
	local := spec
	if strings.HasPrefix(spec, `"`) {
		p := authorParser{rest: spec}
		quoted, err := p.quoted()
		if err != nil {
			return "", err
		}
		local, spec = quoted, p.rest
	} else {
		at := strings.IndexByte(spec, '@')
		if at < 0 {
			return "", errors.New("an address has no @")
		}
		local, spec = spec[:at], spec[at:]
	}
	if local == "" {
		return "", errors.New("an address has nothing before the @")
	}
	domain, ok := strings.CutPrefix(spec, "@")
	if !ok || domain == "" {
		return "", errors.New("an address has no domain")
	}
	if strings.ContainsAny(domain, "@ \t\r\n\"(),:;<>\\") {
		return "", errors.New("the domain of an address has a character that is not allowed")
	}
	return domain, nil
}

// comment skips a comment, which may hold others.
func (p *authorParser) comment() error {
	depth := 0
	for i := 0; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			depth--
			if depth == 0 {
				p.rest = p.rest[i+1:]
				return nil
			}
		}
	}
	return errors.New("it has a comment without an end")
}

// quoted returns a quoted string with its quotes.
func (p *authorParser) quoted() (string, error) {
	for i := 1; i < len(p.rest); i++ {
		switch p.rest[i] {
		case '\\':
			i++
		case '"':
			quoted := p.rest[:i+1]
			p.rest = p.rest[i+1:]
			return quoted, nil
		}
	}
	return "", errors.New("it has a quoted string without an end")
}

// angle returns what is between angle brackets, less an obsolete route.
func (p *authorParser) angle() (string, error) {
	p.rest = p.rest[1:]
	var b strings.Builder
	for p.rest != "" {
		switch c := p.rest[0]; {
		case c == '>':
			p.rest = p.rest[1:]
			spec := strings.TrimSpace(b.String())
			if strings.HasPrefix(spec, "@") {
				_, spec, _ = strings.Cut(spec, ":")
			}
			return spec, nil
		case c == '<':
			return "", errors.New("it has an angle bracket within an address")
		case c == '"':
			quoted, err := p.quoted()
			if err != nil {
				return "", err
			}
			b.WriteString(quoted)
		case c == '(':
			if err := p.comment(); err != nil {
				return "", err
			}
		case c < ' ' && c != '\t' && c != '\r' && c != '\n':
			return "", errors.New("it has a control character")
		default:
			p.rest = p.rest[1:]
			b.WriteByte(c)
		}
	}
	return "", errors.New("it has an angle bracket without an end")
}
