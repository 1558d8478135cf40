package settings

import (
	"strings"

	"signpost/keystore"
	"signpost/milter"
)

// When the relay's own domain signs.
type alsoSign string

const (
	alsoAlways     alsoSign = "always"      // beside the author domain, and where that has no key
	alsoWithoutKey alsoSign = "without-key" // only there
)

// ParseAlso reads whose keys sign mail of all domains: DOMAIN, DOMAIN=always or
// DOMAIN=without-key.
func ParseAlso(text string) (also milter.Also, err error) {
	name, word, given := strings.Cut(strings.TrimSpace(text), "=")
	if name == "" && !given {
		return also, nil
	}
	if also.Domain, err = keystore.Domain(name); err != nil {
		return milter.Also{}, err
	}
	when := alsoAlways
	if given {
		when, err = OneOf(alsoAlways, alsoWithoutKey)(word)
	}
	if err != nil {
		return milter.Also{}, err
	}
	also.WithoutKey = when == alsoWithoutKey
	return also, nil
}
