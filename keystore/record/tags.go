package record

import (
	"errors"
	"fmt"
	"strings"
)

// Tag is one entry of a tag-list (RFC 6376, section 3.2), without the white
// space around its name and value.
type Tag struct{ Name, Value string }

const whiteSpace = " \t\r\n"

// splitTags cuts a tag-list where its semicolons are, and reads no more into
// it. A part without "=" has an empty name. One semicolon at the end is no tag.
func splitTags(text string) []Tag {
	text = strings.Trim(text, whiteSpace)
	text = strings.TrimSuffix(text, ";")
	var tags []Tag
	for part := range strings.SplitSeq(text, ";") {
		name, value, found := strings.Cut(part, "=")
		if !found {
			name, value = "", part
		}
		tags = append(tags, Tag{strings.Trim(name, whiteSpace), strings.Trim(value, whiteSpace)})
	}
	return tags
}

// ParseTags reads a tag-list strictly by RFC 6376, section 3.2: one fault makes
// the whole list invalid. Tag i is in part i of the list, cut at its semicolons.
func ParseTags(text string) ([]Tag, error) {
	tags := splitTags(text)
	seen := make(map[string]bool)
	for _, t := range tags {
		switch {
		case t.Name == "" && t.Value == "" && len(tags) == 1:
			return nil, errors.New("it is empty")
		case t.Name == "" && t.Value == "":
			return nil, errors.New("there is nothing between two semicolons")
		case t.Name == "":
			return nil, fmt.Errorf("%s is not tag=value", quote(t.Value))
		case !isTagName(t.Name):
			return nil, fmt.Errorf("%s is not the name of a tag", quote(t.Name))
		case seen[t.Name]:
			return nil, fmt.Errorf("tag %s= is there twice", t.Name)
		}
		seen[t.Name] = true
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
