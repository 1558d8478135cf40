package record

import (
	"fmt"
	"slices"
	"strings"
)

// pasted is one way in which a right text came wrong into the DNS, mostly
// through the web page of a provider.
type pasted struct {
	kind string // the end of a finding's code
	what string
}

// mend undoes what happens to records when they are pasted, and says what it
// was. A text that is only right after mending is not read by anybody.
func mend(text string) (mended string, found []pasted) {
	if plain, what := toASCII(text); what != "" {
		found = append(found, pasted{"non-ascii", what})
		text = plain
	}
	if strings.Contains(text, `\`) {
		at := strings.Index(text, `\`)
		found = append(found, pasted{"escaped", "it has backslashes in it, as in " +
			quote(text[at:min(at+2, len(text))]) + ": the escapes of a zone file, published as they are"})
		quoted := strings.Contains(strings.ReplaceAll(text, `\"`, ""), `"`)
		text = strings.ReplaceAll(text, `\`, "")
		if !quoted {
			text = strings.ReplaceAll(text, `"`, "")
		}
	}
	value, zoneLine := zoneLineValue(text)
	switch {
	case zoneLine:
		found = append(found, pasted{"zone-line",
			"a whole line of a zone file is published as the value: " + quote(text)})
		text = unquote(value)
	case strings.ContainsAny(strings.Trim(text, whiteSpace+`"`), `"`):
		found = append(found, pasted{"split-pasted", "the marks between the parts of a long value, " +
			quote(innerQuote(text)) + ", are published as part of it"})
		text = unquote(text)
	case strings.Contains(text, `"`):
		found = append(found, pasted{"quoted",
			"the quotes around the value are published as part of it: " + quote(text)})
		text = unquote(text)
	case len(text) > 1 && text[0] == '\'' && text[len(text)-1] == '\'':
		found = append(found, pasted{"quoted",
			"the quotes around the value are published as part of it: " + quote(text)})
		text = text[1 : len(text)-1]
	}
	return strings.Trim(text, whiteSpace), found
}

// zoneLineValue returns what follows TXT in a line of a zone file.
func zoneLineValue(text string) (value string, ok bool) {
	words := strings.Fields(text)
	if len(words) == 0 || strings.Contains(words[0], "=") {
		return "", false
	}
	if strings.HasPrefix(words[0], "(") {
		return text, true
	}
	const most = 5 // name, TTL, class, type; or the class before the TTL
	at := slices.IndexFunc(words[:min(most, len(words))],
		func(word string) bool { return strings.EqualFold(word, "TXT") })
	if at < 0 {
		return "", false
	}
	return strings.Join(words[at+1:], " "), true
}

// unquote joins the parts of a value as a zone file has them. Without quotes it
// only drops the parentheses around it.
func unquote(value string) string {
	if !strings.Contains(value, `"`) {
		return strings.Trim(value, whiteSpace+"()")
	}
	if first, last := strings.Index(value, `"`), strings.LastIndex(value, `"`); first < last &&
		!strings.Contains(value[:first], "=") {
		value = value[first:]
		value = value[:strings.LastIndex(value, `"`)+1]
	}
	var b strings.Builder
	for i, part := range strings.Split(value, `"`) {
		// Between the quotes of two parts there is only white space.
		if i > 0 && strings.Trim(part, whiteSpace) == "" {
			continue
		}
		b.WriteString(part)
	}
	return b.String()
}

// innerQuote shows what stands at the first quote that is not at the beginning.
func innerQuote(text string) string {
	inner := strings.TrimLeft(text, whiteSpace+`"`)
	inner = inner[strings.IndexByte(inner, '"'):]
	end := 1
	for end < len(inner) && strings.IndexByte(whiteSpace+`"`, inner[end]) >= 0 {
		end++
	}
	return inner[:end]
}

// toASCII replaces what editors and web pages put in the place of plain
// characters, and says what it found.
func toASCII(text string) (plain, what string) {
	var b strings.Builder
	for _, c := range text {
		var replacement string
		switch {
		case c < 0x80:
			b.WriteRune(c)
			continue
		case c == '\u00a0' || c == '\u202f' || '\u2000' <= c && c <= '\u200a' || c == '\u3000':
			what, replacement = fmt.Sprintf("it has a space that is not the plain one (U+%04X)", c), " "
		case '\u200b' <= c && c <= '\u200f' || c == '\u2060' || c == '\ufeff' || c == '\u00ad':
			what = fmt.Sprintf("it has a character that cannot be seen (U+%04X)", c)
		case strings.ContainsRune("“”„‟«»″", c):
			what, replacement = fmt.Sprintf("it has a typographic quote, %c", c), `"`
		case strings.ContainsRune("‘’‚‛′", c):
			what, replacement = fmt.Sprintf("it has a typographic quote, %c", c), `'`
		case '\u2010' <= c && c <= '\u2015' || c == '\u2212':
			what, replacement = fmt.Sprintf("it has a dash in place of a hyphen, %c", c), "-"
		case c == '\uff1b' || c == '\u037e':
			what, replacement = fmt.Sprintf("it has a semicolon that is not the plain one (U+%04X)", c), ";"
		case c == '\uff1d':
			what, replacement = "it has an equals sign that is not the plain one (U+FF1D)", "="
		default:
			what = "it has a character that is not ASCII: " + quote(string(c))
		}
		b.WriteString(replacement)
	}
	return b.String(), what
}
