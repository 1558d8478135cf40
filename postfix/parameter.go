package postfix

import (
	"regexp"
	"strings"
)

const hidden = "(hidden)"

// A Parameter of main.cf and what it is set to.
type Parameter struct {
	Name, Value string
	// Unset takes the parameter out of main.cf, so that the default of Postfix
	// applies. Value is not used then.
	Unset bool
}

// Line is the parameter as it stands in main.cf, written the way postconf does.
func (p Parameter) Line() string { return strings.TrimSuffix(p.Name+" = "+p.Value, " ") }

// Shown is Line as it may be shown to anybody: with the value hidden when it
// holds a password.
func (p Parameter) Shown() string {
	p.Value = p.ShownValue()
	return p.Line()
}

// ShownValue is the value as it may be shown to anybody.
func (p Parameter) ShownValue() string {
	if p.Secret() {
		return hidden
	}
	return p.Value
}

// Secret reports whether the value is a password or a map with passwords in it,
// and not only the name of a map, as in texthash:/etc/postfix/password.
func (p Parameter) Secret() bool {
	if !regexp.MustCompile(`(?i)passw|secret|token|bind_pw$`).MatchString(p.Name) {
		return false
	}
	for _, word := range strings.Fields(p.Value) {
		if !regexp.MustCompile(`^(proxy:)?[a-z]+:[/$][^:]*$`).MatchString(strings.Trim(word, ",")) {
			return true
		}
	}
	return false
}

// hideSecrets returns lines of a configuration file with the secrets hidden,
// also those in comments, for a setting that was commented out is one.
func hideSecrets(lines []string) []string {
	out := make([]string, len(lines))
	hiding := false
	for i, line := range lines {
		text := strings.TrimPrefix(line, displacedMark)
		mark := line[:len(line)-len(text)]
		start := strings.TrimLeft(text, "# ")
		name, value, ok := strings.Cut(start, "=")
		switch {
		case ok && !isSpace(text[0]) && (Parameter{Name: name, Value: value + continuation(lines[i+1:])}).Secret():
			hiding = true
			out[i] = mark + text[:len(text)-len(start)] + TrimSpace(name) + " = " + hidden
		case hiding && isSpace(text[0]) && !isComment(text):
			out[i] = mark + " " + hidden
		default:
			hiding = hiding && isComment(text)
			out[i] = line
		}
	}
	return out
}

// continuation returns what the following lines add to a value.
func continuation(lines []string) string {
	var text string
	for _, line := range lines {
		line = strings.TrimPrefix(line, displacedMark)
		if isComment(line) {
			continue
		}
		if !isSpace(line[0]) {
			break
		}
		text += line
	}
	return text
}
