package check

import (
	"context"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// probe returns a name beside another one that nobody made: what it holds is
// from a wildcard.
func probe(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return "signpost-looks-for-wildcards." + parent
}

// alias returns the CNAMEs that an answer came by. Those of a wildcard do not
// count: a record at the name itself takes its place (RFC 4592, section 2.2.1).
func (a *audit) alias(ctx context.Context, answer *dns.Answer) []string {
	if len(answer.CNAMEs) == 0 {
		return nil
	}
	if other, err := a.resolver.Lookup(ctx, probe(answer.Name), answer.Type); err == nil && slices.Equal(other.CNAMEs, answer.CNAMEs) {
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
