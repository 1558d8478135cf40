package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/check"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "compare the DNS with the keys, and say whether mail will pass DMARC",
		UsageText: "signpost check [options] DOMAIN... | --all",
		Flags: append([]cli.Flag{
			keysFlag(),
			selectorFlag(),
			settings.Named("shared-key").Flag(),
			allFlag(),
			&cli.BoolFlag{Name: "subdomains", Usage: "the key of a domain signs for its " +
				"subdomains too, as in signpostd [$SIGNPOST_SUBDOMAINS]"},
			daemonFlag(),
			resolverFlag(),
			dnsRate().Flag(),
			&cli.BoolFlag{Name: "authoritative", Usage: "ask every name server of the domain itself, past all caches"},
			&cli.StringSliceFlag{Name: "from-ip",
				Usage: "public `ADDRESS` that mail is sent from; may be given several times"},
			&cli.StringFlag{Name: "helo", Usage: "`NAME` that the sending host gives in HELO"},
			&cli.StringFlag{Name: "mail-from", Aliases: []string{"from"},
				Usage: "`DOMAIN` in MAIL FROM, where it is another one"},
			timeoutFlag(5 * time.Second),
			jsonFlag(),
		}, bulkFlags()...),
		Action: checkDomains,
	}
}

func checkDomains(c *cli.Context) error {
	domains, err := domainsOrAll(c)
	if err != nil {
		return err
	}
	options, err := checkOptions(c, domains)
	if err != nil {
		return err
	}
	one := len(domains) == 1
	if c.Bool("all") {
		if options.KeysErr != nil {
			return options.KeysErr
		}
		domains = options.Keys.Domains()
	}
	list := answerList{out: c.App.Writer, name: "domains"}
	levels := make(map[finding.Level]bool)
	b := newBatch(c, "checked", "with faults", domains)
	for report := range results(b, atOnce(options.Resolver), func(domain string) (*check.Report, outcome) {
		report := check.Domain(c.Context, options, domain)
		switch {
		case c.Context.Err() != nil:
			return nil, undone // whatever it waited for looks like a DNS that is down
		case levelsOf(report.Findings)[finding.Fault]:
			return report, bad
		}
		return report, good
	}) {
		maps.Copy(levels, levelsOf(report.Findings))
		if c.Bool("bulk") {
			maps.Copy(levels, bulkLevels(report.Bulk))
		}
		if c.Bool("json") {
			err = errors.Join(err, list.add(report))
			continue
		}
		printReport(c, report, list.n > 0, one || c.Bool("bulk"))
		list.n++
	}
	if c.Bool("json") {
		err = errors.Join(err, list.end())
	}
	if err := errors.Join(err, b.stopped()); err != nil {
		return err
	}
	return verdictOf(levels)
}

func printReport(c *cli.Context, report *check.Report, more, bulk bool) {
	s, out := styleOf(c), c.App.Writer
	if more {
		io.WriteString(out, "\n")
	}
	fmt.Fprintln(out, s.bold(report.Domain))
	for _, good := range report.Good {
		fmt.Fprintf(out, "%s: %s: %s\n", s.green("good"), s.bold(visible(good.Name)), visible(good.What))
	}
	printFindings(c, report.Findings)
	if bulk && report.Bulk != nil {
		printBulk(c, report.Bulk)
	}
	verdict := visible(report.Verdict)
	switch report.Passes {
	case check.Yes:
		verdict = s.green(verdict)
	case check.No:
		verdict = s.red(verdict)
	}
	fmt.Fprintln(out, verdict)
}

// checkOptions reads the flags, for those domains.
func checkOptions(c *cli.Context, domains []string) (check.Options, error) {
	options := check.Options{Authoritative: c.Bool("authoritative")}
	var err error
	if options.Subdomains, err = settings.Parse(c, "subdomains", settings.ParseSwitch); err != nil {
		return options, exitError{exitUsage, err}
	}
	resolver, err := resolverOf(c)
	if err != nil {
		return options, err
	}
	options.Resolver = resolver.Remembering()
	if err := senderOptions(c, &options); err != nil {
		return options, err
	}
	keys, err := keyDirectory(c)
	if err != nil {
		return options, err
	}
	running, err := openDaemon(c)
	if err != nil {
		return options, err
	}
	if running != nil {
		options.Stages, options.Sender.Signed = running.stages, running.signed
	}
	if err := bulkOptions(c, &options, domains); err != nil {
		return options, err
	}
	// Without keys there is still much to check, so that is a finding.
	var above []string
	for _, domain := range domains {
		above = slices.AppendSeq(above, dns.Walk(domain))
	}
	set, err := loadMore(c, domains, above)
	options.Keys, options.KeysErr = set.Snapshot, err
	shared, wrong := loadShared(c)
	if wrong != nil {
		return options, wrong
	}
	if shared != nil && err == nil {
		options.Keys = set.WithShared(shared, domains...)
	}
	options.KeysIn, options.Mode = keys.Place(), keys.Mode
	return options, nil
}
