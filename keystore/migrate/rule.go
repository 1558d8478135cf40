package migrate

import (
	"cmp"
	"slices"
	"strings"

	"signpost/keystore"
)

// rule is a line of a signing table: which authors it is for, and the name of
// the key.
type rule struct {
	entry
	class  class
	domain string // of exact and below, as A-labels
	order  int    // in the table
}

// class is what kind of authors a rule is for.
type class int

const (
	exact   class = iota // all of one domain
	below                // all of the subdomains of a domain
	all                  // everybody
	pattern              // some other pattern of whole domains
	address              // single addresses
	regexpr              // a regular expression
	never                // nobody: the pattern matches no address
)

// classify reads the key of an entry. In a refile it is a pattern that the
// whole address must fit; else it is looked up, see SigningTable in
// opendkim.conf(5).
func classify(e entry, refile bool) rule {
	key := strings.ToLower(e.key)
	local, domain, hasAt := "", key, false
	if at := strings.LastIndexByte(key, '@'); at >= 0 {
		local, domain, hasAt = key[:at], key[at+1:], true
	}
	r := rule{entry: e}
	if !refile {
		switch {
		case key == "*":
			r.class = all
		case hasAt && local != "*" && local != "":
			r.class = address
		case strings.Contains(key, "*") || hasAt:
			r.class = never // the star is no pattern here
		case strings.HasPrefix(domain, "."):
			r.class, r.domain = below, domain[1:]
		default:
			r.class, r.domain = exact, domain
		}
		return r.checked()
	}
	switch {
	case strings.ContainsAny(key, `[](){}|?^$\`):
		// OpenDKIM makes a regular expression of the pattern and escapes only
		// the star, the dot and the plus.
		r.class = regexpr
	case key == "*" || local == "*" && domain == "*":
		r.class = all
	case !hasAt && strings.Contains(key, "*"):
		r.class = pattern
	case !hasAt:
		r.class = never
	case local != "*":
		r.class = address
	case !strings.Contains(domain, "*"):
		r.class, r.domain = exact, domain
	case strings.HasPrefix(domain, "*.") && !strings.Contains(domain[2:], "*"):
		r.class, r.domain = below, domain[2:]
	default:
		r.class = pattern
	}
	return r.checked()
}

// checked turns the domain into A-labels. One that is none is never an author's,
// but for a single label, under which there can be domains.
func (r rule) checked() rule {
	if r.domain == "" {
		return r
	}
	name, err := keystore.Domain(r.domain)
	switch {
	case err == nil:
		r.domain = name
	case r.class == exact:
		r.class = never
	}
	return r
}

// fits reports whether the rule is for all authors of a domain.
func (r rule) fits(domain string) bool {
	switch r.class {
	case exact:
		return domain == r.domain
	case below:
		return strings.HasSuffix(domain, "."+r.domain)
	case all:
		return true
	case pattern:
		// A local part that no pattern spells out stands for any.
		return glob(strings.ToLower(r.key), "\x00@"+domain)
	}
	return false
}

// ruleSet finds the rules for a domain without going through all of them.
type ruleSet struct {
	refile bool
	exact  map[string][]rule
	wide   []rule
}

func newRuleSet(rules []rule, refile bool) ruleSet {
	set := ruleSet{refile: refile, exact: make(map[string][]rule)}
	for _, r := range rules {
		if r.class == exact {
			set.exact[r.domain] = append(set.exact[r.domain], r)
		} else {
			set.wide = append(set.wide, r)
		}
	}
	return set
}

// forDomain returns the rules for a domain in the order in which they apply.
func (s ruleSet) forDomain(domain string) []rule {
	fit := slices.Clone(s.exact[domain])
	for _, r := range s.wide {
		if r.fits(domain) {
			fit = append(fit, r)
		}
	}
	slices.SortStableFunc(fit, func(a, b rule) int {
		if s.refile {
			return cmp.Compare(a.order, b.order)
		}
		// The domain itself, then the nearest of those above, then everybody.
		return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(len(b.domain), len(a.domain)))
	})
	return fit
}

// glob reports whether text fits a pattern whose stars stand for anything.
func glob(pattern, text string) bool {
	head, rest, star := strings.Cut(pattern, "*")
	if !star {
		return pattern == text
	}
	text, ok := strings.CutPrefix(text, head)
	if !ok {
		return false
	}
	parts := strings.Split(rest, "*")
	last := len(parts) - 1
	for _, part := range parts[:last] {
		i := strings.Index(text, part)
		if i < 0 {
			return false
		}
		text = text[i+len(part):]
	}
	return strings.HasSuffix(text, parts[last])
}
