// Package logins says which SASL logins own an address, by maps in the syntax of
// Postfix's smtpd_sender_login_maps, so that the same files serve both programs.
package logins

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"

	"golang.org/x/net/idna"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Options say how an address is looked up.
type Options struct {
	// Local are the domains, as A-labels, whose addresses are looked up as USER too, which
	// Postfix does for mydestination and the like.
	Local []string
	// Strict refuses addresses that no map has, as reject_sender_login_mismatch does; else
	// they are free, as with reject_known_sender_login_mismatch.
	Strict bool
}

// Maps are lookup tables, searched in their order. Any number of goroutines may use them.
type Maps struct {
	specs   []spec
	local   map[string]bool
	strict  bool
	current atomic.Pointer[tables]

	loaded snapshot // for Open, and then Watch
}

// spec is one table as it is written: TYPE:NAME.
type spec struct {
	kind, name string
	table      *table // of what is no file
}

// tables are what all the specs say at one time.
type tables struct {
	all []*table
	// domains are those of the entries. With open, others may be meant by a pattern.
	domains map[string]bool
	open    bool
}

// Open reads the maps: any number of TYPE:NAME with commas or white space between them,
// where TYPE is texthash, inline, regexp, pcre or static. The error names what is wrong, in a
// file with its line.
func Open(text string, options Options) (*Maps, error) {
	m := &Maps{local: make(map[string]bool), strict: options.Strict}
	for _, domain := range options.Local {
		m.local[domain] = true
	}
	words, err := splitWords(text)
	if err != nil {
		return nil, err
	}
	for _, word := range words {
		one, err := parseSpec(word)
		if err != nil {
			return nil, err
		}
		m.specs = append(m.specs, one)
	}
	if _, err := m.reload(); err != nil {
		return nil, err
	}
	return m, nil
}

func parseSpec(word string) (spec, error) {
	kind, name, found := strings.Cut(word, ":")
	s := spec{kind: kind, name: name}
	var err error
	switch {
	case !found:
		err = finding.WithHint(fmt.Errorf("%q has no type", word), "write texthash:%s for a plain file", word)
	case kind == "inline":
		s.table, err = parseInline(name)
	case kind == "static":
		s.table, err = parseStatic(name)
	case kind != "texthash" && kind != "regexp" && kind != "pcre":
		err = finding.WithHint(fmt.Errorf("a map of type %q cannot be read", kind),
			"texthash:FILE reads the file that postmap makes hash, lmdb, cdb and btree maps of; "+
				"inline, regexp, pcre and static are known too")
	case strings.HasPrefix(name, "{"):
		err = finding.WithHint(fmt.Errorf("%s cannot have its rules inline", kind), "put them into a file: %s:/PATH", kind)
	case !filepath.IsAbs(name):
		err = finding.WithHint(fmt.Errorf("%q is not an absolute path", word),
			"postconf -hx smtpd_sender_login_maps prints the value without the parameters in it")
	}
	return s, err
}

// Files returns the files that are read, in order. Of nil they are none.
func (m *Maps) Files() (files []string) {
	if m == nil {
		return nil
	}
	for _, s := range m.specs {
		if s.table == nil {
			files = append(files, s.name)
		}
	}
	return files
}

// Entries returns the number of entries and rules.
func (m *Maps) Entries() (n int) {
	for _, t := range m.current.Load().all {
		n += t.size()
	}
	return n
}

// Unused returns the number of entries that no address can have: those without a domain, where
// none is local.
func (m *Maps) Unused() (n int) {
	if m == nil || len(m.local) > 0 {
		return 0
	}
	for _, t := range m.current.Load().all {
		for key := range t.entries {
			if !strings.Contains(key, "@") {
				n++
			}
		}
	}
	return n
}

// Allow reports whether a login may write as local@domain. The domain is given as A-labels,
// the local part without quotes. Logins are the same in upper and lower case, as in Postfix.
func (m *Maps) Allow(login, local, domain string) bool {
	owners, known := m.find(local, domain)
	if !known {
		return !m.strict
	}
	for _, owner := range listed(owners) {
		if strings.EqualFold(owner, login) {
			return true
		}
	}
	return false
}

// Knows reports whether some address of the domain may belong to a login; then an address
// of it that cannot be told for sure is nobody's.
func (m *Maps) Knows(domain string) bool {
	t := m.current.Load()
	return m.strict || t.open || t.domains[domain] || m.local[domain]
}

// find searches all tables for the address, then for it without its extension, for the local
// part of local domains, and for the domain (postconf(5), smtpd_sender_login_maps). Patterns
// see the whole address only.
func (m *Maps) find(local, domain string) (owners string, known bool) {
	t := m.current.Load()
	bare, _, extended := strings.Cut(local, "+")
	extended = extended && bare != ""
	whole := forms(local, "@"+domain)
	if readable, err := idna.Display.ToUnicode(domain); err == nil && readable != domain {
		whole = append(whole, forms(local, "@"+readable)...)
	}
	if owners, known = t.find(whole, false); known {
		return owners, true
	}
	var parts []string
	if extended {
		parts = append(parts, forms(bare, "@"+domain)...)
	}
	if m.local[domain] {
		if parts = append(parts, forms(local, "")...); extended {
			parts = append(parts, forms(bare, "")...)
		}
	}
	return t.find(append(parts, "@"+domain), true)
}

// find returns what the first table says that has the first of the keys, or that of the next
// key. Part of an address is looked up in tables of fixed keys only.
func (t *tables) find(keys []string, part bool) (owners string, known bool) {
	for _, key := range keys {
		for _, table := range t.all {
			if owners, known = table.find(key, part); known {
				return owners, true
			}
		}
	}
	return "", false
}

// forms returns a local part in quotes where it needs them, and without, each with the domain.
func forms(local, at string) (keys []string) {
	if strings.ContainsAny(local, " \t()<>[]:;@\\,\"") || strings.HasPrefix(local, ".") ||
		strings.HasSuffix(local, ".") || strings.Contains(local, "..") || local == "" {
		keys = append(keys, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local)+`"`+at)
	}
	return append(keys, local+at)
}

// folded is a key as two are compared: in lower case, the domain as A-labels.
func folded(key string) string {
	at := strings.LastIndexByte(key, '@')
	if at < 0 {
		return strings.ToLower(key)
	}
	domain := strings.ToLower(key[at+1:])
	if name, err := keystore.Domain(domain); err == nil {
		domain = name
	}
	return strings.ToLower(key[:at]) + "@" + domain
}

// listed are the names in a result.
func listed(result string) []string {
	return strings.FieldsFunc(result, separates)
}

func separates(c rune) bool { return c == ',' || isBlank(c) }

// isBlank is isspace of C.
func isBlank(c rune) bool { return c == ' ' || '\t' <= c && c <= '\r' }
