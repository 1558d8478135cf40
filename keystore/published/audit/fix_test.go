package audit

import (
	"strings"
	"testing"
)

// checkZone checks one domain whose zone is the clean one with changes.
func checkZone(t *testing.T, domain string, without, with []string, change func(*Options)) *Report {
	t.Helper()
	resolver := serveZones(t, map[string]string{domain: zoneText(t, domain, without, with), "clean.test": zoneText(t, "clean.test", nil, nil)})
	o := options(resolver, keysFor(t, map[string][]string{domain: {"s1"}}))
	if change != nil {
		change(&o)
	}
	return Domain(t.Context(), o, domain)
}

// fixes are the fixes of all findings with a code.
func fixes(r *Report, code string) (all []string) {
	for _, f := range r.Findings {
		if f.Code == code {
			all = append(all, f.Fix)
		}
	}
	return all
}

// What is to be published for one address must not take out another: whoever
// follows both hints publishes the second over the first.
func TestFixesForSeveralAddressesAgree(t *testing.T) {
	t.Parallel()
	report := checkZone(t, "two.test", []string{spf}, []string{`@ TXT "v=spf1 ip4:192.0.2.77 -all"`}, nil)
	const want = "v=spf1 ip4:192.0.2.77 ip4:192.0.2.1 ip6:2001:db8::1 -all"
	got := fixes(report, "spf-fail")
	if len(got) != 2 || !strings.HasSuffix(got[0], "\n"+want) || !strings.HasSuffix(got[1], "\n"+want) {
		t.Errorf("want %q twice%s", want, told(report))
	}
}

// What is to be published must help: before the term that keeps the address
// out, from what the lint says, and without addresses that nobody sees.
func TestFixOfSPFHelps(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ domain, published, from, code, want string }{
		{"denied.test", "v=spf1 -ip4:192.0.2.0/24 mx -all", "192.0.2.1", "spf-fail", "v=spf1 ip4:192.0.2.1 -ip4:192.0.2.0/24 mx -all"},
		{"linted.test", "v=spf1 ip4:192.0.2.77 ptr ?all", "192.0.2.3", "spf-neutral", "v=spf1 ip4:192.0.2.77 ip4:192.0.2.3 -all"},
		{"inner.test", "v=spf1 mx -all", "10.0.0.1", "spf-fail", "--from-ip"},
	} {
		report := checkZone(t, test.domain, []string{spf}, []string{`@ TXT "` + test.published + `"`}, from(test.from))
		if got := strings.Join(fixes(report, test.code), "\n"); !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: want %q%s", test.domain, test.want, told(report))
		}
	}
}
