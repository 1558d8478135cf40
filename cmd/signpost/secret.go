package main

import (
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// asKubernetes is the one form of --as.
const asKubernetes = "kubernetes"

// maxSecret is the most that the values of a Secret may have together, in bytes
// (MaxSecretSize of its API).
const maxSecret = 1 << 20

// subdomainName is what Kubernetes takes for the name of a Secret (RFC 1123).
var subdomainName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)

func secretFlags(what string) []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "as", Usage: "print " + what + ", with the private keys, in `FORM`: " +
			"kubernetes, the manifest of a Secret"},
		&cli.StringFlag{Name: "secret", Value: "dkim-keys", Usage: "`NAME` of that Secret"},
	}
}

// wantsSecret reports whether --as asks for a Secret, and refuses flags that do not go
// with that.
func wantsSecret(c *cli.Context) (bool, error) {
	form, name := c.String("as"), c.String("secret")
	switch {
	case form == "" && c.IsSet("secret"):
		return false, usageError("--secret goes with --as %s", asKubernetes)
	case form == "":
		return false, nil
	case form != asKubernetes:
		return false, finding.WithHint(usageError("--as: unknown form %q", form), "it is %s", asKubernetes)
	case c.Bool("json"):
		return false, usageError("--json and --as %s exclude each other", form)
	case len(name) > 253 || !subdomainName.MatchString(name):
		return false, finding.WithHint(usageError("--secret: invalid name %q", name),
			"lower-case letters, digits, - and ., such as dkim-keys")
	}
	return true, nil
}

// printSecret prints the keys of domains as the manifest of a Secret, or those of all if
// domains is nil. It prints nothing if one of them cannot be had: who applies a Secret
// without it would take it away from signpostd.
func printSecret(c *cli.Context, set keySet, domains []string) error {
	for _, problem := range set.Problems() {
		if domains == nil || slices.Contains(domains, problem.Domain) {
			f := brokenKey(problem)
			return finding.WithHint(errors.New(f.What), "%s", f.Advice())
		}
	}
	if domains == nil {
		domains = set.Domains()
	}
	slices.Sort(domains)
	domains = slices.Compact(domains)
	var lines strings.Builder
	size := 0
	for _, domain := range domains {
		keys := set.Keys(domain)
		if len(keys) == 0 {
			return finding.WithHint(fmt.Errorf("%s has no key in %s", domain, set.place.Name()),
				"make one with signpost keygen%s %s", keysOption(c.String("keys")), domain)
		}
		for _, key := range keys {
			// A Secret has no folders, and the name is split at its last dot.
			if strings.Contains(key.Selector, ".") {
				return finding.WithHint(fmt.Errorf("%s: the selector %q has a dot, and cannot be told from "+
					"the domain in a Secret", domain, key.Selector),
					"put this key into a Secret of its own, and mount it with path %s/%s.private", domain, key.Selector)
			}
			data, err := set.place.Secret(c.Context, key)
			if err != nil {
				return err
			}
			pem, err := keystore.Portable(key, data)
			clear(data)
			if err != nil {
				return err
			}
			size += len(pem)
			fmt.Fprintf(&lines, "  %s.%s.key: %s\n", domain, key.Selector, base64.StdEncoding.EncodeToString(pem))
			clear(pem)
		}
	}
	switch {
	case size == 0:
		return finding.WithHint(fmt.Errorf("there is no key in %s", set.place.Name()),
			"make one with signpost keygen%s example.org", keysOption(c.String("keys")))
	case size > maxSecret:
		return finding.WithHint(fmt.Errorf("the keys have %d bytes, and a Secret holds %d", size, maxSecret),
			"print the keys of some domains at a time, with another --secret each, and mount them together")
	}
	// In quotes, for 2026 and true are names too.
	fmt.Fprintf(c.App.Writer, "apiVersion: v1\nkind: Secret\nmetadata:\n  name: %q\ntype: Opaque\ndata:\n%s",
		c.String("secret"), lines.String())
	return nil
}
