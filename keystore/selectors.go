package keystore

import (
	"fmt"
	"strings"
)

// DefaultSelector is the selector of a key file whose name has none, where
// Selectors says nothing else.
const DefaultSelector = "mail"

// Selectors says which selector belongs to a key file named after its domain
// alone. The zero value gives DefaultSelector for every domain.
type Selectors struct {
	domains  map[string]string
	fallback string
}

// ParseSelectors reads the grammar of DKIM_SELECTOR as the boky/postfix image
// has it: "foo,example.org=postfix,example.com=blah". The first entry for the
// very domain wins, else the last bare word.
func ParseSelectors(s string) (Selectors, error) {
	selectors := Selectors{domains: make(map[string]string)}
	for entry := range strings.SplitSeq(s, ",") {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		domain, word, exact := strings.Cut(entry, "=")
		if !exact {
			word = domain
		}
		selector, err := Selector(strings.TrimSpace(word))
		if err != nil {
			return Selectors{}, fmt.Errorf("entry %q: %w", entry, err)
		}
		if !exact {
			selectors.fallback = selector
			continue
		}
		domain, err = Domain(strings.TrimSpace(domain))
		if err != nil {
			return Selectors{}, fmt.Errorf("entry %q: %w", entry, err)
		}
		if _, taken := selectors.domains[domain]; !taken {
			selectors.domains[domain] = selector
		}
	}
	return selectors, nil
}

// For returns the selector for domain, an A-label name.
func (s Selectors) For(domain string) string {
	if selector, ok := s.domains[domain]; ok {
		return selector
	}
	if s.fallback != "" {
		return s.fallback
	}
	return DefaultSelector
}
