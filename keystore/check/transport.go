package check

import (
	"context"
	"fmt"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// checkTransport reads what a domain tells those who send to it: where reports on TLS
// go (RFC 8460), and that it has an MTA-STS policy (RFC 8461). Most have neither.
func (a *audit) checkTransport(ctx context.Context, s *section) {
	name := "_smtp._tls." + a.domain
	texts, err := a.resolver.TXT(ctx, name)
	if err != nil {
		s.failed(name, err, "whether reports on TLS are asked for is not known")
	} else {
		found := record.LintTLSRPT(name, texts)
		s.findings = append(s.findings, found...)
		for _, t := range texts {
			if r, err := record.ParseTLSRPT(t.Text()); err == nil && len(found) == 0 {
				s.ok(name, "reports on TLS (TLS-RPT) go to %s", strings.Join(r.Reports, ", "))
			}
		}
	}
	name = "_mta-sts." + a.domain
	if texts, err = a.resolver.TXT(ctx, name); err != nil {
		s.failed(name, err, "whether the domain has an MTA-STS policy is not known")
		return
	}
	found := record.LintSTS(name, texts)
	s.findings = append(s.findings, found...)
	for _, t := range texts {
		if r, err := record.ParseSTS(t.Text()); err == nil && len(found) == 0 {
			a.checkPolicyHost(ctx, s, name, r)
		}
	}
}

// checkPolicyHost wants an address where senders fetch the MTA-STS policy.
func (a *audit) checkPolicyHost(ctx context.Context, s *section, name string, sts record.STS) {
	host := "mta-sts." + a.domain
	policy := fmt.Sprintf("https://%s/.well-known/mta-sts.txt", host)
	addrs, err := a.addresses(ctx, host)
	switch {
	case err != nil:
		s.failed(host, err, "whether senders can fetch the MTA-STS policy is not known")
	case len(addrs) == 0:
		s.add(finding.Warning, "mta-sts-no-host", host,
			"it has no address, and senders fetch the MTA-STS policy from "+policy,
			"senders find no policy, and go on as if there were none",
			"serve the policy there, or remove the record at "+name)
	default:
		s.ok(name, "an MTA-STS policy is announced (id %s); %s was not fetched", sts.ID, policy)
	}
}
