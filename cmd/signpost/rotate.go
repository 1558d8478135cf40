package main

import (
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/publish"
	"signpost/keystore/rotation"
	"signpost/keystore/rotation/step"
)

func rotateCommand() *cli.Command {
	return &cli.Command{
		Name:      "rotate",
		Usage:     "change the keys of domains without breaking mail",
		UsageText: "signpost rotate [options] DOMAIN... | --all",
		Flags: []cli.Flag{
			keysFlag(),
			selectorFlag(),
			&cli.BoolFlag{Name: "all", Usage: "every domain of the key directory"},
			&cli.BoolFlag{Name: "status", Usage: "make and move nothing, and say how far each domain is and what comes next"},
			&cli.BoolFlag{Name: "due", Usage: "leave out domains whose keys are younger than --interval"},
			&cli.StringFlag{Name: "interval", Value: "180d", Usage: "`TIME` that a key signs for, in days (d) or hours (h)"},
			&cli.BoolFlag{Name: "finish", Usage: "archive the keys that are not needed any more, and say what to take out of the DNS"},
			&cli.StringFlag{Name: "overlap", Value: "7d", Usage: "`TIME` that the record of an old key must stay, for mail in transit"},
			&cli.BoolFlag{Name: "now", Usage: "finish before that time is over"},
			settings.Named("slots").Flag(),
			settings.Named("slot-zone").Flag(),
			settings.Named("publish").Flag(),
			&cli.BoolFlag{Name: "auto", Usage: "do whatever step is next: make a key that is due, publish it, and finish; with --publish"},
			&cli.BoolFlag{Name: "revoke", Usage: "after --finish, print records that revoke the old keys in place of none"},
			&cli.StringFlag{Name: "publish-private", Usage: "with --finish, copy the old private keys to `DIR` for all the world to see, so that old mail proves nothing"},
			daemonFlag(),
			resolverFlag(),
			timeoutFlag(5 * time.Second),
			jsonFlag(),
		},
		Action: rotate,
	}
}

func rotate(c *cli.Context) error {
	if err := checkRotate(c); err != nil {
		return err
	}
	var domains []string
	if !c.Bool("all") {
		var err error
		if domains, err = domainArgs(c); err != nil {
			return err
		}
	}
	if c.Bool("status") {
		running, err := openDaemon(c)
		if err != nil {
			return err
		}
		if running != nil {
			return rotateStatus(c, running, domains)
		}
	}
	r, err := newRotator(c)
	if err != nil {
		return err
	}
	if c.Bool("all") {
		domains = r.Snapshot.Domains()
	}
	slices.Sort(domains)
	domains = slices.Compact(domains)
	return printRotated(c, inOrder(domains, func(domain string) *rotated {
		if c.Context.Err() != nil {
			return &rotated{skipped: true}
		}
		return newRotated(r, r.Domain(c.Context, domain, rotateAction(c)))
	}))
}

func rotateAction(c *cli.Context) step.Action {
	switch {
	case c.Bool("status"):
		return step.Show
	case c.Bool("finish"):
		return step.Finish
	case c.Bool("auto"):
		return step.Auto
	}
	return step.Start
}

// printRotated prints what became of each domain, as soon as it is known.
func printRotated(c *cli.Context, results iter.Seq[*rotated]) error {
	answer := rotateAnswer{Domains: []*rotated{}}
	code := 0
	for result := range results {
		if result.skipped {
			continue
		}
		answer.Domains = append(answer.Domains, result)
		switch {
		case result.code == exitFinding, result.code == exitUnknown && code == 0:
			code = result.code
		}
		if !c.Bool("json") {
			result.print(c, len(answer.Domains) > 1)
		}
	}
	if c.Bool("json") {
		if err := printJSON(c, answer); err != nil {
			return err
		}
	}
	switch err := c.Context.Err(); {
	case err != nil:
		return exitError{exitUnknown, fmt.Errorf("stopped before all was done: %w", err)}
	case code != 0:
		return exitCode(code)
	}
	return nil
}

// checkRotate refuses flags that do not go together.
func checkRotate(c *cli.Context) error {
	if c.Bool("all") == c.Args().Present() {
		return finding.WithHint(usageError("give domains, or --all"), "signpost rotate example.org")
	}
	if c.Bool("auto") && (c.String("publish") == "" || c.Bool("status") || c.Bool("finish")) {
		return finding.WithHint(usageError("--auto makes, publishes and finishes by itself"),
			"give it --publish, and neither --status nor --finish")
	}
	if c.Bool("status") && c.Bool("finish") {
		return finding.WithHint(usageError("--status changes nothing, and --finish does"),
			"give one of them")
	}
	for _, name := range []string{"now", "revoke", "publish-private"} {
		if c.IsSet(name) && !c.Bool("finish") {
			return usageError("--%s goes with --finish", name)
		}
	}
	if c.String("daemon") != os.Getenv("SIGNPOST_DAEMON") && !c.Bool("status") {
		return finding.WithHint(usageError("--daemon goes with --status"),
			"the other steps look at the key directory and the DNS")
	}
	return nil
}

func newRotator(c *cli.Context) (*step.Rotator, error) {
	r := &step.Rotator{
		Due: c.Bool("due"), Early: c.Bool("now"), Patient: c.Bool("all"), Revoke: c.Bool("revoke"),
		Public: c.String("publish-private"),
	}
	var err error
	if r.Interval, err = days(c, "interval"); err != nil {
		return nil, err
	}
	overlap, err := days(c, "overlap")
	if err != nil {
		return nil, err
	}
	if r.Slots, err = readSlots(c); err != nil {
		return nil, err
	}
	if r.Resolver, err = resolverOf(c); err != nil {
		return nil, err
	}
	if how := c.String("publish"); how != "" {
		if r.Publisher, err = publish.Open(how, r.Resolver); err != nil {
			return nil, usageError("--publish: %w", err)
		}
	}
	var mode rotation.Mode
	if r.Snapshot, mode, err = loadKeys(c); err != nil {
		return nil, err
	}
	r.Look = rotation.Look{
		Dir: c.String("keys"), Mode: mode, Ask: rotation.Everywhere(r.Resolver), Now: time.Now(),
		Overlap: max(overlap, 1), // 0 stands for the usual one
	}
	return r, nil
}

func readSlots(c *cli.Context) (s step.Slots, err error) {
	for name := range strings.SplitSeq(c.String("slots"), ",") {
		if name = strings.TrimSpace(name); name == "" {
			continue
		}
		selector, err := keystore.Selector(name)
		if err != nil {
			return s, usageError("--slots: %w", err)
		}
		s.Selectors = append(s.Selectors, selector)
	}
	if len(s.Selectors) == 1 {
		return s, finding.WithHint(usageError("--slots: keys cannot take turns at %s alone", s.Selectors[0]),
			"give two, as in --slots a,b")
	}
	if zone := c.String("slot-zone"); zone != "" {
		if s.Zone, err = keystore.Domain(zone); err != nil {
			return s, usageError("--slot-zone: %w", err)
		}
		if len(s.Selectors) == 0 {
			return s, usageError("--slot-zone goes with --slots")
		}
	}
	return s, nil
}

// days reads a time such as 180d or 36h.
func days(c *cli.Context, flag string) (time.Duration, error) {
	text := c.String(flag)
	if n, err := strconv.ParseUint(strings.TrimSuffix(text, "d"), 10, 16); err == nil && strings.HasSuffix(text, "d") {
		return time.Duration(n) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, finding.WithHint(usageError("--%s: %q is no time", flag, text),
			"write it like 180d or 36h")
	}
	return d, nil
}

// resolverOf returns the resolver that --resolver names, or the system's.
func resolverOf(c *cli.Context) (*dns.Resolver, error) {
	resolver, err := dns.System()
	if address := c.String("resolver"); address != "" {
		if resolver, err = dns.At(address); err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--resolver: %w", err)}
		}
	}
	if err != nil {
		return nil, exitError{exitUnknown, err}
	}
	resolver.Patience = c.Duration("timeout")
	return resolver, nil
}
