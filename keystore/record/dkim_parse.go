package record

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// ParseDKIM reads a key record (RFC 6376, section 3.6.1). It checks the syntax,
// and whether p= is base64; whether that is a key is for LintDKIM to say.
func ParseDKIM(text string) (DKIM, error) {
	tags, err := ParseTags(text)
	if err != nil {
		return DKIM{}, err
	}
	r := DKIM{KeyType: "rsa"}
	key := false
	for i, t := range tags {
		if strings.ContainsFunc(t.Value, func(c rune) bool {
			return (c < ' ' || c > '~') &&
				!strings.ContainsRune(whiteSpace, c)
		}) {
			return DKIM{}, fmt.Errorf("tag %s= has a character that is not ASCII: %s", t.Name, quote(t.Value))
		}
		switch t.Name {
		case "v":
			if i != 0 {
				return DKIM{}, errors.New("v=DKIM1 is not at the beginning")
			}
			if t.Value != "DKIM1" {
				return DKIM{}, fmt.Errorf("v=%s is not v=DKIM1", t.Value)
			}
		case "h":
			r.Hash = spaceless(t.Value)
		case "k":
			r.KeyType = t.Value
		case "n":
			r.Note = t.Value
		case "s":
			r.Service = spaceless(t.Value)
		case "t":
			r.Flags = spaceless(t.Value)
		case "p":
			key = true
			if r.PublicKey, err = base64.StdEncoding.DecodeString(spaceless(t.Value)); err != nil {
				return DKIM{}, fmt.Errorf("p= is not base64: %w", err)
			}
		}
	}
	if !key {
		return DKIM{}, errors.New("it has no p=")
	}
	return r, nil
}

// spaceless drops the white space that may stand inside lists and base64.
func spaceless(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(whiteSpace, c) }), "")
}
