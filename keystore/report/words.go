package report

import (
	"strings"

	"signpost/keystore"
)

// words gives the texts of a report, each of which is kept once: a hundred thousand rows say
// the same few things.
type words struct {
	kept    map[string]string
	domains map[string]string
}

func newWords() *words {
	return &words{kept: make(map[string]string), domains: make(map[string]string)}
}

// keep returns s, or the same text that was kept before.
func (w *words) keep(s string) string {
	if s == "" {
		return ""
	}
	if have, ok := w.kept[s]; ok {
		return have
	}
	s = strings.Clone(s)
	w.kept[s] = s
	return s
}

// text returns a text in valid UTF-8 and without white space around it.
func (w *words) text(s string) string {
	return w.keep(strings.TrimSpace(strings.ToValidUTF8(s, "\ufffd")))
}

// domain returns a domain as A-labels in lower case, or as it stands where it is none.
func (w *words) domain(s string) string {
	s = strings.TrimSpace(s)
	if have, ok := w.domains[s]; ok {
		return have
	}
	domain, err := keystore.Domain(s)
	if err != nil {
		domain = strings.ToLower(w.text(s))
	}
	domain = w.keep(domain)
	w.domains[w.keep(s)] = domain
	return domain
}
