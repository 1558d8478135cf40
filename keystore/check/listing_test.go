package check

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/test/lab/nameserver"
)

// nibbles are the name of 2001:db8::9 and of the test entries in lists of IPv6 addresses.
const (
	nine    = "9.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2"
	inIPv6  = "2.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
	outIPv6 = "1.0.0.0.0.0.f.7.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0"
)

// lists are DNSBLs in every state.
var lists = map[string][]string{
	"zen.spamhaus.org": {"2.0.0.127 A 127.0.0.2", "2.0.0.127 A 127.0.0.10",
		"9.2.0.192 A 127.0.0.2", "9.2.0.192 A 127.0.0.9", "9.2.0.192 A 127.0.0.4", `9.2.0.192 TXT "https://check.spamhaus.org/sbl/query/SBL1"`,
		"10.2.0.192 A 127.0.0.11", nine + " A 127.0.0.3"},
	"key0.zen.dq.spamhaus.net": {"2.0.0.127 A 127.0.0.2", "9.2.0.192 A 127.0.0.3"},
	"bl.spamcop.net":           {"2.0.0.127 A 127.0.0.2", nine + " A 127.0.0.2"}, // which is not asked
	"both.test":                {"2.0.0.127 A 127.0.0.2", "9.2.0.192 A 127.0.0.2", `9.2.0.192 TXT "\027[2J spam"`, inIPv6 + " A 127.0.0.2", nine + " A 127.0.0.2"},
	"four.test":                {"2.0.0.127 A 127.0.0.2"},
	"dead.test":                {"9.2.0.192 A 127.0.0.2"},
	"all.test":                 {"*.0.0.127 A 127.0.0.2", "*.192 A 127.0.0.2"},
	"all6.test":                {"2.0.0.127 A 127.0.0.2", inIPv6 + " A 127.0.0.2", outIPv6 + " A 127.0.0.2", nine + " A 127.0.0.2"},
	"sold.test":                {"2.0.0.127 A 198.51.100.7", "1.0.0.127 A 198.51.100.7", "9.2.0.192 A 198.51.100.7"},
	"public.test":              {"* A 127.255.255.254"},
	"much.test":                {"* A 127.255.255.255"},
	"typo.test":                {"* A 127.255.255.252"},
	"late.test":                {"2.0.0.127 A 127.0.0.2", "9.2.0.192 A 127.255.255.255"},
	"dbl.spamhaus.org":         {"2.0.0.127 A 127.0.0.2", "9.2.0.192 A 127.0.1.255"},
}

func TestListings(t *testing.T) {
	t.Parallel()
	zones := map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)}
	for name, records := range lists {
		zones[name] = "@ SOA ns. root. 1 7200 900 1209600 60\n@ NS ns.\n" + strings.Join(records, "\n") + "\n"
	}
	resolver, keys := serveZones(t, zones), cleanKeys(t)
	for _, test := range []struct {
		lists, from string // with spaces between
		given       bool
		want        []string // levels and names
		says        string
	}{
		{"zen.spamhaus.org bl.spamcop.net", "192.0.2.1", false, nil, "good: 192.0.2.1: not listed by zen.spamhaus.org, bl.spamcop.net"},
		{"zen.spamhaus.org", "192.0.2.1 2001:db8::1", false, nil, "good: 192.0.2.1, 2001:db8::1: not listed by zen.spamhaus.org"},
		{"zen.spamhaus.org bl.spamcop.net", "2001:db8::1 192.0.2.1", false, nil, "good: 2001:db8::1: not listed by zen.spamhaus.org\n"},
		{"zen.spamhaus.org", "192.0.2.9 192.0.2.1", false, []string{"fault 192.0.2.9"},
			`listed by zen.spamhaus.org (SBL 127.0.0.2, XBL 127.0.0.4, DROP 127.0.0.9): "https://check.spamhaus.org/sbl/query/SBL1"`},
		{"zen.spamhaus.org", "192.0.2.10", false, []string{"fault 192.0.2.10"}, "PBL has addresses that should not send by themselves"},
		{"zen.spamhaus.org bl.spamcop.net", "2001:db8::9", false, []string{"fault 2001:db8::9"}, "(CSS 127.0.0.3)"},
		{"key0.zen.dq.spamhaus.net", "192.0.2.9", true, []string{"fault 192.0.2.9"}, "listed by zen.dq.spamhaus.net (CSS"},
		{"both.test", "192.0.2.9 2001:db8::9", false, []string{"warning 192.0.2.9", "warning 2001:db8::9"}, `listed by both.test (127.0.0.2): "\x1b[2J spam"`},
		{"both.test", "192.0.2.1 2001:db8::1", false, nil, "good: 192.0.2.1, 2001:db8::1: not listed"},
		{"four.test", "192.0.2.1 2001:db8::1", true, nil, "good: 192.0.2.1: not listed by four.test\n"},
		{"dead.test", "192.0.2.9 192.0.2.1", false, []string{"note dead.test"}, "192.0.2.9, 192.0.2.1 is listed: its test entry is missing"},
		{"dead.test", "192.0.2.9", true, []string{"unknown dead.test"}, ""},
		{"dead.test not.there public.test both.test", "192.0.2.1", false, []string{"note dead.test, not.there", "note public.test"},
			"good: 192.0.2.1: not listed by both.test"},
		{"all.test", "192.0.2.9", true, []string{"unknown all.test"}, "it lists 127.0.0.1, which no list does"},
		{"all6.test", "2001:db8::9", true, []string{"unknown all6.test"}, "which no list does, so it lists everything"},
		{"sold.test", "192.0.2.9", true, []string{"unknown sold.test"}, "the answer is 198.51.100.7, and no list answers so"},
		{"public.test", "192.0.2.9", true, []string{"unknown public.test"}, "it does not answer public resolvers"},
		{"much.test", "192.0.2.9", true, []string{"unknown much.test"}, "asks too much (127.255.255.255)"},
		{"typo.test", "192.0.2.9", true, []string{"unknown typo.test"}, "the name of the list is wrong"},
		{"late.test", "192.0.2.9 192.0.2.1", true, []string{"unknown late.test"}, "cannot know whether 192.0.2.9 is listed: it does not answer"},
		{"dbl.spamhaus.org", "192.0.2.9", true, []string{"unknown dbl.spamhaus.org"}, "a list of domains"},
		{"not.there", "192.0.2.9", true, []string{"unknown not.there"}, "is missing"},
		{"zen.spamhaus.org", "10.2.0.192 192.0.2.1", true, nil, "good: 192.0.2.1: not listed"},
		{"", "192.0.2.9", false, nil, ""},
	} {
		o := options(resolver, keys)
		o.Lists, o.ListsGiven, o.From = strings.Fields(test.lists), test.given, nil
		for text := range strings.FieldsSeq(test.from) {
			o.From = append(o.From, netip.MustParseAddr(text))
		}
		report := Domain(t.Context(), o, "clean.test")
		var got []string
		for _, f := range report.Findings {
			if strings.HasPrefix(f.Code, "dnsbl") {
				got = append(got, fmt.Sprint(f.Level, " ", f.Name))
			}
		}
		if !slices.Equal(got, test.want) || !strings.Contains(told(report), test.says) ||
			strings.Contains(told(report), "key0") {
			t.Errorf("%s of %s: got %q, want %q, %q%s", test.lists, test.from, got, test.want, test.says, told(report))
		}
	}
}

// A list that does not answer is not waited for long, and is not one that has nothing.
func TestListsThatFail(t *testing.T) {
	t.Parallel()
	upstream := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)}).Servers[0]
	keys := cleanKeys(t)
	for code, breakage := range breakages {
		var asked atomic.Int32
		server := behind(t, upstream, func(w miekg.ResponseWriter, query *miekg.Msg) bool {
			if !strings.HasSuffix(query.Question[0].Name, ".bl.test.") {
				return false
			}
			asked.Add(1)
			breakage(w, query)
			return true
		})
		r := &dns.Resolver{Servers: []string{server}, Patience: time.Second, Attempts: 5}
		o := options(r.Remembering(), keys)
		o.Lists = []string{"bl.test"}
		report := Domain(t.Context(), o, "clean.test")
		if !slices.Equal(codes(report), []string{"dnsbl-unknown"}) || report.Findings[0].Level != finding.Note || report.Passes != Yes ||
			strings.Contains(told(report), "not listed") {
			t.Errorf("%s: %s", code, told(report))
		}
		// The next domain of the same hosts asks, and waits, no more.
		before := asked.Load()
		if report := Domain(t.Context(), o, "clean.test"); asked.Load() != before || !slices.Contains(codes(report), "dnsbl-unknown") {
			t.Errorf("%s: asked %d times, then %d: %s", code, before, asked.Load()-before, told(report))
		}
	}
}

// What is asked, and how often.
func TestEntry(t *testing.T) {
	t.Parallel()
	zone := nameserver.NewZone(t, ". 60 IN SOA ns. root. 1 2 3 4 5")
	r := &dns.Resolver{Servers: []string{zone.Serve(t)}, Patience: 10 * time.Second, Attempts: 1}
	dnsbl{"bl.test", r}.ask(t.Context(), []netip.Addr{netip.MustParseAddr("192.0.2.9"), netip.MustParseAddr("2001:db8::9")})
	for _, name := range []string{"9.2.0.192", nine, "2.0.0.127", "1.0.0.127", inIPv6} {
		if n := zone.Asked(miekg.TypeA, name+".bl.test"); n > 1 || n == 0 && name != "1.0.0.127" {
			t.Errorf("%s was asked %d times", name, n)
		}
	}
}
