package main

import (
	"fmt"
	"slices"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter/status/view"

	"github.com/urfave/cli/v2"
)

// rotateStatus says how far the domains are for a running signpostd, all of them
// when none are named.
func rotateStatus(c *cli.Context, d *daemon, domains []string) error {
	shown, err := d.domains(c.Context, domains)
	if err != nil {
		return err
	}
	results := func(yield func(*rotated) bool) {
		for _, domain := range shown.Domains {
			if !yield(rotatedOf(domain)) {
				return
			}
		}
	}
	return printRotated(c, newBatch(c, "done", "with errors", nil), results)
}

// rotatedOf returns what signpostd says of a domain.
func rotatedOf(d view.Domain) *rotated {
	r := emptyRotated(d.Name)
	r.Next = append(r.Next, d.Problems...)
	for _, key := range slices.Backward(d.Keys) {
		if key.Stage == rotation.Broken {
			r.Next = append(r.Next, "mend the key "+key.File+": "+key.Failure)
			continue
		}
		r.Keys = append(r.Keys, rotatedKey{
			Selector: key.Selector, Type: keystore.Algorithm(key.Algorithm), Bits: key.Bits, File: key.File,
			Stage: key.Stage, Since: key.Since, DNS: key.DNS(), Reports: key.Reports,
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
