package check

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
)

// listing is what one DNSBL says of one address.
type listing struct {
	addr  netip.Addr
	codes []netip.Addr // none: it is not listed
	text  string       // why, in the words of the list
	err   error        // could not find out
}

// dnsbl is a list of addresses in the DNS (RFC 5782).
type dnsbl struct {
	zone     string
	resolver *dns.Resolver
}

// String returns the zone, without the key of a customer of Spamhaus.
func (l dnsbl) String() string {
	if strings.HasSuffix(l.zone, ".dq.spamhaus.net") {
		if _, rest, more := strings.Cut(l.zone, "."); more && rest != "dq.spamhaus.net" {
			return rest
		}
	}
	return l.zone
}

func (l dnsbl) isSpamhaus() bool {
	return strings.HasSuffix(l.zone, ".spamhaus.org") || strings.HasSuffix(l.zone, ".dq.spamhaus.net")
}

// ask looks the addresses up, and with them the test entries, which tell a list that
// works from one that is gone, or has everything.
func (l dnsbl) ask(ctx context.Context, addrs []netip.Addr) []listing {
	answers := make([]listing, len(addrs))
	var works, works6 error
	var asking sync.WaitGroup
	asking.Go(func() { works = l.test(ctx, "127.0.0.2", "127.0.0.1") })
	if slices.ContainsFunc(addrs, netip.Addr.Is6) && l.hasIPv6() && !l.isSpamhaus() {
		asking.Go(func() { works6 = l.test(ctx, "::ffff:7f00:2", "::ffff:7f00:1") })
	}
	for i, addr := range addrs {
		if addr.Is4() || l.hasIPv6() {
			answers[i].addr = addr
			asking.Go(func() { answers[i] = l.lookup(ctx, addr) })
		}
	}
	asking.Wait()
	for i := range answers {
		switch {
		case !answers[i].addr.IsValid():
		case works != nil:
			answers[i] = listing{addr: addrs[i], err: works}
		case addrs[i].Is6() && errors.Is(works6, errNoTestEntry):
			if len(answers[i].codes) == 0 {
				answers[i] = listing{} // it has no IPv6 addresses, so that this says nothing
			}
		case addrs[i].Is6() && works6 != nil:
			answers[i] = listing{addr: addrs[i], err: works6}
		}
	}
	return answers
}

// errNoTestEntry is for a list without the address that each of its kind has.
var errNoTestEntry = errors.New("its test entry is missing, so it is gone, or does not answer this resolver")

// hasIPv6 is false for lists that are known to have IPv4 addresses alone.
func (l dnsbl) hasIPv6() bool { return l.zone != "bl.spamcop.net" }

// test looks for the entries that every list has, and that none has (RFC 5782, section 5).
func (l dnsbl) test(ctx context.Context, in, out string) error {
	there := l.codes(ctx, netip.MustParseAddr(in))
	if there.err != nil {
		return there.err
	}
	if len(there.codes) == 0 {
		return errNoTestEntry
	}
	absent := l.codes(ctx, netip.MustParseAddr(out))
	if absent.err == nil && len(absent.codes) > 0 {
		return fmt.Errorf("it lists %s, which no list does, so it lists everything", out)
	}
	return absent.err
}

// lookup returns what the list says of an address, with its words.
func (l dnsbl) lookup(ctx context.Context, addr netip.Addr) listing {
	found := l.codes(ctx, addr)
	if len(found.codes) == 0 {
		return found
	}
	if texts, err := l.resolver.TXT(ctx, l.entry(addr)); err == nil && len(texts) > 0 {
		found.text = texts[0].Text()
	}
	return found
}

// codes are the A records of an address.
func (l dnsbl) codes(ctx context.Context, addr netip.Addr) listing {
	found := listing{addr: addr}
	answer, err := l.resolver.Lookup(ctx, l.entry(addr), miekg.TypeA)
	if err != nil {
		found.err = errors.New(strings.ReplaceAll(err.Error(), l.zone, l.String()))
		return found
	}
	for _, code := range answer.Addrs() {
		b := code.As4()
		switch {
		case b[0] != 127: // RFC 5782, section 2.1
			found.err = fmt.Errorf("the answer is %s, and no list answers so: somebody answers in its place", code)
		case [3]byte(b[:3]) == [3]byte{127, 255, 255}:
			found.err = errors.New(refusal(code))
		case l.isSpamhaus() && code == netip.MustParseAddr("127.0.1.255"):
			found.err = errors.New("it is a list of domains, not of addresses (127.0.1.255)")
		}
		found.codes = append(found.codes, code)
	}
	if found.err != nil {
		found.codes = nil
	}
	slices.SortFunc(found.codes, netip.Addr.Compare)
	return found
}

// refusal says what Spamhaus means by an answer that is no listing. Other lists use
// the same addresses.
func refusal(code netip.Addr) string {
	switch code.As4()[3] {
	case 252:
		return "the name of the list is wrong (127.255.255.252)"
	case 254:
		return "it does not answer public resolvers, and the resolver asked is one (127.255.255.254)"
	case 255:
		return "it does not answer this resolver any more, which asks too much (127.255.255.255)"
	}
	return "it answers with an error (" + code.String() + ")"
}

// entry is the name that an address has in the list.
func (l dnsbl) entry(addr netip.Addr) string {
	// ReverseAddr takes ::ffff:7f00:2 for 127.0.0.2, and RFC 5782 does not.
	if addr.Is4() {
		b := addr.As4()
		return fmt.Sprintf("%d.%d.%d.%d.%s", b[3], b[2], b[1], b[0], l.zone)
	}
	b := addr.As16()
	var name strings.Builder
	for _, octet := range slices.Backward(b[:]) {
		fmt.Fprintf(&name, "%x.%x.", octet&15, octet>>4)
	}
	return name.String() + l.zone
}

// name is what a list calls those that it answers with a code, where that is known.
func (l dnsbl) name(code netip.Addr) string {
	b := code.As4()
	if !l.isSpamhaus() || [3]byte(b[:3]) != [3]byte{127, 0, 0} {
		return ""
	}
	switch b[3] {
	case 2:
		return "SBL"
	case 3:
		return "CSS"
	case 4, 5, 6, 7:
		return "XBL"
	case 9:
		return "DROP"
	case 10, 11:
		return "PBL"
	case 30:
		return "BCL"
	}
	return ""
}
