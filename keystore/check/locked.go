package check

import (
	"context"
	"fmt"
	"slices"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// isLocked reports whether a domain is published as one that sends no mail, and
// there is no key for it either: then there is nothing to find missing. SPF
// alone does not say so, as mail may do with DKIM.
func (a *audit) isLocked(ctx context.Context) bool {
	if a.Keys == nil || a.mailFrom != a.domain {
		return false
	}
	for domain := range dns.Walk(a.domain) {
		if len(a.Keys.Keys(domain)) > 0 {
			return false
		}
		if !a.Subdomains {
			break
		}
	}
	texts, err := a.resolver.TXT(ctx, a.domain)
	policies := spfRecords(texts)
	if err != nil || len(policies) != 1 {
		return false
	}
	policy, err := record.ParseSPF(policies[0])
	if err != nil || !slices.Equal(policy.Terms, []record.Term{{Qualifier: "-", Name: "all"}}) {
		return false
	}
	if keys, err := a.resolver.TXT(ctx, dns.Sibling(record.Name("s1", a.domain))); err == nil && len(keys) == 1 {
		if key, err := record.ParseDKIM(keys[0].Text()); err == nil && key.Revoked() {
			return true
		}
	}
	answer, err := a.resolver.Lookup(ctx, a.domain, miekg.TypeMX)
	if err != nil {
		return false
	}
	records := exchangers(answer)
	return len(records) == 1 && records[0].Mx == "."
}

// locked is the report on such a domain.
func (a *audit) locked(ctx context.Context, start *section) *Report {
	var senders, policy, servers section
	senders.ok(a.domain, "it is locked: what it publishes says that it sends no mail, and there "+
		"is no key for it in %s", a.KeysIn.Name())
	a.checkSPF(ctx, &senders)
	a.checkPolicy(ctx, &policy)
	a.checkServers(ctx, &servers)
	r := a.report(ctx, start, &senders, &policy, &servers)
	if p := a.policy.policy; p != nil && p.Policy != "" {
		r.Passes = No
		r.Verdict = fmt.Sprintf("mail from %s will not pass DMARC because the domain is locked: "+
			"nobody may send in its name; receivers are told to %s", a.domain, treatment(p.Policy))
	}
	return r
}
