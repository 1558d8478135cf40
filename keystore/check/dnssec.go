package check

import (
	"context"
	"errors"
	"fmt"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// checkDNSSEC says whether the domain's zone is signed. One that is not is in order;
// one whose signatures are not good is lost for every receiver that validates.
//
// The resolvers are asked even with Authoritative: they know the zones above.
func (a *audit) checkDNSSEC(ctx context.Context, s *section) {
	if a.absent {
		return
	}
	chain, err := a.Resolver.Chain(ctx, a.domain)
	if err != nil {
		s.add(finding.Note, "dnssec-unknown", a.domain,
			"whether its zone is signed (DNSSEC) cannot be known: "+err.Error(), "", "")
		return
	}
	if len(chain.DS) == 0 {
		notSigned(s, chain)
		return
	}
	security, err := a.Resolver.Security(ctx, chain.Zone, miekg.TypeSOA)
	if err == nil && security == dns.Validated {
		s.ok(chain.Zone, "the zone is signed (DNSSEC), and validated by the resolver")
		return
	}
	broken := chain.Broken(time.Now())
	switch {
	case broken == nil && err == nil && security == dns.Bogus:
		a.bogusElsewhere(s, chain.Zone)
	case broken == nil:
		s.ok(chain.Zone, "the zone is signed (DNSSEC), and its signatures are good by the DS records in the zone "+
			"above; the resolver does not validate")
	case errors.Is(broken, dns.ErrNotChecked) && security == dns.Bogus:
		a.bogusElsewhere(s, chain.Zone)
	case errors.Is(broken, dns.ErrNotChecked):
		s.add(finding.Note, "dnssec-unknown", chain.Zone, "the zone is signed (DNSSEC), and "+broken.Error()+
			", nor does the resolver validate them", "", "")
	case len(chain.Keys) == 0 && security != dns.Bogus:
		s.add(finding.Unknown, "dnssec-no-keys", chain.Zone,
			"the zone above says that it is signed (DNSSEC), and by this resolver it has no keys",
			"unless this resolver shows another zone than the Internet has, as in many offices, "+
				"receivers that validate find none of its records",
			"name a resolver that shows what the Internet sees with --resolver")
	default:
		a.bogusZone(s, chain.Zone, broken)
		if security != dns.Bogus {
			s.findings[len(s.findings)-1].Fix += "; where this resolver shows another zone than the Internet has, " +
				"name one that does not with --resolver"
		}
	}
}

// notSigned is for a zone that nobody validates.
func notSigned(s *section, chain *dns.Chain) {
	for _, key := range chain.Keys {
		if key.Flags&miekg.SEP == 0 {
			continue
		}
		fix := "give its DS record to whom the domain is registered with"
		if ds := key.ToDS(miekg.SHA256); ds != nil {
			fix += fmt.Sprintf(":\n%s. IN DS %d %d %d %s", chain.Zone, ds.KeyTag, ds.Algorithm, ds.DigestType, ds.Digest)
		}
		s.add(finding.Note, "dnssec-no-ds", chain.Zone,
			"the zone is signed (DNSSEC), and the zone above has no DS record for it", "nobody validates it", fix)
		return
	}
	s.add(finding.Note, "dnssec-unsigned", chain.Zone, "the zone is not signed (DNSSEC)", "", "")
}

// isBogus reports whether the resolver keeps the domain's records back for their
// signatures, and says so. It is for a lookup that failed.
func (a *audit) isBogus(ctx context.Context, s *section, err error) bool {
	var failed *dns.LookupError
	if !errors.As(err, &failed) || failed.Kind != dns.ServFail {
		return false
	}
	if security, err := a.Resolver.Security(ctx, a.domain, miekg.TypeSOA); err != nil || security != dns.Bogus {
		return false
	}
	chain, err := a.Resolver.Chain(ctx, a.domain)
	if err != nil {
		return false
	}
	if broken := chain.Broken(time.Now()); broken == nil || errors.Is(broken, dns.ErrNotChecked) {
		a.bogusElsewhere(s, chain.Zone)
	} else {
		a.bogusZone(s, chain.Zone, broken)
	}
	return true
}

func (a *audit) bogusZone(s *section, zone string, broken error) {
	a.bogus = fmt.Sprintf("the DNSSEC signatures of %s are not good: %v", zone, broken)
	s.add(finding.Fault, "dnssec-bogus", zone, "the zone is signed (DNSSEC), and not validly: "+broken.Error(),
		"receivers that validate, as the large ones do, find none of its records: mail from it is deferred or refused, "+
			"and mail to it does not arrive",
		"sign the zone again, or have the DS records in the zone above name the keys that it has")
}

// bogusElsewhere is for a resolver that refuses a zone in which no fault is seen.
func (a *audit) bogusElsewhere(s *section, zone string) {
	s.add(finding.Unknown, "dnssec-refused", zone,
		"the resolver takes its records for forged (DNSSEC), and no fault is seen in the zone itself",
		"if the fault is in a zone above, receivers that validate find none of the records either",
		"try another resolver with --resolver; if that finds them, look at the clock and the trust anchor of this one")
}
