package postfix

import (
	"regexp"
	"strings"
)

const hidden = "(hidden)"

// Shown is the setting as it may be shown to anybody: "name = value", with the
// value hidden when it holds a password.
func (s Setting) Shown() string {
	s.Value = s.ShownValue()
	return s.line()
}

// ShownValue is the value as it may be shown to anybody.
func (s Setting) ShownValue() string {
	if holdsSecret(s.Name, s.Value) {
		return hidden
	}
	return s.Value
}

// holdsSecret reports whether a value is a password or a map with passwords in
// it, and not only the name of a map, as in texthash:/etc/postfix/password.
func holdsSecret(name, value string) bool {
	if !regexp.MustCompile(`(?i)passw|secret|token|bind_pw$`).MatchString(name) {
		return false
	}
	for _, word := range strings.Fields(value) {
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
		case ok && !isSpace(text[0]) && holdsSecret(name, value+continuation(lines[i+1:])):
			hiding = true
			out[i] = mark + text[:len(text)-len(start)] + trimSpace(name) + " = " + hidden
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
