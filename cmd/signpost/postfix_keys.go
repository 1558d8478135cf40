package main

import (
	"errors"
	"slices"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/postfix"
)

// bounceKeys returns what says whether a domain that bounces may come from has a key; nil
// where that is not known. Keys are those of --keys or, with the Postfix of this machine, of the
// default directory if there is one.
func bounceKeys(c *cli.Context, config *postfix.Config) (func(domain string) bool, error) {
	keys, dir := settings.Named("keys").Value(c), settings.Named("config-dir")
	given := c.IsSet("keys") || keys.From != "--keys"
	here := c.NArg() == 0 && dir.Value(c).Text == dir.Default
	origin, known := config.Origin()
	if !given && !here || !known {
		return nil, nil
	}
	set, err := loadMore(c, []string{origin}, slices.Collect(dns.Walk(origin)))
	switch {
	case given && err != nil:
		return nil, err
	case err != nil || !given && set.Len() == 0:
		return nil, nil
	}
	return func(domain string) bool { return !errors.Is(set.Domain(domain).Err(), keystore.ErrNoKey) }, nil
}
