package main

import (
	"cmp"
	"errors"
	"runtime/debug"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
	"signpost/milter/reports"
	"signpost/milter/reports/origin"
)

func reportsCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringSliceFlag{Name: "domain", Usage: "tell of this `DOMAIN` alone; repeatable"},
		keysFlag(),
	}
	flags = append(flags, settings.Flags(settings.ForReports()[1:])...) // the reports are the arguments
	flags = append(flags, mailboxFlags()...)
	return &cli.Command{
		Name:      "reports",
		Usage:     "read DMARC reports, and say whether a stricter policy is safe",
		UsageText: "signpost reports [options] PATH...\nsignpost reports [options] --imap URL [--save DIR]",
		Flags: append(flags,
			&cli.IntFlag{Name: "sources", Value: usualSources, Usage: "show this `NUMBER` of sources; 0 for all"},
			&cli.BoolFlag{Name: "all", Usage: "show all of all lists"},
			&cli.StringFlag{Name: "html", Usage: "write the answer as one page, with nothing to load, to `FILE`"},
			settings.Named("publish").Flag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "with --publish, say what would be published, and change nothing"},
			&cli.BoolFlag{Name: "no-dns", Usage: "ask no DNS: neither for the policy, nor for names of " +
				"addresses and stages of keys"},
			resolverFlag(),
			dnsRate().Flag(),
			timeoutFlag(5*time.Second),
			jsonFlag(),
		),
		Action: readReports,
	}
}

// reportReader is one run of the verb.
type reportReader struct {
	c        *cli.Context
	settings settings.Reports
	resolver *dns.Resolver // nil: the DNS is not asked
	reader   reports.Reader
	domains  []string // that are asked for; none for all
	tally    *tally.Tally
	now      time.Time
	keys     keySet
	keysErr  error // why the keys are not known
	answer   reportsAnswer
}

// softMemory is from how many bytes on memory is given back more eagerly: reports of a hundred
// thousand addresses would else take half as much again.
const softMemory = 150 << 20

func readReports(c *cli.Context) error {
	debug.SetMemoryLimit(softMemory)
	r, err := newReportReader(c)
	if err != nil {
		return err
	}
	publisher, err := r.openPublisher()
	if err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	r.loadKeys()
	for _, domain := range r.about() {
		if c.Context.Err() != nil {
			return errStopped
		}
		r.answer.Domains = append(r.answer.Domains, r.domain(domain))
	}
	r.answer.Safe = worst(r.answer.Domains)
	if publisher != nil {
		err = r.publish(publisher)
	}
	if file := c.String("html"); file != "" {
		err = errors.Join(err, writePage(file, &r.answer, r.now))
	}
	if c.Bool("json") {
		err = errors.Join(err, printJSON(c, r.answer))
	} else {
		printReports(c, &r.answer)
	}
	return cmp.Or(err, exitOf(r.answer.Safe))
}

func newReportReader(c *cli.Context) (*reportReader, error) {
	r := &reportReader{c: c, tally: tally.New(), now: time.Now()}
	r.reader.Limits = reports.DefaultLimits()
	r.answer = reportsAnswer{Domains: []*reportsDomain{}, Read: newReportsRead()}
	var err error
	if r.settings, err = settings.ReadReports(c); err != nil {
		return nil, exitError{exitUsage, err}
	}
	if c.Int("sources") < 0 {
		return nil, usageError("--sources: %d must be 0 or more", c.Int("sources"))
	}
	for _, name := range c.StringSlice("domain") {
		domain, err := keystore.Domain(name)
		if err != nil {
			return nil, finding.WithHint(usageError("--domain: %w", err), "%s", domainHint(name))
		}
		r.domains = append(r.domains, domain)
	}
	if !c.Bool("no-dns") {
		resolver, err := resolverOf(c)
		if err != nil {
			return nil, err
		}
		r.resolver = resolver.Remembering()
		r.reader.Origin = origin.NewJudge(r.resolver, r.now).Origin
	}
	return r, nil
}

// about returns the domains to tell of: those asked for, or those of the reports, with
// those of keys that were asked about.
func (r *reportReader) about() []string {
	domains := r.domains
	if domains == nil {
		domains = r.tally.Domains()
		if r.c.IsSet("keys") && r.keys.Snapshot != nil {
			domains = slices.Concat(domains, r.keys.Domains())
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(domains)))
}

// mostNamed is of how many addresses of a domain the DNS is asked for the names.
const mostNamed = 200

// domain asks for everything that the answer on a domain depends on.
func (r *reportReader) domain(name string) *reportsDomain {
	q := r.settings.Question(r.now)
	if r.settings.Own != nil {
		q.OwnIs = "given with --own"
	}
	d := &reportsDomain{}
	d.askPolicy(r, name, &q)
	r.askKeys(name, &q)
	if r.resolver != nil {
		names := dns.Names(r.c.Context, r.resolver, r.tally.Sources(name, q), mostNamed)
		q.Name = nameOf(names)
	}
	d.KeysKnown = q.KeysKnown
	d.Answer = r.tally.Answer(name, q)
	if d.Reports == 0 {
		d.Older = r.tally.Last(name, r.now)
	}
	// In JSON a list is a list, be it empty.
	a := d.Answer
	a.Reporters, a.Unseen = append([]string{}, a.Reporters...), append([]string{}, a.Unseen...)
	a.Selectors, a.WhatIf = append([]tally.Selector{}, a.Selectors...), append([]tally.WhatIf{}, a.WhatIf...)
	a.Mail.Signers = append([]string{}, a.Mail.Signers...)
	for i := range a.Sources {
		s := &a.Sources[i]
		s.As, s.From = append([]string{}, s.As...), append([]string{}, s.From...)
	}
	return d
}
