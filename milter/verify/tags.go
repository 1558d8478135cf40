package verify

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tag is one entry of a tag-list (RFC 6376, section 3.2). Its value stands in
// the list from start to end, white space around it included.
type tag struct {
	name, value string
	start, end  int
}

const whiteSpace = " \t\r\n"

// parseTags reads a tag-list. One fault makes the whole list invalid.
func parseTags(list string) (map[string]tag, error) {
	tags := make(map[string]tag)
	for at := 0; at <= len(list); {
		part, _, _ := strings.Cut(list[at:], ";")
		end := at + len(part)
		name, value, found := strings.Cut(part, "=")
		name = strings.Trim(name, whiteSpace)
		switch {
		case name == "" && !found && end == len(list) && at > 0:
			return tags, nil // after the last semicolon
		case !found || !isTagName(name):
			return nil, fmt.Errorf("%s is no tag=value", quote(strings.Trim(part, whiteSpace)))
		case tags[name].name != "":
			return nil, fmt.Errorf("the tag %s= is there twice", name)
		}
		tags[name] = tag{name, strings.Trim(value, whiteSpace), end - len(value), end}
		at = end + 1
	}
	return tags, nil
}

func isTagName(name string) bool {
	for i := range len(name) {
		c := name[i]
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (i == 0 || !('0' <= c && c <= '9' || c == '_')) {
			return false
		}
	}
	return name != ""
}

// isText reports whether a list is of characters that may stand in one.
func isText(list string) bool {
	return utf8.ValidString(list) && !strings.ContainsFunc(list, func(c rune) bool {
		return unicode.IsControl(c) && !strings.ContainsRune(whiteSpace, c)
	})
}

// spaceless drops the white space that may stand inside lists and base64.
func spaceless(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(whiteSpace, c) {
			return -1
		}
		return c
	}, s)
}
