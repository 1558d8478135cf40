package rotation

import (
	"bufio"
	"bytes"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/regular"
)

// A shared key signs for a domain whose DNS has its record, and for no other, whatever the
// mode. So it is never a reason to sign that mail has been signed with it before.

// isShared reports whether the keys of a domain are those that any domain may use.
func isShared(keys []*keystore.Key) bool { return len(keys) > 0 && keys[0].Shared }

// proven returns the keys whose records are in the DNS as far as is known.
func proven(keys []*keystore.Key, known []Mark) (there []*keystore.Key) {
	for i, m := range known {
		if m.Presence == dns.There {
			there = append(there, keys[i])
		}
	}
	return there
}

// Signs reports whether any key of a domain signs.
func (b *Book) Signs(domain string) bool {
	p := b.shard(domain).find(domain)
	if p == nil && isShared(b.store.Snapshot().Domain(domain).List()) {
		p = b.turn(domain) // what was known before the start counts
	}
	return p != nil && len(p.signing) > 0
}

// unproven says that a domain has no key, and what is to be published for the shared one.
func (p *page) unproven() error {
	var names []string
	for _, key := range p.of.List() {
		names = append(names, record.Name(key.Selector, key.Domain))
	}
	return finding.WithHint(fmt.Errorf("%w of its own, and the DNS is not known to have the shared one at %s",
		keystore.ErrNoKey, strings.Join(names, " or ")),
		"publish that record, signpost dns %s prints it", p.of.List()[0].Domain)
}

// Proven returns the domains whose records of the shared keys were in the DNS when the
// state was saved, by this node or another that has the directory. The keys are those of
// no domain. What cannot be read is as if it were not there: the DNS is asked again.
func Proven(state string, keys []*keystore.Key) []string {
	domains := make(map[string]bool)
	entries, _ := os.ReadDir(state)
	for _, entry := range entries {
		if name := entry.Name(); entry.Type() != fs.ModeDir && (name == stateFile || strings.HasPrefix(name, statePrefix)) {
			if data, err := regular.Read(filepath.Join(state, name), maxState); err == nil {
				provenIn(data, keys, domains)
			}
		}
	}
	return slices.Sorted(maps.Keys(domains))
}

// provenIn adds the domains that a file of the state has.
func provenIn(data []byte, keys []*keystore.Key, domains map[string]bool) {
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 || fields[0] != "key" || fields[4] != dns.There.String() {
			continue
		}
		for _, key := range keys {
			if key.Selector != fields[2] {
				continue
			}
			ofDomain := *key
			ofDomain.Domain = fields[1]
			if fmt.Sprintf("%x", fingerprintOf(&ofDomain)) == fields[3] {
				domains[fields[1]] = true
			}
		}
	}
}

// asks reports whether a domain is only asked about because mail came from it: it has
// nothing but shared keys that are not known to be published.
func (b *Book) asks(domain string) bool {
	p := b.shard(domain).find(domain)
	return p != nil && isShared(p.list()) && len(p.signing) == 0
}
