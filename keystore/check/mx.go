package check

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// checkMX looks at where the domain takes mail: bounces and answers go there,
// and many receivers refuse a sender that cannot be answered.
func (a *audit) checkMX(ctx context.Context, s *section) {
	answer, err := a.resolver.Lookup(ctx, a.domain, miekg.TypeMX)
	if err != nil {
		s.failed(a.domain, err, "where the domain takes mail is not known")
		return
	}
	records := exchangers(answer)
	switch {
	case len(records) == 0:
		a.withoutMX(ctx, s)
		return
	case len(records) == 1 && records[0].Mx == ".":
		s.add(finding.Fault, "mx-null", a.domain, `its MX is ".", which says that it takes no mail`,
			"receivers refuse mail from a domain that takes none (RFC 7505, section 4.2)",
			"publish an MX record with the name of the host that takes the domain's mail")
		return
	}
	for _, mx := range records {
		if mx.Mx == "." {
			s.add(finding.Fault, "mx-null-several", a.domain,
				`one of several MX records is ".", which says that it takes no mail`,
				"some senders treat the domain as one without mail, and some do not (RFC 7505, section 3)",
				`remove the MX record "."`)
			continue
		}
		if len(a.mx) == mostNames {
			s.add(finding.Note, "mx-many", a.domain, fmt.Sprintf("it has %d MX records", len(records)),
				fmt.Sprintf("only the first %d hosts were looked at", mostNames), "")
			break
		}
		host := strings.ToLower(strings.TrimSuffix(mx.Mx, "."))
		if !slices.Contains(a.mx, host) {
			a.mx = append(a.mx, host)
			a.checkExchanger(ctx, s, host)
		}
	}
}

func exchangers(answer *dns.Answer) []*miekg.MX {
	var records []*miekg.MX
	for _, rr := range answer.Records {
		if mx, ok := rr.(*miekg.MX); ok {
			records = append(records, mx)
		}
	}
	slices.SortFunc(records, func(a, b *miekg.MX) int {
		return cmp.Or(cmp.Compare(a.Preference, b.Preference), strings.Compare(a.Mx, b.Mx))
	})
	return records
}

// withoutMX is the case in which the domain's own addresses take its mail
// (RFC 5321, section 5.1).
func (a *audit) withoutMX(ctx context.Context, s *section) {
	addrs, err := a.addresses(ctx, a.domain)
	const fix = "publish an MX record with the name of the host that takes the domain's mail"
	switch {
	case err != nil:
		s.failed(a.domain, err, "it has no MX record, and whether it takes mail itself is not known")
	case len(addrs) == 0:
		s.add(finding.Fault, "mx-missing", a.domain, "it has neither an MX record nor an address",
			"nobody can answer, bounces are lost, and receivers refuse a sender's domain that takes no mail", fix)
	default:
		a.mx = []string{a.domain}
		s.add(finding.Warning, "mx-implicit", a.domain,
			"it has no MX record, so its mail goes to its own address, "+join(addrs),
			"bounces and answers are lost unless that host takes mail", fix)
	}
}

func (a *audit) checkExchanger(ctx context.Context, s *section, host string) {
	if _, err := netip.ParseAddr(host); err == nil {
		s.add(finding.Fault, "mx-address", a.domain, "its MX is the address "+host+", where a name must stand",
			"senders do not deliver to it (RFC 5321, section 5.1)",
			"publish the name of that host as MX, such as mail."+a.domain+", and the address as its A record")
		return
	}
	alias, err := a.resolver.Lookup(ctx, host, miekg.TypeA)
	var addrs []netip.Addr
	if err == nil {
		addrs, err = a.addresses(ctx, host)
	}
	if err != nil {
		s.failed(host, err, "whether this mail exchanger has an address is not known")
		return
	}
	if len(alias.CNAMEs) > 0 {
		s.add(finding.Warning, "mx-cname", host, "the mail exchanger is an alias of "+alias.Owner(),
			"some senders do not deliver to it (RFC 2181, section 10.3)",
			"publish "+alias.Owner()+" as the MX of "+a.domain)
	}
	private := slices.DeleteFunc(slices.Clone(addrs), IsPublic)
	switch {
	case len(addrs) == 0:
		s.add(finding.Fault, "mx-unresolved", host, "the mail exchanger has no address: "+nothing(alias),
			"mail for "+a.domain+" cannot be delivered to it",
			"publish an A or AAAA record at "+host+", or remove it from the MX records of "+a.domain)
	case len(private) > 0:
		s.add(finding.Warning, "mx-private", host,
			"the mail exchanger has an address that the Internet cannot reach: "+join(private),
			"senders that try it fail, and some receivers refuse mail from such a domain",
			"publish only public addresses at "+host)
	case len(alias.CNAMEs) == 0:
		s.ok(host, "is a mail exchanger of %s and has an address: %s", a.domain, join(addrs))
	}
}

// addresses returns the IPv4 and IPv6 addresses of a host.
func (a *audit) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	var addrs []netip.Addr
	for _, qtype := range []uint16{miekg.TypeA, miekg.TypeAAAA} {
		answer, err := a.resolver.Lookup(ctx, host, qtype)
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, answer.Addrs()...)
	}
	slices.SortFunc(addrs, netip.Addr.Compare)
	return slices.Compact(addrs), nil
}

// chooseSenders says which addresses the domain's mail is taken to come from.
func (a *audit) chooseSenders(ctx context.Context, s *section) {
	if a.senders = a.From; len(a.senders) > 0 {
		s.ok(join(a.senders), "mail is taken to come from here: %s", a.FromIs)
		return
	}
	for _, host := range a.mx {
		addrs, err := a.addresses(ctx, host)
		if err != nil {
			continue // told where the MX were checked
		}
		for _, addr := range addrs {
			if !slices.Contains(a.senders, addr) && len(a.senders) < mostNames {
				a.senders = append(a.senders, addr)
			}
		}
	}
	if len(a.senders) == 0 {
		s.add(finding.Unknown, "host-no-address", a.domain, "no address is known from which its mail is sent",
			"SPF, PTR records and the HELO name cannot be checked",
			"name the public address of the sending host with --from-ip")
		return
	}
	s.ok(join(a.senders), "mail is taken to come from here: the addresses of the MX; name others with --from-ip")
}

func join[T fmt.Stringer](list []T) string {
	var words []string
	for _, item := range list {
		words = append(words, item.String())
	}
	return strings.Join(words, ", ")
}

// IsPublic reports whether an address means the same host everywhere. Carriers'
// NAT (RFC 6598) does not.
func IsPublic(addr netip.Addr) bool {
	return addr.IsGlobalUnicast() && !addr.IsPrivate() && !netip.MustParsePrefix("100.64.0.0/10").Contains(addr)
}
