package main

import (
	"fmt"
	"slices"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/record"
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

// rotated says how far a domain is.
func (d daemonDomain) rotated() *rotated {
	r := newRotated(d.Name)
	r.Next = append(r.Next, d.Problems...)
	for _, key := range slices.Backward(d.Keys) {
		if key.Stage == keystore.Broken {
			r.Next = append(r.Next, "mend the key "+key.File+": "+key.Failure)
			continue
		}
		r.Keys = append(r.Keys, rotatedKey{Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File, Stage: key.Stage, Since: key.Since, DNS: key.dns()})
		if key.Advice != "" {
			r.Next = append(r.Next, key.Advice+" ("+record.Name(key.Selector, d.Name)+")")
		}
	}
	if len(d.Keys) == 0 {
		r.fail(exitFinding, fmt.Errorf("signpostd has no key for %s; hint: make the first one with signpost keygen %s", d.Name, d.Name))
	}
	return r
}
