package check

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/finding"
	"signpost/keystore/policy"
	"signpost/keystore/record"
)

// policyState is what is known of the DMARC policy.
type policyState struct {
	policy *policy.AuthorDomain
	err    error // could not find out
}

func (a *audit) checkPolicy(ctx context.Context, s *section) {
	own := "_dmarc." + a.domain
	policy, err := policy.DMARC(ctx, a.resolver, a.domain)
	a.policy = policyState{policy, err}
	if err != nil {
		s.failed(own, err, "whether a DMARC policy is in force is not known")
		return
	}
	texts, err := a.resolver.TXT(ctx, own)
	if err == nil && (policy.Found == "" || policy.Found == a.domain || len(texts) > 0) {
		found := record.LintDMARC(own, texts)
		if policy.Found == "" && slices.ContainsFunc(found,
			func(f finding.Finding) bool { return f.Code == "dmarc-missing" }) {
			found = a.missingPolicy(ctx, found)
		}
		if policy.Found != "" { // other texts there do not matter
			found = slices.DeleteFunc(found, func(f finding.Finding) bool {
				return f.Code == "dmarc-missing" || f.Code == "dmarc-other-record"
			})
		}
		s.findings = append(s.findings, found...)
	}
	if policy.Found == "" {
		return
	}
	if policy.Found != a.domain {
		name := "_dmarc." + policy.Found
		if texts, err := a.resolver.TXT(ctx, name); err == nil {
			s.findings = append(s.findings, record.LintDMARC(name, texts)...)
		}
	}
	if policy.Policy != "" {
		what := fmt.Sprintf("the DMARC policy is %s, by %s= of the record at _dmarc.%s", policy.Policy,
			policy.Tag, policy.Found)
		if policy.Policy != policy.Published {
			what += ", which says " + policy.Published + " and, with t=y, that it is being tested"
		}
		s.ok(a.domain, "%s", what)
	}
	a.checkReports(ctx, s)
}

// missingPolicy looks where the record may have landed.
func (a *audit) missingPolicy(ctx context.Context, found []finding.Finding) []finding.Finding {
	a.landedElsewhere(ctx, found, misplaced{kind: "DMARC", name: "_dmarc." + a.domain, domain: a.domain,
		others: []string{a.domain, "dmarc." + a.domain, "_domainkey." + a.domain, "_dmarc._domainkey." + a.domain},
		is: func(text string) bool {
			_, err := record.ParseDMARC(text)
			return err == nil
		}})
	return found
}

// checkReports looks at where reports go: another domain must agree to get them
// (RFC 9990, verifying external destinations).
func (a *audit) checkReports(ctx context.Context, s *section) {
	policy := a.policy.policy
	seen := make(map[string]bool)
	for _, uri := range slices.Concat(policy.Record.AggregateReports, policy.Record.FailureReports) {
		domain := mailboxDomain(uri)
		if domain == "" || seen[domain] || len(seen) == mostNames {
			continue
		}
		seen[domain] = true
		own, err := policy.Aligned(ctx, domain, false)
		if err != nil {
			s.failed(domain, err, "whether DMARC reports arrive there is not known")
			continue
		}
		if !own && !a.authorised(ctx, s, policy.Found, domain) {
			continue
		}
		a.checkReportHost(ctx, s, domain)
	}
}

// authorised looks for the record by which a domain takes reports on another.
func (a *audit) authorised(ctx context.Context, s *section, of, at string) bool {
	name := of + "._report._dmarc." + at
	answer, err := a.resolver.Lookup(ctx, name, miekg.TypeTXT)
	if err != nil {
		s.failed(name, err, "whether "+at+" takes DMARC reports on "+of+" is not known")
		return false
	}
	texts := answer.TXT()
	if !slices.ContainsFunc(texts, func(t record.TXT) bool {
		text := strings.TrimSpace(t.Text())
		rest, found := strings.CutPrefix(text, "v=DMARC1")
		return found && (rest == "" || strings.HasPrefix(strings.TrimSpace(rest), ";"))
	}) {
		why := nothing(answer)
		if len(texts) > 0 {
			why = fmt.Sprintf("%q does not begin with v=DMARC1", shortened(texts[0].Text()))
		}
		s.addRecord(finding.Warning, "dmarc-report-unauthorised", name,
			at+" does not say that it takes DMARC reports on "+of+": "+why,
			"reports are not sent there", "", &finding.Record{Name: name, Value: "v=DMARC1"})
		return false
	}
	s.ok(name, "%s takes DMARC reports on %s", at, of)
	return true
}

// checkReportHost wants a mail exchanger, or an address, where reports go.
func (a *audit) checkReportHost(ctx context.Context, s *section, domain string) {
	answer, err := a.resolver.Lookup(ctx, domain, miekg.TypeMX)
	if err != nil {
		s.failed(domain, err, "whether DMARC reports arrive there is not known")
		return
	}
	records := exchangers(answer)
	takes := len(records) > 0 && records[0].Mx != "."
	if len(records) == 0 {
		addrs, err := a.addresses(ctx, domain)
		if err != nil {
			s.failed(domain, err, "whether DMARC reports arrive there is not known")
			return
		}
		takes = len(addrs) > 0
	}
	if !takes {
		s.add(finding.Warning, "dmarc-report-no-mx", domain,
			"DMARC reports go there, and it takes no mail: it has no MX record that names a host, and no address",
			"the reports are lost", "publish an MX record at "+domain+", or name another address in rua= and ruf=")
	}
}

// mailboxDomain returns the domain of a mailto URI, or nothing.
func mailboxDomain(uri string) string {
	parsed, err := url.Parse(uri)
	if err != nil || !strings.EqualFold(parsed.Scheme, "mailto") {
		return ""
	}
	address, err := url.PathUnescape(parsed.Opaque)
	if err != nil {
		return ""
	}
	return strings.ToLower(strings.TrimSuffix(address[strings.LastIndexByte(address, '@')+1:], "."))
}
