package check

import (
	"context"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// alias returns the CNAMEs that an answer came by. Those of a wildcard do not count.
func (a *audit) alias(ctx context.Context, answer *dns.Answer) []string {
	if len(answer.CNAMEs) == 0 || a.resolver.FromWildcard(ctx, answer) {
		return nil
	}
	return answer.CNAMEs
}

// throughAliases says of records to publish where there is a CNAME at their name.
func (a *audit) throughAliases(ctx context.Context, findings []finding.Finding) {
	for _, f := range findings {
		if f.Publish == nil {
			continue
		}
		answer, err := a.resolver.Lookup(ctx, f.Publish.Name, miekg.TypeTXT)
		if err != nil {
			continue
		}
		if chain := a.alias(ctx, answer); len(chain) > 0 {
			f.Publish.Alias = chain[len(chain)-1]
		}
	}
}
