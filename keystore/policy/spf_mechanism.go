package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// most is how many exchangers, and names of a client, are looked up (RFC 7208,
// section 4.6.4).
const most = 10

// matches reports whether a mechanism of a domain's policy is for the client
// (RFC 7208, section 5). For an include, within is the term that decided there.
func (e *spfEvaluation) matches(t record.Term, domain string) (matches bool, within string, err error) {
	switch t.Name {
	case "all":
		return true, "", nil
	case "ip4", "ip6":
		network, err := netip.ParsePrefix(t.Value + t.CIDR)
		if t.CIDR == "" {
			var addr netip.Addr
			addr, err = netip.ParseAddr(t.Value)
			network = netip.PrefixFrom(addr, addr.BitLen())
		}
		return network.Contains(e.ip), "", err
	case "include":
		result, within, err := e.other(t.Value, domain)
		return result == Pass, within, err
	}
	name, err := e.looksUp(t.Value, domain)
	if err != nil {
		return false, "", err
	}
	switch t.Name {
	case "a":
		addresses, err := e.addresses(name)
		if err == nil {
			err = e.found(len(addresses))
		}
		return err == nil && e.within(addresses, t.CIDR), "", err
	case "mx":
		matches, err := e.mx(name, domain, t.CIDR)
		return matches, "", err
	case "ptr":
		matches := slices.ContainsFunc(e.clientNames(), func(n string) bool { return below(n, name) })
		return matches, "", e.found(1) // what was not found was counted there
	case "exists":
		answer, err := e.ask(name, miekg.TypeA) // for IPv6 clients too (section 5.7)
		if err != nil {
			return false, "", err
		}
		n := len(answer.Records)
		return n > 0, "", e.found(n)
	}
	return false, "", fmt.Errorf("%q is not an SPF mechanism", t.Name)
}

// mx reports whether the client is one of the mail exchangers of name.
func (e *spfEvaluation) mx(name, domain, cidr string) (bool, error) {
	answer, err := e.ask(name, miekg.TypeMX)
	if err != nil {
		return false, err
	}
	if err := e.found(len(answer.Records)); err != nil {
		return false, err
	}
	if len(answer.Records) > most {
		return false, fmt.Errorf("mx at %s finds over %d mail exchangers", domain, most)
	}
	for _, rr := range answer.Records {
		mx, ok := rr.(*miekg.MX)
		if !ok || mx.Mx == "." { // it says that there is none (RFC 7505)
			continue
		}
		addresses, err := e.addresses(mx.Mx)
		if err != nil {
			return false, err
		}
		if e.within(addresses, cidr) {
			return true, nil
		}
	}
	return false, nil
}

// within reports whether the client is in the network about one of the addresses.
func (e *spfEvaluation) within(addresses []netip.Addr, cidr string) bool {
	four, six, _ := strings.Cut(cidr, "//")
	length := strings.TrimPrefix(four, "/")
	if e.ip.Is6() {
		length = six
	}
	bits, err := strconv.Atoi(length)
	if err != nil {
		bits = e.ip.BitLen()
	}
	return slices.ContainsFunc(addresses, func(a netip.Addr) bool { return netip.PrefixFrom(a, bits).Contains(e.ip) })
}

// clientNames returns the names of the client that lead back to it. They are
// looked up once. One that cannot be is none: who holds the reverse zone does
// not decide (section 5.5).
func (e *spfEvaluation) clientNames() []string {
	if e.named {
		return e.names
	}
	e.named = true
	reverse, err := miekg.ReverseAddr(e.ip.String())
	if err != nil {
		return nil
	}
	answer, err := e.ask(reverse, miekg.TypePTR)
	if err != nil {
		return nil
	}
	if len(answer.Records) == 0 {
		e.void++
	}
	for _, rr := range answer.Records[:min(len(answer.Records), most)] {
		if ptr, ok := rr.(*miekg.PTR); ok {
			addresses, err := e.addresses(ptr.Ptr)
			if err == nil && slices.Contains(addresses, e.ip) {
				e.names = append(e.names, dns.Plain(ptr.Ptr))
			}
		}
	}
	return e.names
}

// below reports whether a name is a domain, or below it.
func below(name, domain string) bool {
	domain = dns.Plain(domain)
	return name == domain || strings.HasSuffix(name, "."+domain)
}
