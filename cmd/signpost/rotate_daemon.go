package main

import (
	"fmt"
	"slices"

	"signpost/keystore/finding"
	"signpost/keystore/rotation"

	"github.com/urfave/cli/v2"
)

// rotateStatus says how far the domains are for a running signpostd, all of them
// when none are named.
func rotateStatus(c *cli.Context, d *daemon, domains []string) error {
	view, err := d.look(c.Context, domains)
	if err != nil {
		return err
	}
	results := func(yield func(*rotated) bool) {
		for _, domain := range view.Domains {
			if !yield(domain.rotated()) {
				return
			}
		}
	}
	return printRotated(c, results)
}

// rotated is what signpostd says of a domain.
func (d daemonDomain) rotated() *rotated {
	r := emptyRotated(d.Name)
	r.Next = append(r.Next, d.Problems...)
	for _, key := range slices.Backward(d.Keys) {
		if key.Stage == rotation.Broken {
			r.Next = append(r.Next, "mend the key "+key.File+": "+key.Failure)
			continue
		}
		r.Keys = append(r.Keys, rotatedKey{
			Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File,
			Stage: key.Stage, Since: key.Since, DNS: key.dns(),
		})
		if key.Advice != "" {
			r.Next = append(r.Next, key.Selector+": "+key.Advice)
		}
	}
	if len(d.Keys) == 0 {
		r.fail(exitFinding, finding.WithHint(fmt.Errorf("signpostd has no key for %s", d.Name),
			"make the first one with signpost keygen %s", d.Name))
	}
	return r
}
