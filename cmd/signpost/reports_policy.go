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
		d.NoRecord = "the DNS was not asked"
		return
	}
	answer, err := r.resolver.Lookup(r.c.Context, name, miekg.TypeTXT)
	if err != nil {
		d.NoRecord = err.Error()
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

// openPublisher returns what --publish names; nil without it.
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

// publish puts the record of the next step into the DNS, for each domain that is safe.
func (r *reportReader) publish(publisher publish.Publisher) error {
	var failed error
	for _, d := range r.answer.Domains {
		name := "_dmarc." + d.Domain
		if d.Refused = d.whyNot(); d.Refused != "" {
			continue
		}
		if !r.c.Bool("dry-run") {
			// A change that has begun is taken to its end.
			ctx := context.WithoutCancel(r.c.Context)
			if err := publisher.Replace(ctx, name, d.Record, d.Verdict.Record, policyTTL); err != nil {
				d.Refused = err.Error()
				failed = errors.Join(failed, err)
				continue
			}
		}
		d.Put = d.Verdict.Record
	}
	return failed
}

// whyNot says why no record of a next step may be published; empty when it may.
func (d *reportsDomain) whyNot() string {
	switch {
	case d.Verdict.Safe != tally.Safe:
		return "the verdict is: " + string(d.Verdict.Safe)
	case d.Verdict.Next == "":
		return "there is no next step: the policy is " + d.Policy.P
	case d.Record == "":
		return d.NoRecord
	case d.Alias != "":
		return "its name is an alias of " + d.Alias + ": have the record changed there"
	case d.Verdict.Record == "":
		return "the record of the next step is not known"
	case d.Verdict.Record == d.Record:
		return "it is in the DNS already"
	}
	return ""
}

// refusedHint is an error for what was not published, with its reason.
func (d *reportsDomain) refusedHint() error {
	err := fmt.Errorf("%s: the record of the next step is not published: %s", d.Domain, d.Refused)
	if d.Verdict.Safe != tally.Safe {
		return finding.WithHint(err, "do first what stands above, or change the record yourself")
	}
	return err
}
