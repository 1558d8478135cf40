package check

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"signpost/keystore/finding"
	"signpost/keystore/policy"
)

// checkHosts looks at the hosts that send: large receivers refuse those whose
// address has no name, or a name that does not lead back to it.
func (a *audit) checkHosts(ctx context.Context, s *section) {
	a.reverse = make(map[netip.Addr]Outcome)
	for _, addr := range a.senders {
		before := len(s.findings)
		a.checkPTR(ctx, s, addr)
		if IsPublic(addr) {
			a.reverse[addr] = outcomeOf(s.findings[before:])
		}
	}
	a.checkHelo(ctx, s)
}

// checkPTR wants a name for the address that has the address (forward-confirmed
// reverse DNS).
func (a *audit) checkPTR(ctx context.Context, s *section, addr netip.Addr) {
	if !IsPublic(addr) {
		s.add(finding.Note, "ptr-private", addr.String(),
			"this address is not a public one, so it is not the one that receivers see",
			"its PTR record was not looked at", "name the public address with --from-ip")
		return
	}
	reverse, err := dns.ReverseAddr(addr.String())
	if err != nil {
		s.failed(addr.String(), err, "")
		return
	}
	reverse = strings.TrimSuffix(reverse, ".")
	answer, err := a.resolver.Lookup(ctx, reverse, dns.TypePTR)
	if err != nil {
		s.failed(addr.String(), err, "whether the sending address has a name is not known")
		return
	}
	var names []string
	for _, rr := range answer.Records {
		if ptr, ok := rr.(*dns.PTR); ok {
			names = append(names, strings.ToLower(strings.TrimSuffix(ptr.Ptr, ".")))
		}
	}
	host := a.Helo
	if host == "" {
		host = "mail." + a.domain
	}
	const refused = "large receivers refuse mail from such an address, or treat it as spam"
	if len(names) == 0 {
		s.add(finding.Fault, "ptr-missing", addr.String(),
			fmt.Sprintf("the sending address has no PTR record at %s: %s", reverse, nothing(answer)),
			refused, "ask who gives you the address to set its reverse name (PTR) to "+host)
		return
	}
	slices.Sort(names)
	if len(names) > 1 {
		s.add(finding.Note, "ptr-several", addr.String(), fmt.Sprintf("it has %d PTR records: %s",
			len(names), shortened(strings.Join(names, ", "))),
			"receivers look at any of them", "")
	}
	var unconfirmed []string
	var failures section // of no matter where another name leads back
	for _, name := range names[:min(len(names), mostNames)] {
		found, err := a.addresses(ctx, name)
		if err != nil {
			failures.failed(name, err, "whether the name of "+addr.String()+" leads back to it is not known")
			continue
		}
		if slices.Contains(found, addr) {
			s.ok(addr.String(), "its PTR record says %s, which leads back to it", name)
			return
		}
		if len(found) == 0 {
			unconfirmed = append(unconfirmed, name+", which has no address")
		} else {
			unconfirmed = append(unconfirmed, name+", which has "+join(found))
		}
	}
	if len(failures.findings) > 0 {
		s.findings = append(s.findings, failures.findings...)
		return
	}
	kind := "A"
	if addr.Is6() {
		kind = "AAAA"
	}
	s.add(finding.Fault, "ptr-unconfirmed", addr.String(),
		"its PTR record says "+strings.Join(unconfirmed, "; "), refused,
		fmt.Sprintf("publish an %s record at %s: %s\nor have the PTR record name a host that has this address",
			kind, names[0], addr))
}

// checkHelo looks at the name that the host gives in HELO or EHLO (RFC 5321,
// section 4.1.1.1).
func (a *audit) checkHelo(ctx context.Context, s *section) {
	helo := strings.TrimSuffix(a.Helo, ".")
	if helo == "" {
		s.add(finding.Note, "helo-unknown", a.domain,
			"the name that the sending host gives in HELO is not known, so it was not checked",
			"", "name it with --helo; Postfix says it with: postconf -xh smtp_helo_name")
		return
	}
	const effect = "receivers refuse such a name, or treat the mail as spam"
	if strings.HasPrefix(helo, "[") || isAddress(helo) {
		s.add(finding.Warning, "helo-address", helo, "the HELO name is an address", effect,
			"give the host a name: myhostname in Postfix's main.cf")
		return
	}
	if !strings.Contains(helo, ".") || strings.HasSuffix(helo, ".localdomain") ||
		strings.HasSuffix(helo, ".local") || strings.HasSuffix(helo, ".internal") {
		s.add(finding.Fault, "helo-not-fqdn", helo, "the HELO name is not a full name in the DNS", effect,
			"set myhostname in Postfix's main.cf to the host's full name, such as mail."+a.domain)
		return
	}
	addrs, err := a.addresses(ctx, helo)
	if err != nil {
		s.failed(helo, err, "whether the HELO name leads to the sending host is not known")
		return
	}
	if len(addrs) == 0 {
		s.add(finding.Fault, "helo-unresolved", helo, "the HELO name has no address", effect,
			"publish the address of the sending host at "+helo+": "+join(a.senders))
		return
	}
	var others []netip.Addr
	for _, addr := range a.senders {
		if IsPublic(addr) && !slices.Contains(addrs, addr) {
			others = append(others, addr)
		}
	}
	if len(others) > 0 {
		s.add(finding.Warning, "helo-mismatch", helo,
			fmt.Sprintf("the HELO name has %s, but mail is sent from %s", join(addrs), join(others)),
			"some receivers count that against the mail",
			"publish "+join(others)+" at "+helo+" too, or have the host call itself by its own name")
		return
	}
	s.ok(helo, "the HELO name leads to the sending addresses")
	a.checkBounces(ctx, s, strings.ToLower(helo))
}

// checkBounces evaluates SPF for the HELO name. A bounce has no envelope sender, and goes by that
// (RFC 7208, section 2.4).
func (a *audit) checkBounces(ctx context.Context, s *section, helo string) {
	if helo == a.mailFrom {
		return // its record is checked for all mail
	}
	const effect = "SPF goes by the HELO name where there is no envelope sender (RFC 7208, section 2.4)"
	passed := false
	for _, addr := range a.senders {
		if !IsPublic(addr) {
			continue
		}
		switch r := policy.SPF(ctx, a.resolver, addr, helo, ""); r.Result {
		case policy.Pass:
			passed = true
			continue
		case policy.None:
			s.addRecord(finding.Note, "helo-spf-missing", helo,
				"the HELO name has no SPF record, so SPF says nothing of bounces", effect, "",
				&finding.Record{Name: helo, Value: "v=spf1 a -all"})
		case policy.TempError:
			s.failed(helo, r.Err, "whether SPF passes for bounces is not known")
		case policy.PermError:
			s.add(finding.Warning, "helo-spf-permerror", helo, fmt.Sprintf("SPF ends with an error for bounces: %v", r.Err),
				effect, "correct the SPF record of the HELO name")
		default:
			s.add(finding.Warning, "helo-spf-"+string(r.Result), helo, fmt.Sprintf("SPF says %s for bounces from %s, by %s",
				r.Result, addr, cmp.Or(r.Term, "default")), effect, "allow "+addr.String()+" in the SPF record of the HELO name")
		}
		return
	}
	if passed {
		s.ok(helo, "SPF passes for bounces, which go by the HELO name")
	}
}

func isAddress(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil
}

// outcomeOf is Yes without faults, and without what could not be found out.
func outcomeOf(findings []finding.Finding) Outcome {
	outcome := Yes
	for _, f := range findings {
		switch f.Level {
		case finding.Fault:
			return No
		case finding.Unknown:
			outcome = NotKnown
		}
	}
	return outcome
}
