package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/record/render"
)

func dnsCommand() *cli.Command {
	return &cli.Command{
		Name:      "dns",
		Usage:     "print the SPF, DKIM and DMARC records to publish",
		UsageText: "signpost dns [options] DOMAIN...\nsignpost dns --no-mail [options] DOMAIN...",
		Flags: slices.Concat([]cli.Flag{
			&cli.StringFlag{Name: "format", Value: "table", Usage: "print in `FORMAT`: " +
				strings.Join(render.Formats(), "|")},
			jsonFlag(), keysFlag(), selectorFlag(), settings.Named("shared-key").Flag(),
			daemonFlag(), timeoutFlag(5 * time.Second),
			&cli.StringFlag{Name: "zone", Usage: "the zone is `ZONE`, the domain itself or a " +
				"parent of it (default: the domain)"},
			&cli.IntFlag{Name: "ttl", Value: 3600, Usage: "`SECONDS` that resolvers may keep the records"},
			&cli.BoolFlag{Name: "no-mail", Usage: "the records of a domain that sends no mail"},
			&cli.BoolFlag{Name: "null-mx", Usage: "with --no-mail: it receives none either"},
		}, spfFlags(), dmarcFlags()),
		Action: dnsAction,
	}
}

func dnsAction(c *cli.Context) error {
	domains, err := domainArgs(c)
	if err != nil {
		return err
	}
	plan, err := newDNSPlan(c)
	if err != nil {
		return err
	}
	keys, err := dnsKeys(c, plan, domains)
	if err != nil {
		return err
	}
	running, err := openDaemon(c)
	if err != nil {
		return err
	}
	var verdict error
	var next []dnsStep
	zones := newDNSZones(plan, domains)
	seen := make(map[string]bool)
	for _, domain := range domains {
		if seen[domain] {
			continue
		}
		seen[domain] = true
		if plan.zone != "" && !(render.Record{Name: domain}).In(plan.zone) {
			return exitError{exitUsage, finding.WithHint(fmt.Errorf("--zone: %q does not contain %s",
				plan.zone, domain),
				"it is the domain or a parent of it")}
		}
		spf := plan.spfRecord(domain)
		if lintSPF(c, spf) {
			verdict = exitCode(exitFinding)
		}
		records := []render.Record{spf}
		if plan.noMail {
			records = append(records, noMailRecords(c.Bool("null-mx"), domain)...)
		}
		found, complete, err := keyRecords(c, plan, keys, domain)
		if err != nil {
			return err
		}
		if !complete {
			verdict = exitCode(exitFinding)
		}
		if running != nil && !plan.noMail {
			if err := addStages(c, running, keys.Domain(domain), domain, found); err != nil {
				return err
			}
		}
		records = append(records, found...)
		dmarc := plan.dmarcFor(domain)
		records = append(records, dmarcRecords(domain, dmarc)...)
		for i := range records {
			records[i].TTL = c.Int("ttl")
		}
		zones.add(domain, records)
		next = append(next, nextSteps(plan, domain, dmarc)...)
	}
	if err := printRecords(c, plan, zones, next); err != nil {
		return err
	}
	return verdict
}

// dnsPlan is what the flags ask for, whatever the domain.
type dnsPlan struct {
	format string
	zone   string // empty: each domain is its own
	noMail bool
	spf    record.SPF
	policy record.DMARC
	// toPostmaster: reports go to postmaster of each domain
	toPostmaster bool
}

func newDNSPlan(c *cli.Context) (*dnsPlan, error) {
	plan := &dnsPlan{format: c.String("format"), noMail: c.Bool("no-mail")}
	if c.Bool("json") {
		if c.IsSet("format") && plan.format != "json" {
			return nil, usageError("--json and --format %s exclude each other", plan.format)
		}
		plan.format = "json"
	}
	if err := render.CheckFormat(plan.format); err != nil {
		return nil, usageError("--format: %w", err)
	}
	if ttl := c.Int("ttl"); ttl < 0 || ttl > 1<<31-1 {
		return nil, usageError("--ttl: %d is not between 0 and 2147483647", ttl)
	}
	if c.Bool("null-mx") && !plan.noMail {
		return nil, exitError{exitUsage, finding.WithHint(errors.New("--null-mx goes with --no-mail"),
			"without MX records mail goes to the A and AAAA of a domain, a null MX stops it")}
	}
	var err error
	if c.IsSet("zone") {
		if plan.zone, err = keystore.Domain(c.String("zone")); err != nil {
			return nil, usageError("--zone: %w", err)
		}
	}
	if plan.noMail {
		for _, name := range []string{"mx", "a", "ip", "include", "all", "spf", "policy", "sp", "np",
			"adkim", "aspf", "fo", "test"} {
			if c.IsSet(name) {
				return nil, usageError("--no-mail and --%s exclude each other", name)
			}
		}
	}
	if plan.spf, err = spfOf(c); err != nil {
		return nil, err
	}
	plan.policy, plan.toPostmaster, err = dmarcOf(c)
	return plan, err
}

// dnsKeys reads the key directory. It need not be there: SPF and DMARC do
// without, and so do domains of a shared key.
func dnsKeys(c *cli.Context, plan *dnsPlan, domains []string) (*keystore.Snapshot, error) {
	shared, err := loadShared(c)
	if err != nil {
		return nil, err
	}
	keys, err := loadKeys(c, domains...)
	if errors.Is(err, fs.ErrNotExist) {
		if !plan.noMail && shared == nil {
			warn(c, "%w", err)
		}
		keys.Snapshot, err = &keystore.Snapshot{}, nil
	}
	if err != nil {
		return nil, err
	}
	if shared != nil && !plan.noMail {
		keys.Snapshot = keys.WithShared(shared, domains...)
	}
	for _, p := range keys.Problems() {
		if p.Domain == "" && !plan.noMail {
			warn(c, "%s", p)
		}
	}
	return keys.Snapshot, nil
}

// keyRecords returns the record of every usable key of a domain: also those
// that do not sign now are needed, by mail that is on its way and by keys that
// wait for their record. It is not complete when a key lacks or is broken.
func keyRecords(c *cli.Context, plan *dnsPlan, snapshot *keystore.Snapshot,
	domain string) (records []render.Record, complete bool, err error) {
	keys := snapshot.Keys(domain)
	if plan.noMail {
		if len(keys) > 0 {
			warn(c, "%w", finding.WithHint(fmt.Errorf("%s has keys for %s, and --no-mail "+
				"publishes none of them", settings.WithoutPasswords(c.String("keys")), domain),
				"leave --no-mail out if it sends mail"))
		}
		return nil, true, nil
	}
	complete = true
	for _, p := range snapshot.Problems() {
		if p.Domain == domain {
			warn(c, "%s", p)
			complete = false
		}
	}
	if len(keys) == 0 {
		err := fmt.Errorf("no usable key for %s in %s, so no DKIM record", domain,
			settings.WithoutPasswords(c.String("keys")))
		if complete { // where a key is there and broken, a new one is not what is wanted
			err = finding.WithHint(err, "signpost keygen%s %s", keysOption(c.String("keys")), domain)
		}
		warn(c, "%w", err)
		return nil, false, nil
	}
	for _, key := range keys {
		r, err := record.ForKey(key.Signer.Public())
		if err != nil {
			return nil, false, fmt.Errorf("key %s: %w", key.File, err)
		}
		file := strings.TrimPrefix(key.File, filepath.Clean(c.String("keys"))+"/")
		why := fmt.Sprintf("DKIM: the public half of %s (%s), to verify signatures with", file, keySize(key))
		records = append(records, render.Record{Name: record.Name(key.Selector, domain), Type: "TXT",
			Value: r.String(), Why: why})
	}
	return records, complete, nil
}

// addStages says of the record of each key how far that key is for a running
// signpostd.
func addStages(c *cli.Context, running *daemon, keys *keystore.DomainKeys, domain string,
	records []render.Record) error {
	stages, err := running.stages(c.Context, domain)
	if err != nil {
		return err
	}
	unknown := ". signpostd does not know this key"
	if list := keys.List(); len(list) > 0 && list[0].Shared {
		unknown = ". signpostd looks for it in the DNS when mail comes from the domain"
	}
	for i, r := range records {
		selector, _, _ := strings.Cut(r.Name, "._domainkey.")
		stage, known := stages[selector]
		if !known {
			records[i].Why += unknown
			continue
		}
		records[i].Why += fmt.Sprintf(". It is %s: %s", stage, stage.Meaning())
	}
	return nil
}

func keySize(key *keystore.Key) string {
	switch {
	case key.Algorithm == keystore.Ed25519:
		return "Ed25519"
	case key.Bits < keystore.WeakBits:
		return fmt.Sprintf("RSA, %d bits: weak", key.Bits)
	}
	return fmt.Sprintf("RSA, %d bits", key.Bits)
}

// noMailRecords are those beside SPF and DMARC that keep a name from being used
// for mail (M3AAWG, Protecting Parked Domains).
func noMailRecords(nullMX bool, domain string) []render.Record {
	records := []render.Record{{Name: "*._domainkey." + domain, Type: "TXT", Value: "v=DKIM1; p=",
		Why: "DKIM: no selector has a key, so no signature is valid"}}
	if nullMX {
		records = append(records, render.Record{Name: domain, Type: "MX", Value: "0 .",
			Why: "MX: it takes no mail (RFC 7505); this must be its only MX record"})
	}
	return records
}
