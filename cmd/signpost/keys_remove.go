package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/rotation"
)

// removeAnswer is the JSON form of the answer of keys --remove.
type removeAnswer struct {
	Removed []removedKey   `json:"removed"`
	Failed  []failedDomain `json:"failed"`
}

type removedKey struct {
	Domain   string    `json:"domain"`
	Selector string    `json:"selector"`
	File     string    `json:"file"`  // where the private key is now
	Name     string    `json:"name"`  // of its record
	Until    time.Time `json:"until"` // when that can be taken out, for mail in transit
}

// removeKeys archives keys, given as DOMAIN or DOMAIN/SELECTOR. That proves to a running
// signpostd that they were meant to go.
func removeKeys(c *cli.Context) error {
	const example = "signpost keys --remove example.org/s20261122"
	if c.Bool("dns") {
		return finding.WithHint(usageError("--remove and --dns exclude each other"), example)
	}
	if !c.Args().Present() {
		return finding.WithHint(usageError("which key is to be removed?"), example)
	}
	var domains []string
	for _, arg := range c.Args().Slice() {
		if domain, _, err := keyArg(arg); err != nil {
			return err
		} else if !slices.Contains(domains, domain) {
			domains = append(domains, domain)
		}
	}
	set, err := loadKeys(c, domains...)
	if err != nil {
		return err
	}
	answer := removeAnswer{Removed: []removedKey{}, Failed: []failedDomain{}}
	for _, arg := range c.Args().Slice() {
		domain, selector, err := keyArg(arg)
		if err != nil {
			return err
		}
		removed, err := removeOf(c, set, domain, selector, answer.Removed)
		answer.Removed = append(answer.Removed, removed...)
		if err != nil {
			answer.Failed = append(answer.Failed, failed(c, domain, err))
		}
	}
	return printAnswer(c, answer, len(answer.Failed) > 0, func() { printRemoved(c, answer.Removed) })
}

// keyArg reads DOMAIN or DOMAIN/SELECTOR.
func keyArg(arg string) (domain, selector string, err error) {
	name, selector, one := strings.Cut(arg, "/")
	if domain, err = keystore.Domain(name); err != nil {
		return "", "", finding.WithHint(usageError("%w", err), "%s", domainHint(name))
	}
	selector, err = selectorArg(selector, one)
	return domain, selector, err
}

func selectorArg(selector string, given bool) (string, error) {
	if !given {
		return "", nil
	}
	selector, err := keystore.Selector(selector)
	if err != nil {
		return "", finding.WithHint(usageError("%w", err), "give a key as example.org/s20261122")
	}
	return selector, nil
}

// removeOf archives the key of a domain with the selector, or all of them for "". Some
// were removed before.
func removeOf(
	c *cli.Context, set keySet, domain, selector string, before []removedKey,
) (removed []removedKey, err error) {
	var keys, left []*keystore.Key
	for _, key := range set.Keys(domain) {
		gone := func(r removedKey) bool { return r.Domain == domain && r.Selector == key.Selector }
		switch {
		case slices.ContainsFunc(before, gone):
		case selector == "" || selector == key.Selector:
			keys = append(keys, key)
		default:
			left = append(left, key)
		}
	}
	options := keysOption(c.String("keys"))
	switch {
	case len(keys) == 0 && selector == "":
		return nil, finding.WithHint(fmt.Errorf("%s has no usable key", domain),
			"see signpost keys%s %s", options, domain)
	case len(keys) == 0:
		return nil, finding.WithHint(fmt.Errorf("%s has no usable key %s", domain, selector),
			"see signpost keys%s %s", options, domain)
	case len(left) == 0 && !c.Bool("now"):
		return nil, finding.WithHint(fmt.Errorf("%s would have no key, and its mail would not be signed", domain),
			"make another one with signpost rotate%s %s, or remove the last one with --now", options, domain)
	}
	for _, key := range keys {
		others := slices.DeleteFunc(slices.Clone(left), func(k *keystore.Key) bool { return k.Algorithm != key.Algorithm })
		if len(others) == 1 {
			// Who else signs with the keys of a store is not left without one.
			if err := set.place.Select(c.Context, domain, others[0].Selector); err != nil {
				return removed, err
			}
		}
		file, err := set.place.Retire(context.WithoutCancel(c.Context), key)
		if err != nil {
			return removed, err
		}
		removed = append(removed, removedKey{Domain: domain, Selector: key.Selector, File: file,
			Name: record.Name(key.Selector, domain), Until: time.Now().Add(rotation.Overlap).UTC().Truncate(time.Second)})
	}
	return removed, nil
}

func printRemoved(c *cli.Context, removed []removedKey) {
	s, out := styleOf(c), c.App.Writer
	for i, key := range removed {
		if i == 0 || removed[i-1].Domain != key.Domain {
			fmt.Fprintln(out, s.bold(key.Domain))
		}
		fmt.Fprintf(out, "   the key %s is archived: %s\n", key.Selector, key.File)
		fmt.Fprintf(out, "   leave its record in the DNS until %s, for mail in transit; then take it out:\n%s\n",
			key.Until.Format(time.DateTime), key.Name)
	}
}
