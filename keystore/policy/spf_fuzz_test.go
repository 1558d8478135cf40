package policy

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"testing"
	"unicode/utf8"

	"blitiri.com.ar/go/spf"
	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// FuzzAgainstLibrary evaluates any record here and in a library. They may
// differ only where the library is known to differ from RFC 7208: it reads a
// record term by term, knows no %{p}, no "/" in a name, no empty parts in
// macros, and cuts no long names.
func FuzzAgainstLibrary(f *testing.F) {
	for _, terms := range []string{
		"a mx -all", "a:example.com/24//64 mx:example.org ~all", "ptr:example.com exists:%{ir}.%{l1r+}.x.test ?all", "include:two.test redirect=three.test",
		"ip4:192.0.2.0/24 ip6:2001:db8::/32 -all", "exists:%{d2}.%{o}.%{h}.%{i}.%{v}%-%_%% exp=x.test unknown=1", "a a a a a a a a a a a",
	} {
		f.Add(terms, "192.0.2.65", "joe")
		f.Add(terms, "2001:db8::25", "a-b+c")
	}
	const zone = spfZone + "two.test. TXT \"v=spf1 a:amy.example.com ?all\"\nthree.test. TXT \"v=spf1 mx:example.com ptr -all\"\n"
	base := zoneOf(f, zone)
	f.Fuzz(func(t *testing.T, terms, client, local string) {
		ip, err := netip.ParseAddr(client)
		text := "v=spf1 " + terms
		if err != nil || ip.Is4In6() || ip.Zone() != "" || !utf8.ValidString(terms) || strings.ContainsAny(local, "@\\\n") || local == "" || len(text) > 400 {
			return
		}
		source := withPolicy{base, text}
		ours := SPF(context.Background(), source, ip, "mail.example.com", local+"@p.test")
		parsed, err := record.ParseSPF(text)
		if (err == nil) == (ours.Result == PermError && strings.Contains(ours.Err.Error(), "the record at p.test")) {
			t.Fatalf("%q: the record is read as %v, and the result is %s (%v)", terms, err, ours.Result, ours.Err)
		}
		if err != nil || strings.Contains(terms, "%") || strings.Contains(strings.ToLower(terms), "ptr") {
			return
		}
		for _, term := range parsed.Terms {
			if strings.Contains(term.Value, "/") || strings.HasPrefix(term.Value, "::ffff") || len(term.Value) > 200 {
				return
			}
		}
		theirs, theirErr := spf.CheckHostWithSender(net.IP(ip.AsSlice()), "mail.example.com", local+"@p.test", spf.WithResolver(libraryResolver{source, ip}))
		if string(theirs) != string(ours.Result) {
			t.Errorf("%q from %s: %s (%v), the library has %s (%v)", terms, client, ours.Result, ours.Err, theirs, theirErr)
		}
	})
}

// withPolicy is a zone with a record at p.test.
type withPolicy struct {
	*dns.Zone
	text string
}

func (z withPolicy) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	if dns.Plain(name) == "p.test" && qtype == miekg.TypeTXT {
		return &dns.Answer{Name: "p.test", Records: []miekg.RR{dns.NewTXT("p.test", z.text, 0)}}, nil
	}
	return z.Zone.Lookup(ctx, name, qtype)
}

// libraryResolver is what the library asks.
type libraryResolver struct {
	source dns.Source
	ip     netip.Addr
}

func (r libraryResolver) ask(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	answer, err := r.source.Lookup(ctx, name, qtype)
	if err != nil || answer.NXDomain {
		return nil, &net.DNSError{Err: "no such name", Name: name, IsNotFound: true}
	}
	return answer, nil
}

func (r libraryResolver) LookupTXT(ctx context.Context, name string) (texts []string, err error) {
	answer, err := r.ask(ctx, name, miekg.TypeTXT)
	if err != nil {
		return nil, err
	}
	for _, txt := range answer.TXT() {
		texts = append(texts, txt.Text())
	}
	return texts, nil
}

func (r libraryResolver) LookupMX(ctx context.Context, name string) (hosts []*net.MX, err error) {
	answer, err := r.ask(ctx, name, miekg.TypeMX)
	if err != nil {
		return nil, err
	}
	for _, rr := range answer.Records {
		hosts = append(hosts, &net.MX{Host: rr.(*miekg.MX).Mx})
	}
	return hosts, nil
}

func (r libraryResolver) LookupIPAddr(ctx context.Context, name string) (addresses []net.IPAddr, err error) {
	qtype := miekg.TypeA
	if r.ip.Is6() {
		qtype = miekg.TypeAAAA
	}
	answer, err := r.ask(ctx, name, qtype)
	if err != nil {
		return nil, err
	}
	for _, addr := range answer.Addrs() {
		addresses = append(addresses, net.IPAddr{IP: addr.AsSlice()})
	}
	return addresses, nil
}

func (r libraryResolver) LookupAddr(context.Context, string) ([]string, error) { return nil, nil }
