package milter

import (
	"encoding/base64"
	"io"
	"mime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// What is looked through of From fields that cannot be signed, and how many addresses one may
// have that can. No real one comes near.
const (
	maxFromBytes = 64 << 10
	maxFromNames = 4000
	maxFromMarks = 2000 // question marks, of which an encoded-word has four
)

// namedDomains returns every domain, as A-labels, that any program might show as the
// author's when it is given these From fields: what follows each @, however it is read.
// It is for fields of which AuthorDomain makes nothing, and errs on the side of too many.
// They are not whole when there is more than is looked through, or a charset in which other
// octets are an @.
func namedDomains(from []string) (names []string, whole bool) {
	size, marks := 0, 0
	for _, value := range from {
		size += len(value)
		marks += strings.Count(value, "?")
	}
	if size > maxFromBytes || marks > maxFromMarks {
		return nil, false
	}
	whole = !slices.ContainsFunc(from, otherCharset)
	seen := make(map[string]bool)
	add := func(text string) {
		if !seen[text] {
			seen[text] = true
			names = append(names, spellings(text)...)
		}
	}
	for _, value := range from {
		for _, view := range views(value) {
			for rest := view; ; {
				_, after, found := strings.Cut(rest, "@")
				if !found {
					break
				}
				if rest = after; len(seen) > maxFromNames {
					return names, false
				}
				plain := strings.TrimLeft(rest, junk)
				add(run(plain))
				add(dotted(plain))
				add(atoms(plain))
				add(joined(rest, ",;:<>@"))
				add(joined(rest, ",;@"))
			}
		}
	}
	return names, whole
}

// views returns a text as programs see it that decode encoded-words before they parse or
// after, that leave out comments or know none, and that take octets for Latin-1.
func views(value string) (all []string) {
	// The other signs for @ that Unicode has are made one by its normal form KC, and some of
	// those for several letters get dots in it.
	at := strings.NewReplacer("＠", "@", "﹫", "@")
	decoder := wordDecoder()
	texts := []string{value, uncommented(value)}
	if !utf8.ValidString(value) {
		texts = append(texts, latin1(value), uncommented(latin1(value)))
	}
	for _, text := range texts {
		all = append(all, at.Replace(text))
		if decoded, err := decoder.DecodeHeader(text); err == nil && decoded != text {
			all = append(all, at.Replace(decoded), at.Replace(uncommented(decoded)))
		}
		if decoded := decodedLeniently(text); decoded != text {
			all = append(all, at.Replace(decoded), at.Replace(uncommented(decoded)))
		}
	}
	for _, text := range all {
		if normal := norm.NFKC.String(text); normal != text {
			all = append(all, normal)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// decodedLeniently is a text with its encoded-words as Python decodes them: whatever is
// between the question marks, and in base64 without what is none.
func decodedLeniently(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, "=?")
		if b.WriteString(before); !found {
			return b.String()
		}
		_, rest, _ := strings.Cut(after, "?")
		how, rest, _ := strings.Cut(rest, "?")
		word, rest, whole := strings.Cut(rest, "?=")
		switch {
		case whole && strings.EqualFold(how, "b"):
			b.WriteString(looseBase64(word))
			text = rest
		case whole && strings.EqualFold(how, "q"):
			b.WriteString(equalSigns(word))
			text = rest
		default:
			b.WriteString("=?")
			text = after
		}
	}
}

// looseBase64 decodes base64, and leaves out what is none.
func looseBase64(text string) string {
	text = strings.Map(func(c rune) rune {
		if c == '+' || c == '/' || c < utf8.RuneSelf && isDomainByte(byte(c)) && !strings.ContainsRune("-_.", c) {
			return c
		}
		return -1
	}, text)
	decoded, _ := base64.RawStdEncoding.DecodeString(text) // what comes before an error
	return string(decoded)
}

// equalSigns decodes =XX, and leaves what is none.
func equalSigns(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] == '=' && i+2 < len(text) {
			if c, err := strconv.ParseUint(text[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// wordDecoder decodes encoded-words, those of charsets that it does not know as they are.
func wordDecoder() *mime.WordDecoder {
	return &mime.WordDecoder{CharsetReader: func(_ string, r io.Reader) (io.Reader, error) { return r, nil }}
}

func latin1(text string) string {
	runes := make([]rune, len(text))
	for i := range len(text) {
		runes[i] = rune(text[i])
	}
	return string(runes)
}

// uncommented returns a text without its comments. One that does not end stays, and so
// does what is left of a closing parenthesis too many.
func uncommented(text string) string {
	var b strings.Builder
	for {
		open := strings.IndexByte(text, '(')
		if open < 0 {
			return b.String() + text
		}
		l := lexer{rest: text[open:]}
		if l.comment(); l.err != nil {
			return b.String() + text
		}
		b.WriteString(text[:open])
		text = l.rest
	}
}

// junk is what may stand between an @ and a domain.
const junk = " \t\r\n\x00\"'\\[<(."

func isDomainByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '_' || c == '.' || c >= utf8.RuneSelf
}

// run returns the domain that a text begins with.
func run(text string) string {
	i := 0
	for i < len(text) && i < maxDomainBytes && isDomainByte(text[i]) {
		i++
	}
	return text[:i]
}

// atoms is run with all characters that a local part may have.
func atoms(text string) string {
	n := strings.IndexAny(text, `()<>[]:;@\,"`+blanks)
	if n < 0 {
		n = len(text)
	}
	return text[:min(n, maxDomainBytes)]
}

// dotted is run with blanks about dots left out.
func dotted(text string) string {
	name := ""
	for {
		part := run(text)
		name += part
		rest := strings.TrimLeft(text[len(part):], blanks)
		if part == "" || len(name) > maxDomainBytes || !strings.HasSuffix(part, ".") && !strings.HasPrefix(rest, ".") {
			return name
		}
		text = rest
	}
}

// joined is run with blanks, special and control characters left out, up to one of those
// that end an address.
func joined(text, ends string) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < maxDomainBytes; i++ {
		switch c := text[i]; {
		case isDomainByte(c):
			b.WriteByte(c)
		case c > ' ' && c != 0x7f && strings.IndexByte(specials, c) < 0, strings.IndexByte(ends, c) >= 0:
			return b.String()
		}
	}
	return b.String()
}

// maxDomainBytes is what a domain may have in UTF-8.
const maxDomainBytes = 4 * 253

// spellings returns what a name is as A-labels, with the mappings of today and those of
// IDNA2003. What is no domain, but ends in one, is something below that.
func spellings(name string) (all []string) {
	name = strings.Trim(name, ".-")
	if domain, err := keystore.Domain(name); err == nil {
		all = append(all, domain)
	}
	if !strings.ContainsFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) {
		if _, above, found := strings.Cut(name, "."); found && all == nil {
			return below(above)
		}
		return all
	}
	for _, profile := range []*idna.Profile{
		idna.New(idna.MapForLookup(), idna.Transitional(true)),
		idna.New(idna.MapForLookup(), idna.Transitional(true), idna.StrictDomainName(false),
			idna.CheckHyphens(false), idna.CheckJoiners(false)),
		idna.Punycode,
	} {
		if ascii, err := profile.ToASCII(name); err == nil {
			if domain, err := keystore.Domain(ascii); err == nil && !slices.Contains(all, domain) {
				all = append(all, domain)
			}
		}
	}
	return all
}

// below returns a name below the longest domain that a text ends in.
func below(text string) []string {
	for name := range dns.Walk(text) {
		if domain, err := keystore.Domain(name); err == nil {
			return []string{"_." + domain}
		}
	}
	return nil
}
