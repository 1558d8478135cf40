package verify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/policy"
	"signpost/milter"
	"signpost/milter/message"
)

// DMARC is the result for the author of a message.
type DMARC struct {
	AuthorDomain string // in A-labels; empty when there is none
	// Result is Pass, Fail, TempError, PermError when there is not exactly one
	// author domain, or None when DMARC does not apply.
	Result Result
	Reason string
	// Policy is what the author domain asks for; nil when it was not found out.
	Policy *policy.AuthorDomain
	// DKIM and SPF are the domains that are authenticated so and aligned, which
	// makes DMARC pass. They are there without a policy too.
	DKIM []string
	SPF  string
	// Disposition is what the author domain asks a receiver to do: "none",
	// "quarantine" or "reject". Only with Fail it is not "none".
	Disposition string

	skipped bool // for want of a record at hand
}

// Aligned reports whether anything that is authenticated is aligned.
func (d *DMARC) Aligned() bool { return len(d.DKIM) > 0 || d.SPF != "" }

func (j *Judgement) judgeDMARC(ctx context.Context, m *Message, o Options) {
	d := &j.DMARC
	d.Disposition = "none"
	domain, err := authorDomain(m.text.Fields)
	if err != nil {
		// RFC 9989, section 5.3.1: then DMARC is not possible.
		d.Result, d.Reason = PermError, err.Error()
		return
	}
	d.AuthorDomain = domain
	policy, err := policy.DMARC(ctx, o.Source, domain)
	if err != nil {
		d.Result, d.Reason = TempError, fmt.Sprintf("the policy of %s is not known: %v", domain, err)
		return
	}
	d.Policy = policy
	unknown := j.align(ctx, o.Offline)
	switch {
	case policy.Found == "" && o.Offline:
		d.Result, d.Reason, d.skipped = None, "not looked up: there is no DMARC record at hand", true
	case policy.Found == "":
		d.Result, d.Reason = None, fmt.Sprintf("%s publishes no policy, so it asks nothing of receivers", domain)
	case policy.Policy == "":
		d.Result = None
		d.Reason = fmt.Sprintf("the record at _dmarc.%s has neither a valid policy nor an address for reports", policy.Found)
	case d.Aligned():
		d.Result = Pass
	case unknown != nil:
		d.Result, d.Reason = TempError, unknown.Error()
	default:
		d.Result, d.Disposition = Fail, policy.Policy
		d.Reason = j.whyNotAligned()
	}
}

// align finds out what counts for the author domain. The error is a failure
// without which there might have been more.
func (j *Judgement) align(ctx context.Context, offline bool) (unknown error) {
	p := j.DMARC.Policy
	aligned := func(domain string, strict bool) bool {
		if p.Found == "" {
			return related(domain, j.DMARC.AuthorDomain, offline)
		}
		ok, err := p.Aligned(ctx, domain, strict)
		if err != nil {
			unknown = err
		}
		return ok && err == nil
	}
	for _, s := range j.Signatures {
		switch s.Result {
		case Pass:
			if aligned(s.Domain, p.Record.StrictDKIM) {
				s.Aligned = true
				if !slices.Contains(j.DMARC.DKIM, s.Domain) {
					j.DMARC.DKIM = append(j.DMARC.DKIM, s.Domain)
				}
			}
		case TempError:
			unknown = fmt.Errorf("the signature of %s could not be verified: %s", s.Domain, s.Reason)
		}
	}
	switch j.SPF.Result {
	case policy.Pass:
		if aligned(j.SPF.Domain, p.Record.StrictSPF) {
			j.SPF.Aligned = true
			j.DMARC.SPF = j.SPF.Domain
		}
	case policy.TempError:
		if unknown == nil {
			unknown = fmt.Errorf("SPF could not be evaluated: %w", j.SPF.Err)
		}
	}
	return unknown
}

// related stands for alignment where no policy gives the organizational domain. A domain
// speaks for those below it. That one below speaks for it is only taken as good where the
// DNS was not asked: else anybody at a public suffix would speak for all of it.
func related(authenticated, author string, offline bool) bool {
	return authenticated == author || strings.HasSuffix(author, "."+authenticated) ||
		offline && strings.HasSuffix(authenticated, "."+author)
}

// whyNotAligned says why a message fails, in words.
func (j *Judgement) whyNotAligned() string {
	var good []string
	for _, s := range j.Signatures {
		if s.Result == Pass {
			good = append(good, "the DKIM signature of "+s.Domain)
		}
	}
	if j.SPF.Result == policy.Pass {
		good = append(good, "SPF for "+j.SPF.Domain)
	}
	if len(good) == 0 {
		return "neither a DKIM signature nor SPF passes"
	}
	verb := "passes but is"
	if len(good) > 1 {
		verb = "pass but are"
	}
	return fmt.Sprintf("%s %s not aligned with %s", strings.Join(good, " and "), verb, j.DMARC.AuthorDomain)
}

// authorDomain returns the domain of the From field, which must be exactly one.
func authorDomain(fields []message.Field) (string, error) {
	from := message.Named(fields, "from")
	switch len(from) {
	case 0:
		return "", errors.New("the message has no From field, so no author domain")
	case 1:
	default:
		return "", fmt.Errorf("the message has %d From fields, so no one author domain; receivers refuse it", len(from))
	}
	author, _, err := milter.AuthorDomain([]string{from[0].Value})
	if err != nil {
		return "", fmt.Errorf("there is no one author domain: %w", err)
	}
	if author, err = keystore.Domain(author); err != nil {
		return "", fmt.Errorf("from field: %w", err)
	}
	return author, nil
}
