package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/milter"
)

func healthCommand() *cli.Command {
	return &cli.Command{
		Name:      "health",
		Usage:     "say whether signpostd could sign now",
		UsageText: "signpost health [options]",
		Description: `Speaks the milter protocol to signpostd and offers it one message from each
domain in ALLOWED_SENDER_DOMAINS or, where that is empty, from the first
domain of the key directory. No mail is sent. It exits with 0 when all would
be signed and with 1 when not, so it serves as the health check of a container.

   $ signpost health
   signpostd at inet:localhost:8891 signs for example.org`,
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "socket", EnvVars: []string{"SIGNPOST_LISTEN", "OPENDKIM_Socket"}, Value: "inet:8891@localhost",
				Usage: "where signpostd listens, as in its --listen"},
			&cli.StringFlag{Name: "domains", EnvVars: []string{"SIGNPOST_DOMAINS", "ALLOWED_SENDER_DOMAINS"},
				Usage: "the domains to ask for, white space between"},
			&cli.StringFlag{Name: "keys", EnvVars: []string{"SIGNPOST_KEYS"}, Value: "/etc/opendkim/keys",
				Usage: "the key directory, to find a domain in"},
			&cli.DurationFlag{Name: "timeout", Value: 5 * time.Second, Usage: "how long to wait for an answer"},
		},
		Action: health,
	}
}

func health(c *cli.Context) error {
	if c.Args().Present() {
		return exitError{exitUsage, fmt.Errorf("health takes no arguments, not %q", c.Args().First())}
	}
	// Of several sockets the first will do: they are served by one process.
	addresses, err := milter.ParseAddresses(c.String("socket"))
	if err != nil {
		return exitError{exitUsage, err}
	}
	address := addresses[0]
	domains, err := healthDomains(c.String("domains"), c.String("keys"))
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	if err := milter.Probe(ctx, address.Local(), domains); err != nil {
		return err
	}
	fmt.Fprintf(c.App.Writer, "signpostd at %s signs for %s\n", address, strings.Join(domains, ", "))
	return nil
}

func healthDomains(listed, dir string) ([]string, error) {
	var domains []string
	for _, name := range strings.Fields(listed) {
		domain, err := keystore.Domain(name)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		domains = append(domains, domain)
	}
	if domains != nil {
		return domains, nil
	}
	domain, err := keystore.AnyDomain(dir)
	if errors.Is(err, keystore.ErrNoKey) {
		return nil, fmt.Errorf("no key in %s, so nothing would be signed; hint: put a key there, or set DKIM_AUTOGENERATE=yes and ALLOWED_SENDER_DOMAINS", dir)
	}
	return []string{domain}, err
}
