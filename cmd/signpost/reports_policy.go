package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/finding"
	"signpost/keystore/publish"
	"signpost/keystore/record"
	"signpost/keystore/report/tally"
)

// askPolicy looks which DMARC record is in the DNS now, and adds it to a question.
func (d *reportsDomain) askPolicy(r *reportReader, domain string, q *tally.Question) {
	name := "_dmarc." + domain
	if r.resolver == nil {
		d.unknown, d.NoRecord = true, "the DNS was not asked"
		return
	}
	answer, err := r.resolver.Lookup(r.c.Context, name, miekg.TypeTXT)
	if err != nil {
		d.unknown, d.NoRecord = true, err.Error()
		return
	}
	var found []string
	for _, text := range answer.TXT() {
		if _, err := record.ParseDMARC(text.Text()); err == nil {
			found = append(found, text.Text())
		}
	}
	switch len(found) {
	case 0:
		d.NoRecord = "there is no DMARC record at " + name
	case 1:
		d.Record, q.Published = found[0], found[0]
		if len(answer.CNAMEs) > 0 {
			d.Alias = answer.Owner()
		}
	default: // RFC 9989, section 4.10
		d.NoRecord = fmt.Sprintf("there are %d DMARC records at %s, which count as none", len(found), name)
	}
}

// openPublisher returns what --publish names; nil when nothing is to be published.
func (r *reportReader) openPublisher() (publish.Publisher, error) {
	c := r.c
	if c.Bool("dry-run") && c.String("publish") == "" {
		return nil, usageError("--dry-run goes with --publish")
	}
	if !c.IsSet("publish") && !c.Bool("dry-run") {
		return nil, nil // a variable that is there for rotate does not change a policy
	}
	if r.resolver == nil {
		return nil, usageError("--publish and --no-dns exclude each other: what is in the DNS is replaced")
	}
	publisher, err := publish.Open(c.String("publish"), r.resolver)
	if err != nil {
		return nil, usageError("--publish: %w", err)
	}
	return publisher, nil
}

// policyTTL is that of a DMARC record that we publish: short, to be taken back soon.
const policyTTL = time.Hour

// publish puts the record of the next step into the DNS, for each domain that is safe. The
// error is for those that are and where it was not done.
func (r *reportReader) publish(publisher publish.Publisher) error {
	var failed error
	for _, d := range r.answer.Domains {
		if d.Verdict.Safe != tally.Safe {
			d.Refused = "the verdict is: " + string(d.Verdict.Safe)
			continue
		}
		if d.Verdict.Next == "" {
			d.Refused = "there is no next step after p=" + d.Policy.P
			continue
		}
		err := d.mayBeReplaced()
		if err == nil && !r.c.Bool("dry-run") {
			// A change that has begun is taken to its end.
			ctx := context.WithoutCancel(r.c.Context)
			err = publisher.Replace(ctx, "_dmarc."+d.Domain, d.Record, d.Verdict.Record, policyTTL)
		}
		if err != nil {
			d.Refused = err.Error()
			failed = errors.Join(failed, err)
			continue
		}
		d.Put = d.Verdict.Record
	}
	return failed
}

// mayBeReplaced says why the record that is in the DNS may not be replaced.
func (d *reportsDomain) mayBeReplaced() error {
	switch {
	case d.unknown:
		return exitError{exitUnknown, fmt.Errorf("%s: no record is published in place of one that is not known: %s",
			d.Domain, d.NoRecord)}
	case d.Record == "":
		return finding.WithHint(fmt.Errorf("%s: no record is replaced: %s", d.Domain, d.NoRecord),
			"signpost dns %s prints a first one", d.Domain)
	case d.Alias != "":
		return finding.WithHint(fmt.Errorf("%s: _dmarc.%s is an alias of %s", d.Domain, d.Domain, d.Alias),
			"have the record changed there")
	case d.Verdict.Record == "":
		return fmt.Errorf("%s: the record of the next step is not known", d.Domain)
	}
	return nil
}
