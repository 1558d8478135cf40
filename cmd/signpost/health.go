package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
)

func healthCommand() *cli.Command {
	return &cli.Command{
		Name:      "health",
		Usage:     "say whether signpostd could sign now",
		UsageText: "signpost health [options]",
		Flags: []cli.Flag{
			settings.Named("socket").Flag(),
			settings.Named("domains").Flag(),
			&cli.BoolFlag{Name: "all", DisableDefaultText: true, Usage: "fail unless every domain can be signed"},
			keysFlag(),
			daemonFlag(),
			timeoutFlag(5 * time.Second),
			jsonFlag(),
		},
		Action: health,
	}
}

func health(c *cli.Context) error {
	if c.Args().Present() {
		return exitError{exitUsage, fmt.Errorf("health takes no arguments, not %q", c.Args().First())}
	}
	running, err := openDaemon(c)
	if err != nil {
		return err
	}
	if running != nil {
		if c.IsSet("domains") {
			return usageError("--domains does not go with --daemon: it knows which domains it has to sign")
		}
		return healthOf(c, running)
	}
	// Of several sockets the first will do: they are served by one process.
	addresses, err := settings.Parse(c, "socket", milter.ParseAddresses)
	if err != nil {
		return exitError{exitUsage, err}
	}
	address := addresses[0]
	domains, err := healthDomains(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.Context, c.Duration("timeout"))
	defer cancel()
	signed, err := probe(ctx, address.Local(), domains)
	// Who names domains on the command line asks for each of them.
	healthy := err == nil || len(signed) > 0 && !c.Bool("all") && !c.IsSet("domains")
	if c.Bool("json") {
		return healthJSON(c, address, domains, healthy, err)
	}
	if !healthy {
		return err
	}
	if err != nil {
		printError(c.App.ErrWriter, "warning", err)
	}
	fmt.Fprintf(c.App.Writer, "signpostd at %s signs for %s\n", address, strings.Join(signed, ", "))
	return nil
}

// healthOf goes by what signpostd says of itself.
func healthOf(c *cli.Context, running *daemon) error {
	shown, err := running.client.Overview(c.Context)
	if err != nil {
		return running.notAsked(err)
	}
	err = errors.Join(shown.Err(), shown.Unsignable())
	healthy := err == nil || shown.Ready && !c.Bool("all")
	if c.Bool("json") {
		return healthJSON(c, running.client.Address, []string{}, healthy, err)
	}
	if !healthy {
		return err
	}
	if err != nil {
		printError(c.App.ErrWriter, "warning", err)
	}
	var counts []string
	for _, stage := range rotation.Stages() {
		if n := shown.Keys[stage]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, stage))
		}
	}
	fmt.Fprintf(c.App.Writer, "signpostd %s at %s is ready; keys: %s\n",
		visible(shown.Version), running.client.Address, cmp.Or(strings.Join(counts, ", "), "none"))
	return nil
}

// healthAnswer is the JSON form of the answer.
type healthAnswer struct {
	Signs   bool     `json:"signs"`
	Socket  string   `json:"socket"`
	Domains []string `json:"domains"`
	Error   string   `json:"error"`
	Hint    string   `json:"hint"`
}

func healthJSON(c *cli.Context, address milter.Address, domains []string, healthy bool, probed error) error {
	answer := healthAnswer{Signs: healthy, Socket: address.String(), Domains: domains}
	if probed != nil {
		answer.Error, answer.Hint = finding.Split(probed)
	}
	if err := printJSON(c, answer); err != nil {
		return err
	}
	if !healthy {
		return exitCode(exitFinding)
	}
	return nil
}

// healthDomains returns the domains that must be signed or, if there are none, one
// that has a key.
func healthDomains(c *cli.Context) ([]string, error) {
	domains, err := settings.Parse(c, "domains", settings.ParseDomains)
	if err != nil {
		return nil, exitError{exitUsage, err}
	}
	if domains != nil {
		return domains, nil
	}
	options, err := keyDirectory(c)
	if err != nil {
		return nil, err
	}
	keys := options.Place()
	domain, err := keys.Any(c.Context)
	if errors.Is(err, keystore.ErrNoKey) {
		return nil, finding.WithHint(fmt.Errorf("no key in %s, so nothing would be signed", keys.Name()),
			"put a key there, or set DKIM_AUTOGENERATE=yes and ALLOWED_SENDER_DOMAINS")
	}
	return []string{domain}, err
}
