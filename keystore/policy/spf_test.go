package policy

import (
	"context"
	"errors"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"signpost/keystore/dns"

	miekg "github.com/miekg/dns"
)

// zoneOf makes a dns.Zone of zone file text; names are absolute or below ".".
func zoneOf(t testing.TB, text string) *dns.Zone {
	t.Helper()
	parser := miekg.NewZoneParser(strings.NewReader(text), ".", "")
	parser.SetDefaultTTL(60)
	var records []miekg.RR
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return dns.NewZone(records)
}

// failing is a source in which some names cannot be looked up.
type failing struct {
	dns.Source
	names map[string]dns.Kind
}

func (f failing) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	if kind, ok := f.names[dns.Plain(name)]; ok {
		return nil, &dns.LookupError{Name: dns.Plain(name), Type: miekg.TypeToString[qtype], Kind: kind}
	}
	return f.Source.Lookup(ctx, name, qtype)
}

// The zone of RFC 7208, appendix A, and more.
const spfZone = `
example.com.       A 192.0.2.10
example.com.       A 192.0.2.11
example.com.       MX 10 mail-a.example.com.
example.com.       MX 20 mail-b.example.com.
amy.example.com.   A 192.0.2.65
bob.example.com.   A 192.0.2.66
mail-a.example.com. A 192.0.2.129
mail-b.example.com. A 192.0.2.130
example.org.       MX 10 mail-c.example.org.
mail-c.example.org. A 192.0.2.140
10.2.0.192.in-addr.arpa. PTR example.com.
65.2.0.192.in-addr.arpa. PTR amy.example.com.
140.2.0.192.in-addr.arpa. PTR mail-c.example.org.
4.0.0.10.in-addr.arpa.   PTR bob.example.com.
10.0.0.10.in-addr.arpa.  PTR example.com.
six.example.       AAAA 2001:db8::25
six.example.       TXT "v=spf1 a -all"
mary.mobile-users._spf.example.com. A 127.0.0.2
15.15.168.192.joel.remote-users._spf.example.com. A 127.0.0.2
x.d.test. A 127.0.0.2
postmaster.l.test. A 127.0.0.2
`

func TestSPF(t *testing.T) {
	many := strings.Repeat("a:example.com ", 10)
	tests := []struct {
		name, record    string // the record of p.test
		ip              string
		from            string // else user@p.test
		want, term      string
		lookups, void   int
		why             string
		more            string // more of the zone
		sendsHelo, helo string
	}{
		// RFC 7208, appendix A.1.
		{name: "all", record: "v=spf1 +all", ip: "203.0.113.9", want: "pass", term: "all"},
		{name: "a", record: "v=spf1 a:example.com -all", ip: "192.0.2.11", want: "pass", term: "a:example.com", lookups: 1},
		{name: "not a", record: "v=spf1 a:example.com -all", ip: "192.0.2.12", want: "fail", term: "all", lookups: 1},
		{name: "a of one without addresses", record: "v=spf1 a:example.org -all", ip: "192.0.2.12", want: "fail", term: "all", lookups: 1, void: 1},
		{name: "mx", record: "v=spf1 mx:example.com -all", ip: "192.0.2.130", want: "pass", term: "mx:example.com", lookups: 1},
		{name: "mx of another", record: "v=spf1 mx:example.org -all", ip: "192.0.2.130", want: "fail", term: "all", lookups: 1},
		{name: "two mx", record: "v=spf1 mx:example.com mx:example.org -all", ip: "192.0.2.140", want: "pass", term: "mx:example.org", lookups: 2},
		{name: "networks", record: "v=spf1 mx:example.com/30 mx:example.org/30 -all", ip: "192.0.2.131", want: "pass", term: "mx:example.com/30", lookups: 1},
		{name: "networks, second", record: "v=spf1 mx:example.com/30 mx:example.org/30 -all", ip: "192.0.2.143", want: "pass", term: "mx:example.org/30", lookups: 2},
		{name: "ptr", record: "v=spf1 ptr:example.com -all", ip: "192.0.2.65", want: "pass", term: "ptr:example.com", lookups: 1},
		{name: "ptr elsewhere", record: "v=spf1 ptr:example.com -all", ip: "192.0.2.140", want: "fail", term: "all", lookups: 1},
		{name: "ptr that lies", record: "v=spf1 ptr:example.com -all", ip: "10.0.0.4", want: "fail", term: "all", lookups: 1},
		{name: "ip4", record: "v=spf1 ip4:192.0.2.128/28 -all", ip: "192.0.2.129", want: "pass", term: "ip4:192.0.2.128/28"},
		{name: "not ip4", record: "v=spf1 ip4:192.0.2.128/28 -all", ip: "192.0.2.65", want: "fail", term: "all"},
		// Appendices A.2 to A.4.
		{name: "include", record: "v=spf1 include:b.test include:c.test -all", ip: "192.0.2.65", want: "pass", term: "include:c.test ip4:192.0.2.65", lookups: 2,
			more: `b.test. TXT "v=spf1 ip4:192.0.2.1 -all"` + "\n" + `c.test. TXT "v=spf1 ip4:192.0.2.65 ~all"`},
		{name: "include in include", record: "v=spf1 ?include:b.test -all", ip: "192.0.2.65", want: "neutral", term: "include:b.test include:c.test a:amy.example.com", lookups: 3,
			more: `b.test. TXT "v=spf1 include:c.test ~all"` + "\n" + `c.test. TXT "v=spf1 a:amy.example.com"`},
		{name: "redirect", record: "v=spf1 redirect=b.test", ip: "192.0.2.1", want: "softfail", term: "redirect=b.test all", lookups: 1, more: `b.test. TXT "v=spf1 ~all"`},
		{name: "redirect, then nothing", record: "v=spf1 redirect=b.test", ip: "192.0.2.1", want: "neutral", term: "redirect=b.test", lookups: 1, more: `b.test. TXT "v=spf1"`},
		{name: "dnsbl style", record: "v=spf1 exists:%{l1r+}.mobile-users._spf.example.com -all", from: "mary@p.test", ip: "1.2.3.4", want: "pass", term: "exists:%{l1r+}.mobile-users._spf.example.com", lookups: 1},
		{name: "dnsbl style, client", record: "v=spf1 exists:%{ir}.%{l1r+}.remote-users._spf.example.com -all", from: "joel@p.test", ip: "192.168.15.15", want: "pass", term: "exists:%{ir}.%{l1r+}.remote-users._spf.example.com", lookups: 1},
		// Results.
		{name: "no match", record: "v=spf1 ip4:192.0.2.1", ip: "192.0.2.2", want: "neutral"},
		{name: "empty", record: "v=spf1", ip: "192.0.2.2", want: "neutral"},
		{name: "no record", record: "something else", ip: "192.0.2.2", want: "none"},
		{name: "v=spf10", record: "v=spf10 +all", ip: "192.0.2.2", want: "none"},
		{name: "case", record: "V=SPF1 IP4:192.0.2.2 -ALL", ip: "192.0.2.2", want: "pass", term: "ip4:192.0.2.2"},
		{name: "two records", record: `v=spf1 +all" ` + "\np.test. TXT \"v=spf1 -all", ip: "192.0.2.2", want: "permerror", why: "p.test has more than one SPF record"},
		// RFC 7208, section 4.6: all of the record must be valid, also after a match.
		{name: "fault after the match", record: "v=spf1 ip4:192.0.2.2 ipv4:192.0.2.3 -all", ip: "192.0.2.2", want: "permerror", why: `"ipv4" is not an SPF mechanism`},
		{name: "fault in an include", record: "v=spf1 include:b.test -all", ip: "192.0.2.2", want: "permerror", lookups: 1, why: `record at b.test: "ip4:x"`, more: `b.test. TXT "v=spf1 ip4:x -all"`},
		{name: "ip4 with IPv6", record: "v=spf1 ip4:2001:db8::1 -all", ip: "2001:db8::1", want: "permerror", why: "an IPv6 address belongs after"},
		{name: "include of nothing", record: "v=spf1 include:gone.test -all", ip: "192.0.2.2", want: "permerror", lookups: 1, why: "gone.test has no SPF record"},
		{name: "redirect to nothing", record: "v=spf1 redirect=gone.test", ip: "192.0.2.2", want: "permerror", lookups: 1, why: "gone.test has no SPF record"},
		{name: "include of itself", record: "v=spf1 include:p.test -all", ip: "192.0.2.2", want: "permerror", lookups: 11, why: "more than 10 terms"},
		// Limits of section 4.6.4.
		{name: "ten terms", record: "v=spf1 " + many + "-all", ip: "192.0.2.2", want: "fail", term: "all", lookups: 10},
		{name: "eleven terms", record: "v=spf1 " + many + "mx -all", ip: "192.0.2.2", want: "permerror", lookups: 11, why: "more than 10 terms"},
		{name: "two void", record: "v=spf1 a:x.test a:y.test -all", ip: "192.0.2.2", want: "fail", term: "all", lookups: 2, void: 2},
		{name: "three void", record: "v=spf1 a:x.test mx:y.test exists:z.test +all", ip: "192.0.2.2", want: "permerror", lookups: 3, void: 3, why: "more than 2 lookups find nothing"},
		{name: "eleven exchangers", record: "v=spf1 mx:m.test -all", ip: "192.0.2.2", want: "permerror", lookups: 1, why: "over 10 mail exchangers", more: strings.Join(exchangers(11), "\n")},
		{name: "null mx", record: "v=spf1 mx:m.test -all", ip: "192.0.2.2", want: "fail", term: "all", lookups: 1, more: "m.test. MX 0 ."},
		// Families.
		{name: "IPv6", record: "v=spf1 a:six.example -all", ip: "2001:db8::25", want: "pass", term: "a:six.example", lookups: 1},
		{name: "IPv4 finds no AAAA", record: "v=spf1 a:six.example -all", ip: "192.0.2.2", want: "fail", term: "all", lookups: 1, void: 1},
		{name: "mapped", record: "v=spf1 ip4:192.0.2.2 -all", ip: "::ffff:192.0.2.2", want: "pass", term: "ip4:192.0.2.2"},
		{name: "exists for IPv6", record: "v=spf1 exists:x.%{d} -all", from: "a@d.test", ip: "2001:db8::1", want: "pass", term: "exists:x.%{d}", lookups: 1, more: `d.test. TXT "v=spf1 exists:x.%{d} -all"`},
		{name: "IPv6 finds no A", record: "v=spf1 a:example.com -all", ip: "2001:db8::25", want: "fail", term: "all", lookups: 1, void: 1},
		{name: "networks of both", record: "v=spf1 a:six.example/24//64 -all", ip: "2001:db8::99", want: "pass", term: "a:six.example/24//64", lookups: 1},
		// Macros: section 7.
		{name: "empty parts", record: "v=spf1 exists:%{l-}.m.test -all", from: "a--b@p.test", ip: "192.0.2.2", want: "fail", term: "all", lookups: 1, void: 1,
			more: "a.b.m.test. A 127.0.0.2"}, // a..b is no name
		{name: "parts from the right", record: "v=spf1 exists:%{l1-}.%{d2}.m.test -all", from: "a-b@p.test", ip: "192.0.2.2", want: "pass", term: "exists:%{l1-}.%{d2}.m.test", lookups: 1,
			more: "b.p.test.m.test. A 127.0.0.2"},
		{name: "escapes", record: "v=spf1 exists:%{L}%-%%.m.test -all", from: "a=b@p.test", ip: "192.0.2.2", want: "pass", term: "exists:%{L}%-%%.m.test", lookups: 1,
			more: "a%3Db%20%.m.test. A 127.0.0.2"},
		{name: "what a zone file escapes", record: "v=spf1 exists:%{s}.m.test -all", from: `a\'b@p.test`, ip: "192.0.2.2", want: "pass", term: "exists:%{s}.m.test", lookups: 1,
			more: `a\\\'b\@p.test.m.test. A 127.0.0.2`},
		{name: "IPv6 in nibbles", record: "v=spf1 exists:%{ir}.%{v}.m.test -all", ip: "2001:db8::1", want: "pass", term: "exists:%{ir}.%{v}.m.test", lookups: 1,
			more: "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.m.test. A 127.0.0.2"},
		{name: "a name of the client", record: "v=spf1 exists:%{p}.m.test -all", ip: "192.0.2.65", want: "pass", term: "exists:%{p}.m.test", lookups: 1, more: "amy.example.com.m.test. A 127.0.0.2"},
		{name: "a name that lies", record: "v=spf1 exists:%{p}.m.test -all", ip: "10.0.0.4", want: "pass", term: "exists:%{p}.m.test", lookups: 1, more: "unknown.m.test. A 127.0.0.2"},
		{name: "no name", record: "v=spf1 exists:%{p}.m.test -all", ip: "192.0.2.2", want: "pass", term: "exists:%{p}.m.test", lookups: 1, void: 1, more: "unknown.m.test. A 127.0.0.2"},
		{name: "a slash in a name", record: "v=spf1 a:x/y.m.test -all", ip: "192.0.2.2", want: "pass", term: "a:x/y.m.test", lookups: 1, more: "x/y.m.test. A 192.0.2.2"},
		{name: "too long for a name", record: "v=spf1 exists:%{l}" + strings.Repeat(".0123456789", 22) + ".m.test -all", from: "abcdefg.x@p.test", ip: "192.0.2.2",
			want: "pass", term: "exists:%{l}" + strings.Repeat(".0123456789", 22) + ".m.test", lookups: 1, more: "x" + strings.Repeat(".0123456789", 22) + ".m.test. A 127.0.0.2"},
		// Who is checked: sections 2.4 and 4.3.
		{name: "bounce", record: "v=spf1 exists:%{l}.l.test -all", from: "-", helo: "p.test", ip: "192.0.2.2", want: "pass", term: "exists:%{l}.l.test", lookups: 1},
		{name: "no local part", record: "v=spf1 exists:%{l}.l.test -all", from: "@p.test", ip: "192.0.2.2", want: "pass", term: "exists:%{l}.l.test", lookups: 1},
		{name: "@ in quotes", record: "v=spf1 ip4:192.0.2.2 -all", from: `"a@b"@p.test`, ip: "192.0.2.2", want: "pass", term: "ip4:192.0.2.2"},
		{name: "U-labels", record: "x", from: "a@bücher.example", ip: "192.0.2.2", want: "pass", term: "ip4:192.0.2.2", more: `xn--bcher-kva.example. TXT "v=spf1 ip4:192.0.2.2"`},
		{name: "one label", record: "x", from: "a@localhost", ip: "192.0.2.2", want: "none", why: "has only one label"},
		{name: "literal", record: "x", from: "-", helo: "[192.0.2.2]", ip: "192.0.2.2", want: "none", why: "is not a domain name"},
		{name: "empty label", record: "x", from: "a@b..test", ip: "192.0.2.2", want: "none", why: "empty label"},
		{name: "no HELO", record: "x", from: "-", ip: "192.0.2.2", want: "none", why: "nobody named a domain"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			zone := zoneOf(t, spfZone+"p.test. TXT "+quotedTXT(test.record)+"\n"+test.more+"\n")
			from := test.from
			switch from {
			case "":
				from = "user@p.test"
			case "-":
				from = ""
			}
			r := SPF(context.Background(), zone, netip.MustParseAddr(test.ip), test.helo, from)
			if string(r.Result) != test.want || r.Term != test.term || r.Lookups != test.lookups || r.Void != test.void {
				t.Errorf("got %s by %q, %d lookups, %d void; want %s by %q, %d, %d (%v)",
					r.Result, r.Term, r.Lookups, r.Void, test.want, test.term, test.lookups, test.void, r.Err)
			}
			if (test.why == "") != (r.Err == nil) || r.Err != nil && !strings.Contains(r.Err.Error(), test.why) {
				t.Errorf("got %v, want %q", r.Err, test.why)
			}
		})
	}
}

func exchangers(n int) []string {
	var lines []string
	for i := range n {
		lines = append(lines, "m.test. MX 10 m"+string(rune('a'+i))+".test.")
	}
	return lines
}

// quotedTXT writes a text as strings of at most 200 bytes, unless it has
// quotes of its own.
func quotedTXT(text string) string {
	var strs []string
	for !strings.Contains(text, `"`) && len(text) > 200 {
		strs = append(strs, `"`+text[:200]+`"`)
		text = text[200:]
	}
	return strings.Join(append(strs, `"`+text+`"`), " ")
}

// Only a clear answer is "no record": all else is temperror, RFC 7208, section 4.4.
func TestSPFFailures(t *testing.T) {
	zone := zoneOf(t, spfZone+`p.test. TXT "v=spf1 a:example.com include:b.test -all"`+"\n"+`q.test. TXT "v=spf1 ptr mx -all"`+"\nq.test. MX 1 mail-a.example.com.\n")
	for _, test := range []struct{ failed, from, want string }{
		{"p.test", "a@p.test", "temperror"},
		{"example.com", "a@p.test", "temperror"},
		{"b.test", "a@p.test", "temperror"},
		{"mail-a.example.com", "a@q.test", "temperror"},
		{"9.2.0.192.in-addr.arpa", "a@q.test", "fail"}, // section 5.5: the client's zone does not decide
	} {
		for _, kind := range []dns.Kind{dns.Timeout, dns.ServFail, dns.Refused, dns.Unreachable, dns.Truncated, dns.Malformed, dns.Lame, dns.Loop} {
			source := failing{zone, map[string]dns.Kind{test.failed: kind}}
			r := SPF(context.Background(), source, netip.MustParseAddr("192.0.2.9"), "h.test", test.from)
			var failed *dns.LookupError
			if string(r.Result) != test.want || test.want == "temperror" && (!errors.As(r.Err, &failed) || failed.Kind != kind) {
				t.Errorf("%s at %s: got %s, %v", kind, test.failed, r.Result, r.Err)
			}
		}
	}
}

// Neither a record that is all macros nor a sender of a megabyte costs much.
func TestSPFHostile(t *testing.T) {
	record := "v=spf1 exists:" + strings.Repeat("%{l}", 3000) + ".m.test exists:" + strings.Repeat("%{hr-}%{L1}", 500) + ".test -all"
	zone := zoneOf(t, spfZone+"p.test. TXT "+quotedTXT(record)+"\n")
	endless := strings.Repeat("a.", 1<<19)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := SPF(t.Context(), zone, netip.MustParseAddr("192.0.2.2"), endless+"test", endless+"a@p.test")
	runtime.ReadMemStats(&after)
	if r.Result != Fail {
		t.Errorf("%s (%v)", r.Result, r.Err)
	}
	if took := (after.TotalAlloc - before.TotalAlloc) >> 20; took > 128 {
		t.Errorf("it took %d MiB in all", took)
	}
}
