package record

import (
	"errors"
	"fmt"
	"strings"
)

// tag is one entry of a tag-list (RFC 6376, section 3.2), without the white
// space around its name and value.
type tag struct{ name, value string }

const whiteSpace = " \t\r\n"

// splitTags cuts a tag-list where its semicolons are, and reads no more into
// it. A part without "=" has an empty name. One semicolon at the end is no tag.
func splitTags(text string) []tag {
	text = strings.Trim(text, whiteSpace)
	text = strings.TrimSuffix(text, ";")
	var tags []tag
	for part := range strings.SplitSeq(text, ";") {
		name, value, found := strings.Cut(part, "=")
		if !found {
			name, value = "", part
		}
		tags = append(tags, tag{strings.Trim(name, whiteSpace), strings.Trim(value, whiteSpace)})
	}
	return tags
}

// parseTags reads a tag-list strictly by RFC 6376, section 3.2: one fault and
// the whole list is invalid.
func parseTags(text string) ([]tag, error) {
	tags := splitTags(text)
	seen := make(map[string]bool)
	for _, t := range tags {
		switch {
		case t.name == "" && t.value == "" && len(tags) == 1:
			return nil, errors.New("it is empty")
		case t.name == "" && t.value == "":
			return nil, errors.New("there is nothing between two semicolons")
		case t.name == "":
			return nil, fmt.Errorf("%s is no tag=value", quote(t.value))
		case !isTagName(t.name):
			return nil, fmt.Errorf("%s is no name of a tag", quote(t.name))
		case seen[t.name]:
			return nil, fmt.Errorf("tag %s= is there twice", t.name)
		}
		seen[t.name] = true
		for _, c := range []byte(t.value) {
			if (c < ' ' || c > '~') && !strings.ContainsRune(whiteSpace, rune(c)) {
				return nil, fmt.Errorf("tag %s= has a character that is not ASCII: %s", t.name, quote(t.value))
			}
		}
	}
	return tags, nil
}

func isTagName(name string) bool {
	for i := range len(name) {
		if c := name[i]; !isAlpha(c) && (i == 0 || !isDigit(c) && c != '_') {
			return false
		}
	}
	return name != ""
}

func isAlpha(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// quote shows what stands in a record, shortened to what fits a line.
func quote(s string) string {
	const most = 60
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "..."
	}
	return fmt.Sprintf("%q", s)
}
