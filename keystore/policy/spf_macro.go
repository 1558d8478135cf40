package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
)

// expand returns the name that a domain-spec stands for (RFC 7208, section 7),
// as a zone file has it. Where it is too long for the DNS, labels are taken off
// at the left.
func (e *spfEvaluation) expand(spec, domain string) string {
	name := ""
	for {
		text, rest, found := strings.Cut(spec, "%")
		name += text
		if !found || rest == "" {
			break
		}
		macro := rest[:1]
		if macro == "{" {
			macro, _, _ = strings.Cut(rest, "}")
			name += e.macro(macro[1:], domain)
			macro += "}"
		} else {
			name += map[string]string{"%": "%", "_": " ", "-": "%20"}[macro]
		}
		name = tail(name)
		spec = strings.TrimPrefix(rest, macro)
	}
	full := strings.TrimSuffix(name, ".")
	for len(full) > 253 { // section 7.3
		_, shorter, found := strings.Cut(full, ".")
		if !found {
			break // a label that no name has
		}
		full = shorter
	}
	return spelt(strings.ReplaceAll(full, `\`, `\\`))
}

// tail returns the end of a text, of which no name takes more, so that neither a
// record of macros alone nor a sender without end costs much.
func tail(text string) string { return text[max(0, len(text)-1024):] }

// spelt writes a name as it is written when it comes from the DNS, a\@b and not
// a@b, for the two to be found equal.
func spelt(name string) string {
	wire := make([]byte, 256)
	end, err := miekg.PackDomainName(miekg.Fqdn(name), wire, 0, nil, false)
	if err != nil {
		return name // that no DNS holds
	}
	if plain, _, err := miekg.UnpackDomainName(wire[:end], 0); err == nil {
		return dns.Plain(plain)
	}
	return name
}

// macro expands what stands between the brackets: a letter, how many parts to
// keep, r to turn them round, and what parts them.
func (e *spfEvaluation) macro(body, domain string) string {
	letter, body := body[:1], body[1:]
	transformers := strings.TrimRight(body, ".-+,/_=")
	delimiters := body[len(transformers):]
	if delimiters == "" {
		delimiters = "."
	}
	digits := strings.TrimRight(transformers, "rR")
	value := e.letter(strings.ToLower(letter), domain)
	parts := strings.Split(strings.Map(func(c rune) rune {
		if strings.ContainsRune(delimiters, c) {
			return '\n' // which no value has
		}
		return c
	}, value), "\n")
	if digits != transformers {
		slices.Reverse(parts)
	}
	if n, err := strconv.Atoi(digits); err == nil && n < len(parts) {
		parts = parts[len(parts)-n:]
	}
	value = strings.Join(parts, ".")
	if letter == strings.ToUpper(letter) {
		return escaped(value)
	}
	return value
}

// letter returns what a macro stands for (section 7.2).
func (e *spfEvaluation) letter(letter, domain string) string {
	switch letter {
	case "s":
		return e.local + "@" + e.domain
	case "l":
		return e.local
	case "o":
		return e.domain
	case "d":
		return domain
	case "h":
		return e.helo
	case "p":
		return e.validated(domain)
	case "v":
		if e.ip.Is4() {
			return "in-addr"
		}
		return "ip6"
	}
	if e.ip.Is4() {
		return e.ip.String()
	}
	nibbles := strings.Split(fmt.Sprintf("%x", e.ip.AsSlice()), "")
	return strings.Join(nibbles, ".")
}

// validated returns the name of the client: the domain itself before one below
// it, and that before any other (section 7.3, the letter p).
func (e *spfEvaluation) validated(domain string) string {
	names := e.clientNames()
	if len(names) == 0 {
		return "unknown"
	}
	for _, fits := range []func(string) bool{
		func(n string) bool { return n == domain },
		func(n string) bool { return below(n, domain) },
	} {
		if i := slices.IndexFunc(names, fits); i >= 0 {
			return names[i]
		}
	}
	return names[0]
}

// escaped writes what is not unreserved (RFC 3986, section 2.3) as in a URL.
func escaped(text string) string {
	var b strings.Builder
	for _, c := range []byte(text) {
		if strings.IndexByte("-._~", c) >= 0 || '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
