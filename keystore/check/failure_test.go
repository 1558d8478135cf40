package check

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/test/lab/nameserver"
)

// behind starts a resolver that goes wrong for some names and types, and asks
// upstream for all others.
func behind(t testing.TB, upstream string, wrong func(miekg.ResponseWriter, *miekg.Msg) bool) string {
	t.Helper()
	right := nameserver.Forward(upstream)
	return nameserver.Serve(t, func(w miekg.ResponseWriter, query *miekg.Msg) {
		if !wrong(w, query) {
			right(w, query)
		}
	})
}

// breakages are the ways in which an answer can fail to come.
var breakages = map[string]miekg.HandlerFunc{
	"dns-timeout":   nameserver.Silent,
	"dns-servfail":  nameserver.Code(miekg.RcodeServerFailure),
	"dns-refused":   nameserver.Code(miekg.RcodeRefused),
	"dns-lame":      nameserver.Lame,
	"dns-truncated": nameserver.Truncated,
	"dns-malformed": nameserver.Malformed,
}

// TestFailuresAreNotMissing: whatever question has no answer, and however, that
// is told as unknown, and never as a record that is not published.
func TestFailuresAreNotMissing(t *testing.T) {
	t.Parallel()
	upstream := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)}).Servers[0]
	keys := keysFor(t, map[string][]string{"clean.test": {"s1"}})
	questions := []struct {
		name   string
		qtype  uint16
		passes Outcome // empty: nothing hangs on the answer, and nothing is said
	}{
		{"s1._domainkey.clean.test.", miekg.TypeTXT, Yes},
		{"clean.test.", miekg.TypeTXT, Yes},
		{"_dmarc.clean.test.", miekg.TypeTXT, NotKnown},
		// The domain has a policy of its own, and only its own name to align.
		{"_dmarc.test.", miekg.TypeTXT, ""},
		{"clean.test.", miekg.TypeMX, Yes},
		{"mail.clean.test.", miekg.TypeA, Yes},
		{"mail.clean.test.", miekg.TypeAAAA, Yes},
		{"1.2.0.192.in-addr.arpa.", miekg.TypePTR, Yes},
		{"clean.test.", miekg.TypeSOA, NotKnown},
	}
	for code, breakage := range breakages {
		for _, question := range questions {
			t.Run(code+"/"+question.name+miekg.TypeToString[question.qtype], func(t *testing.T) {
				t.Parallel()
				server := behind(t, upstream, func(w miekg.ResponseWriter, query *miekg.Msg) bool {
					if query.Question[0].Name != question.name || query.Question[0].Qtype != question.qtype {
						return false
					}
					breakage(w, query)
					return true
				})
				resolver := &dns.Resolver{Servers: []string{server}, Patience: 2 * time.Second, Attempts: 2}
				if code == "dns-timeout" {
					resolver.Patience, resolver.Attempts = 250*time.Millisecond, 1
				}
				report := Domain(t.Context(), options(resolver.Remembering(), keys), "clean.test")
				wantCodes, wantPasses := []string{code}, question.passes
				if wantPasses == "" {
					wantCodes, wantPasses = nil, Yes
				}
				if got := codes(report); !slices.Equal(got, wantCodes) {
					t.Errorf("got %q", got)
				}
				for _, f := range report.Findings {
					if f.Level != finding.Unknown && f.Code != "dnssec-unsigned" {
						t.Errorf("%s is a %s", f.Code, f.Level)
					}
				}
				if report.Passes != wantPasses {
					t.Errorf("passes: %s, want %s", report.Passes, wantPasses)
				}
				if t.Failed() {
					t.Log(told(report))
				}
			})
		}
	}
}

func TestNothingCanBeFoundOut(t *testing.T) {
	t.Parallel()
	upstream := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)}).Servers[0]
	server := behind(t, upstream, func(w miekg.ResponseWriter, query *miekg.Msg) bool {
		name := query.Question[0].Name
		if query.Question[0].Qtype != miekg.TypeTXT || name == "_dmarc.clean.test." || name == "_dmarc.test." {
			return false
		}
		breakages["dns-servfail"](w, query)
		return true
	})
	keys := keysFor(t, map[string][]string{"clean.test": {"s1"}})
	report := Domain(t.Context(), options(resolverAt(server), keys), "clean.test")
	if report.Passes != NotKnown || !strings.HasPrefix(report.Verdict, "could not find out whether mail from clean.test will pass DMARC because ") ||
		!slices.Equal(codes(report), []string{"dns-servfail"}) {
		t.Error(told(report))
	}
}

func TestUnreachableResolverIsToldOnce(t *testing.T) {
	t.Parallel()
	socket, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	socket.Close() // nothing listens there now
	report := Domain(t.Context(), options(resolverAt(socket.LocalAddr().String()), keysFor(t, nil)), "clean.test")
	if len(report.Findings) != 1 || report.Findings[0].Code != "dns-unreachable" || report.Findings[0].Level != finding.Unknown || report.Passes != NotKnown {
		t.Error(told(report))
	}
}

func TestDomainThatDoesNotExist(t *testing.T) {
	t.Parallel()
	resolver := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)})
	report := Domain(t.Context(), options(resolver, keysFor(t, map[string][]string{"nobody.test": {"s1"}})), "nobody.test")
	want := []string{"dkim-missing", "dmarc-missing", "dns-no-domain", "mx-missing", "spf-missing"}
	if got := codes(report); !slices.Equal(got, want) || report.Passes != No {
		t.Errorf("got %q%s", got, told(report))
	}
}

// A key that signs for the domains below its own is aligned unless adkim=s.
func TestSubdomains(t *testing.T) {
	t.Parallel()
	relaxed := zoneText(t, "relaxed.test", nil, []string{"news MX 10 mail", `news TXT "v=spf1 mx -all"`})
	strict := zoneText(t, "strict.test", []string{dmarc}, []string{"news MX 10 mail", `news TXT "v=spf1 mx -all"`,
		`_dmarc TXT "v=DMARC1; p=reject; adkim=s; rua=mailto:a@DOMAIN"`})
	resolver := serveZones(t, map[string]string{"relaxed.test": relaxed, "strict.test": strict, "clean.test": zoneText(t, "clean.test", nil, nil)})
	keys := keysFor(t, map[string][]string{"relaxed.test": {"s1"}, "strict.test": {"s1"}})
	for _, test := range []struct {
		domain     string
		subdomains bool
		from       string
		want       []string
		passes     Outcome
	}{
		{"news.relaxed.test", true, "192.0.2.1", nil, Yes},
		{"news.relaxed.test", false, "192.0.2.1", []string{"dkim-unsigned"}, Yes},
		{"news.strict.test", true, "192.0.2.1", []string{"dmarc-dkim-unaligned"}, Yes},
		{"news.strict.test", true, "192.0.2.9", []string{"dmarc-dkim-unaligned", "helo-mismatch", "ptr-missing", "spf-fail"}, No},
	} {
		o := options(resolver, keys)
		o.Subdomains = test.subdomains
		o.From = []netip.Addr{netip.MustParseAddr(test.from)}
		report := Domain(t.Context(), o, test.domain)
		if got := codes(report); !slices.Equal(got, test.want) || report.Passes != test.passes {
			t.Errorf("%s, %v: got %q, want %q%s", test.domain, test.subdomains, got, test.want, told(report))
		}
	}
}
