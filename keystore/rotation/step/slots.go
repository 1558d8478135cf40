package step

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// Slots are selectors at which the keys of a domain take turns. What stands in
// the domain's own zone is set once, a CNAME for each; the records are in another
// zone, which the sender controls.
type Slots struct {
	Selectors []string // none: each key gets a selector of its own
	Zone      string   // that the CNAMEs point into; may be empty
}

// hold reports whether the record of a selector is in the zone that the sender
// controls. Without slots everything may be.
func (s Slots) hold(selector string) bool {
	return len(s.Selectors) == 0 || slices.Contains(s.Selectors, selector)
}

// place returns the name to publish the record of a selector at: where a CNAME
// leads from its own name. Where that is still to be set, it says so.
func (d *domain) place(ctx context.Context, selector string) (string, error) {
	if place, known := d.places[selector]; known {
		return place, nil
	}
	name := record.Name(selector, d.name)
	answer, err := d.Resolver.Lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return "", fmt.Errorf("where the record of the selector %s belongs is not known, so nothing was done: %w",
			selector, err)
	}
	place := answer.Owner()
	if d.Slots.Zone != "" && len(answer.CNAMEs) == 0 && d.Slots.hold(selector) {
		place = name + "." + d.Slots.Zone
		d.result.Aliases = append(d.result.Aliases, Alias{name, place})
	}
	d.places[selector] = place
	return place, nil
}

// slot returns a selector that no key has.
func (d *domain) slot(taken []string) (string, error) {
	var used []string
	for _, selector := range d.Slots.Selectors {
		switch i := d.index(selector); {
		case i >= 0:
			used = append(used, fmt.Sprintf("%s is %s", selector, d.Keys[i].Stage))
		case !slices.Contains(taken, selector):
			return selector, nil
		}
	}
	return "", finding.WithHint(fmt.Errorf("%s: no slot is free: %s", d.name, strings.Join(append(used, taken...), ", ")),
		"finish the last rotation first, or give one slot more")
}
