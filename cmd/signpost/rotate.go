package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/time/rate"

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
			allFlag(),
			&cli.BoolFlag{Name: "status", Usage: "make and move nothing, and say how far each " +
				"domain is and what comes next"},
			&cli.BoolFlag{Name: "due", Usage: "leave out domains whose keys are younger than --interval"},
			&cli.StringFlag{Name: "interval", Value: "180d",
				Usage: "`TIME` that a key signs for, in days (d) or hours (h)"},
			&cli.BoolFlag{Name: "finish", Usage: "archive the keys that are not needed any more, " +
				"and say what to take out of the DNS"},
			&cli.StringFlag{Name: "overlap", Value: "7d",
				Usage: "`TIME` that the record of an old key must stay, for mail in transit"},
			&cli.BoolFlag{Name: "now", Usage: "finish before that time is over"},
			settings.Named("slots").Flag(),
			settings.Named("slot-zone").Flag(),
			settings.Named("publish").Flag(),
			&cli.BoolFlag{Name: "auto", Usage: "do whatever step is next: make a key that is " +
				"due, publish it, and finish; with --publish"},
			&cli.BoolFlag{Name: "revoke", Usage: "after --finish, print records that revoke the " +
				"old keys in place of none"},
			&cli.StringFlag{Name: "publish-private",
				Usage: "with --finish, copy the old private keys to `DIR` for all the world to " +
					"see, so that old mail proves nothing"},
			settings.Named("reports").Flag(),
			settings.Named("min-reporters").Flag(),
			settings.Named("min-messages").Flag(),
			daemonFlag(),
			resolverFlag(),
			dnsRate().Flag(),
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
	domains, err := domainsOrAll(c)
	if err != nil {
		return err
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
	r, err := newRotator(c, domains)
	if err != nil {
		return err
	}
	if c.Bool("all") {
		domains = r.Snapshot.Domains()
	}
	slices.Sort(domains)
	domains = slices.Compact(domains)
	b := newBatch(c, "done", "with errors", domains)
	err = printRotated(c, b, results(b, atOnce(r.Resolver), func(domain string) (*rotated, outcome) {
		// A step that has begun is taken to its end.
		result := newRotated(r, r.Domain(context.WithoutCancel(c.Context), domain, rotateAction(c)))
		if result.Error != "" {
			return result, bad
		}
		return result, good
	}))
	if err == nil && r.Blind { // what was due to be archived was not
		err = exitCode(exitUnknown)
	}
	return err
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
func printRotated(c *cli.Context, b *batch, results iter.Seq[*rotated]) error {
	list := answerList{out: c.App.Writer, name: "domains"}
	code := 0
	var err error
	for result := range results {
		switch {
		case result.code == exitFinding, result.code == exitUnknown && code == 0:
			code = result.code
		}
		if c.Bool("json") {
			err = errors.Join(err, list.add(result))
			continue
		}
		result.print(c, list.n > 0)
		list.n++
	}
	if c.Bool("json") {
		err = errors.Join(err, list.end())
	}
	switch err := errors.Join(err, b.stopped()); {
	case err != nil:
		return err
	case code != 0:
		return exitCode(code)
	}
	return nil
}

// checkRotate refuses flags that do not go together.
func checkRotate(c *cli.Context) error {
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

// rotator is the engine, and what another command line needs to find the same keys.
type rotator struct {
	*step.Rotator
	options string
}

func newRotator(c *cli.Context, domains []string) (*rotator, error) {
	r := &rotator{options: keysOption(c.String("keys")), Rotator: &step.Rotator{
		Due: c.Bool("due"), Early: c.Bool("now"), Patient: c.Bool("all"), Revoke: c.Bool("revoke"),
		Public: c.String("publish-private"),
	}}
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
	set, err := loadKeys(c, domains...)
	if err != nil {
		return nil, err
	}
	r.Snapshot = set.Snapshot
	r.Look = rotation.Look{
		Place: set.place, Mode: set.mode, Ask: rotation.Everywhere(r.Resolver), Now: time.Now(),
		Overlap: max(overlap, 1), // 0 stands for the usual one
	}
	if r.Look.Evidence, err = readEvidence(c); !errors.Is(err, errNoEvidence) {
		return r, err
	}
	switch rotateAction(c) { // a new key rests on no report
	case step.Start:
		printError(c.App.ErrWriter, "warning", err)
	case step.Auto:
		r.Blind = true
		printError(c.App.ErrWriter, "error", err)
	default:
		return r, err
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
		return 0, finding.WithHint(usageError("--%s: invalid duration %q", flag, text),
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
	limit := dnsRate().Value(c)
	most, err := strconv.Atoi(limit.Text)
	if err != nil || most < 1 || most > mostQueries {
		return nil, exitError{exitUsage, limit.Errorf("%q must be a number between 1 and %d", limit.Text, mostQueries)}
	}
	resolver.Limit = rate.NewLimiter(rate.Limit(most), most)
	return resolver, nil
}

const mostQueries = 10_000

// atOnce returns for how many domains to ask at once. A domain takes some ten queries,
// and those of one must not wait so long for those of others that time runs out.
func atOnce(resolver *dns.Resolver) int {
	return max(1, min(maxAtOnce, int(resolver.Limit.Limit())/10))
}
