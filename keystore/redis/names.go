package redis

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"signpost/keystore"
)

// names is what is known of the keys: their names, and digests of those that were read.
// Secrets are not in it.
type names struct {
	mu       sync.Mutex
	domains  map[string]entry
	dotted   map[string]string // selectors with dots, by domain
	ignored  []string          // fields that are not the name of a key
	changes  uint32            // the version of what changed last
	at       time.Time         // when the listing began that this is; zero for none
	took     time.Duration
	compared time.Time // when the last comparison of digests began
	dirty    time.Time // when the server last reported a change
	dottedAt time.Time // when dotted was listed
	reselect time.Time // when the server last reported a change of the selectors
	wrote    time.Time // when a key was last added or retired here
	watched  bool      // it reports changes
	pending  map[string]bool
}

// entry is what is known of a domain.
type entry struct {
	keys    []key
	version uint32
}

// key is a key of a domain.
type key struct {
	selector string
	digest   uint64 // the beginning of the SHA-1 of its value; 0 where it was not read
}

// mostIgnored bounds how many fields are remembered that are not a name.
const mostIgnored = 100

func newNames() *names {
	return &names{domains: make(map[string]entry), pending: make(map[string]bool)}
}

// knownDotted returns the selectors with dots, if the server would have reported a change.
func (n *names) knownDotted() (map[string]string, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dotted, n.watched && n.dottedAt.After(n.reselect)
}

func (n *names) setDotted(dotted map[string]string, began time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dotted, n.dottedAt = dotted, began
}

// reported notes that the server has reported a change, of the keys alone or of any hash.
func (n *names) reported(keysAlone bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dirty = time.Now()
	if !keysAlone {
		n.reselect = n.dirty
	}
}

// each calls found for each domain with its version.
func (n *names) each(found func(domain, version string)) {
	type listed struct {
		domain  string
		version uint32
	}
	n.mu.Lock()
	all := make([]listed, 0, len(n.domains))
	for domain, e := range n.domains {
		all = append(all, listed{domain, e.version})
	}
	n.mu.Unlock()
	for _, l := range all {
		found(l.domain, strconv.FormatUint(uint64(l.version), 10))
	}
}

// stale returns since when a listing must be for Read, and whether it is older: than a
// second, unless the server would have reported what changed, or than what was written here.
func (n *names) stale() (since time.Time, stale bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	since = time.Now().Add(-max(namesFor, min(share*n.took, mostWait)))
	if n.wrote.After(since) {
		since = n.wrote
	}
	sure := n.watched && n.at.After(n.dirty) && n.at.After(n.wrote)
	return since, n.at.IsZero() || n.at.Before(since) && !sure
}

// written notes that a key was added or retired here.
func (n *names) written() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.wrote = time.Now()
}

// splitField takes the field <selector>.<domain> apart: where the selectors name it, else
// the selector is the first label.
func splitField(field string, dotted map[string]string) (selector, domain string, ok bool) {
	for i := 0; i < len(field) && len(dotted) > 0; i++ {
		if field[i] == '.' && dotted[field[i+1:]] == field[:i] {
			return field[:i], field[i+1:], true
		}
	}
	selector, domain, ok = strings.Cut(field, ".")
	return selector, domain, ok
}

// parseField is splitField for names that are those of a key: a domain as rspamd looks it
// up, as A-labels in lower case, and a selector.
func parseField(field string, dotted map[string]string) (selector, domain string, ok bool) {
	if selector, domain, ok = splitField(field, dotted); !ok {
		return "", "", false
	}
	d, err := keystore.Domain(domain)
	if err != nil || d != domain {
		return "", "", false
	}
	s, err := keystore.Selector(selector)
	return selector, domain, err == nil && s == selector
}

// replace takes a whole listing: the fields of the hash of keys, and the selectors that have
// dots.
func (n *names) replace(fields []string, dotted map[string]string, began time.Time) {
	next := make(map[string]entry, len(fields))
	var ignored []string
	for _, field := range fields {
		selector, domain, ok := parseField(field, dotted)
		if !ok {
			if ignored = append(ignored, field); len(ignored) > mostIgnored {
				ignored = ignored[:mostIgnored]
			}
			continue
		}
		e := next[domain]
		e.keys = append(e.keys, key{selector: selector})
		next[domain] = e
	}
	slices.Sort(ignored)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.changes++
	if n.at.IsZero() {
		n.domains = next
	}
	for domain, e := range next {
		slices.SortFunc(e.keys, func(a, b key) int { return strings.Compare(a.selector, b.selector) })
		was, known := n.domains[domain]
		same := known && len(was.keys) == len(e.keys)
		for i := range e.keys {
			if j := was.find(e.keys[i].selector); j >= 0 {
				e.keys[i].digest = was.keys[j].digest
			} else {
				same = false
			}
		}
		if same {
			continue // whoever follows the names has these strings already: two of each would be megabytes
		}
		e.version = n.changes
		n.note(domain)
		n.domains[domain] = e
	}
	maps.DeleteFunc(n.domains, func(domain string, _ entry) bool {
		_, still := next[domain]
		if !still {
			n.note(domain)
		}
		return !still
	})
	n.ignored = ignored
	n.at, n.took = began, time.Since(began)
}

func (e entry) find(selector string) int {
	return slices.IndexFunc(e.keys, func(k key) bool { return k.selector == selector })
}

// note keeps a changed domain for Watch. The lock is held.
func (n *names) note(domain string) {
	if n.watched {
		n.pending[domain] = true
	}
}

// drain returns the domains that have changed since the last time.
func (n *names) drain() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	domains := make([]string, 0, len(n.pending))
	for domain := range n.pending {
		domains = append(domains, domain)
	}
	clear(n.pending)
	slices.Sort(domains)
	return domains
}

// selectors returns those of a domain.
func (n *names) selectors(domain string) (selectors []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, k := range n.domains[domain].keys {
		selectors = append(selectors, k.selector)
	}
	return selectors
}

// met takes down the digest of a value that was just read or computed. Another one than
// before is a change.
func (n *names) met(domain, selector string, digest uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	e := n.domains[domain]
	i := e.find(selector)
	if i < 0 || e.keys[i].digest == digest {
		return
	}
	if e.keys[i].digest != 0 {
		n.changes++
		e.version = n.changes
		n.domains[domain] = e
		n.note(domain)
	}
	e.keys[i].digest = digest
}

// named is a key that was read, and its digest then.
type named struct {
	domain, selector string
	digest           uint64
}

// read returns those.
func (n *names) read() (all []named) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for domain, e := range n.domains {
		for _, k := range e.keys {
			if k.digest != 0 {
				all = append(all, named{domain, k.selector, k.digest})
			}
		}
	}
	return all
}
