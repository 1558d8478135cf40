package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/record"
)

// slots are selectors at which the keys of a domain take turns. What stands in
// the domain's own zone is set once, a CNAME for each; the records are in another
// zone, which the sender controls.
type slots struct {
	selectors []string // none: each key gets a selector of its own
	zone      string   // that the CNAMEs point into; may be empty
}

func readSlots(c *cli.Context) (s slots, err error) {
	for name := range strings.SplitSeq(c.String("slots"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		selector, err := keystore.Selector(name)
		if err != nil {
			return s, usageError("--slots: %w", err)
		}
		s.selectors = append(s.selectors, selector)
	}
	if len(s.selectors) == 1 {
		return s, usageError("--slots: keys cannot take turns at %s alone; hint: give two, as in --slots a,b", s.selectors[0])
	}
	if zone := c.String("slot-zone"); zone != "" {
		if s.zone, err = keystore.Domain(zone); err != nil {
			return s, usageError("--slot-zone: %w", err)
		}
		if len(s.selectors) == 0 {
			return s, usageError("--slot-zone goes with --slots")
		}
	}
	return s, nil
}

// hold reports whether the record of a selector is in the zone that the sender
// controls. Without slots everything may be.
func (s slots) hold(selector string) bool {
	return len(s.selectors) == 0 || slices.Contains(s.selectors, selector)
}

// place returns the name to publish the record of a selector at: where a CNAME
// leads from its own name. Where that is still to be set, it says so.
func (s *step) place(ctx context.Context, selector string) (string, error) {
	if place, known := s.places[selector]; known {
		return place, nil
	}
	name := record.Name(selector, s.name)
	answer, err := s.resolver.Lookup(ctx, name, dns.TypeTXT)
	if err != nil {
		return "", fmt.Errorf("where the record of the selector %s belongs is not known, so nothing was done: %w", selector, err)
	}
	place := answer.Owner()
	if s.slots.zone != "" && len(answer.CNAMEs) == 0 && s.slots.hold(selector) {
		place = name + "." + s.slots.zone
		s.result.CNAMEs = append(s.result.CNAMEs, cname{name, place})
	}
	s.places[selector] = place
	return place, nil
}

// slot returns a selector that no key has.
func (s *step) slot(taken []string) (string, error) {
	var used []string
	for _, selector := range s.slots.selectors {
		switch i := s.index(selector); {
		case i >= 0:
			stage, _ := s.plan.Stage(s.keys[i], s.overlap, s.now)
			used = append(used, fmt.Sprintf("%s is %s", selector, stage))
		case !slices.Contains(taken, selector):
			return selector, nil
		}
	}
	return "", fmt.Errorf("%s: no slot is free: %s; hint: finish the last rotation first, or give one slot more", s.name, strings.Join(append(used, taken...), ", "))
}
