package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/record/render"
)

// dnsZones gathers records by the zone that publishes them.
type dnsZones struct {
	home    map[string]string // zone of each domain
	order   []string
	records map[string][]render.Record
}

func newDNSZones(plan *dnsPlan, domains []string) *dnsZones {
	z := &dnsZones{home: make(map[string]string), records: make(map[string][]render.Record)}
	for _, domain := range domains {
		zone := domain
		if plan.zone != "" {
			zone = plan.zone
		}
		z.home[domain] = zone
		if !slices.Contains(z.order, zone) {
			z.order = append(z.order, zone)
		}
	}
	return z
}

// add puts each record into the zone it belongs to. Those of zones that are not
// ours stay with the zone of their domain.
func (z *dnsZones) add(domain string, records []render.Record) {
	for _, r := range records {
		zone := z.home[domain]
		for _, other := range z.order {
			if r.In(other) && (!r.In(zone) || len(other) > len(zone)) {
				zone = other
			}
		}
		z.records[zone] = append(z.records[zone], r)
	}
}

// dnsStep is what to publish later.
type dnsStep struct {
	When    string `json:"when"`
	Name    string `json:"name"`
	Type    string `json:"type"`
	Value   string `json:"value"`
	Options string `json:"options"` // which print it
}

// nextSteps leads from the policy of a domain to "reject", one step at a time.
func nextSteps(plan *dnsPlan, domain string, policy record.DMARC) []dnsStep {
	if plan.noMail {
		return nil
	}
	var steps []dnsStep
	step := func(when, options string) {
		steps = append(steps, dnsStep{when, "_dmarc." + domain, "TXT", policy.String(), options})
	}
	if policy.Testing && policy.Policy != "none" {
		policy.Testing = false
		step("after two weeks in which the reports show all your own mail passing",
			"--policy "+policy.Policy+", without --test")
	}
	if policy.Policy == "none" {
		policy.Policy, policy.Testing = "quarantine", false
		step("after two weeks in which the reports show all your own mail passing", "--policy quarantine")
	}
	if policy.Policy == "quarantine" {
		policy.Policy = "reject"
		step("after four weeks more in which nobody missed mail", "--policy reject")
	}
	return steps
}

func printRecords(c *cli.Context, plan *dnsPlan, zones *dnsZones, next []dnsStep) error {
	if plan.format == "json" {
		answer := struct {
			Records []render.Object `json:"records"`
			Next    []dnsStep       `json:"next"`
		}{[]render.Object{}, slices.Concat([]dnsStep{}, next)}
		for _, zone := range zones.order {
			answer.Records = append(answer.Records, render.Objects(zone, zones.records[zone])...)
		}
		return printJSON(c, answer)
	}
	if len(zones.order) > 1 && slices.Contains([]string{"cloudflare", "route53"}, plan.format) {
		return exitError{exitUsage, finding.WithHint(
			fmt.Errorf("--format %s is for one zone, and here are %s", plan.format, strings.Join(zones.order, " and ")),
			"one domain at a time, or --zone for domains of one zone")}
	}
	var texts []string
	for _, zone := range zones.order {
		text, err := render.Records(plan.format, zone, zones.records[zone])
		if err != nil {
			return exitError{exitUsage, err}
		}
		texts = append(texts, text)
	}
	fmt.Fprint(c.App.Writer, strings.Join(texts, "\n"))
	if plan.format == "table" {
		printNext(c, next)
	} else {
		printCautions(c, plan.format, zones)
	}
	return nil
}

func printNext(c *cli.Context, next []dnsStep) {
	if len(next) == 0 {
		return
	}
	fmt.Fprintln(c.App.Writer, "\nnext, in place of the DMARC record above:")
	for _, step := range next {
		fmt.Fprintf(c.App.Writer, "\n%s\nname   %s\nvalue  %s\n       (printed with %s)\n", step.When,
			step.Name, step.Value, step.Options)
	}
}

// printCautions says what a user of a format must look at, once for all zones.
func printCautions(c *cli.Context, format string, zones *dnsZones) {
	for _, zone := range zones.order {
		if err := render.Caution(format, zones.records[zone]); err != nil {
			warn(c, "%w", err)
		}
		if format == "line" {
			continue
		}
		for _, r := range render.Elsewhere(zone, zones.records[zone]) {
			warn(c, "%w", finding.WithHint(fmt.Errorf("%s belongs in another zone, not in %s", r.Name, zone),
				"have those who run it publish %s TXT %q", r.Name, r.Value))
		}
	}
}
