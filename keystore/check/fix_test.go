package check

import (
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
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
			all = append(all, f.Advice())
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
		{"first.test", "something", "192.0.2.3", "spf-missing", "v=spf1 mx ip4:192.0.2.3 -all"},
		{"first-mx.test", "something", "192.0.2.1", "spf-missing", "v=spf1 mx -all"},
		{"inner.test", "v=spf1 mx -all", "10.0.0.1", "spf-fail", "--from-ip"},
	} {
		report := checkZone(t, test.domain, []string{spf}, []string{`@ TXT "` + test.published + `"`}, from(test.from))
		if got := strings.Join(fixes(report, test.code), "\n"); !strings.HasSuffix(got, test.want) {
			t.Errorf("%s: want %q%s", test.domain, test.want, told(report))
		}
	}
}

// Nothing can stand beside a CNAME (RFC 1034, section 3.6.2).
func TestFixOfAlias(t *testing.T) {
	t.Parallel()
	other := text(keyRecord(t, "e1"))
	report := checkZone(t, "alias.test", []string{key, dmarc}, []string{key + " CNAME keys.clean.test.", "keys " + other,
		"_dmarc CNAME policies", `policies TXT "v=DMARC1; p=none"`}, func(o *Options) {})
	for code, target := range map[string]string{"dkim-cname-dangling": "keys.clean.test", "dmarc-no-reports": "policies.alias.test"} {
		got := strings.Join(fixes(report, code), "")
		if strings.Contains(got, "publish this TXT record at") || !strings.Contains(got, " at "+target) || !strings.Contains(got, "in place of that CNAME") {
			t.Errorf("%s: %q%s", code, got, told(report))
		}
	}
}

// A record of its own takes the place of what a wildcard answers (RFC 4592).
func TestWildcardAlias(t *testing.T) {
	t.Parallel()
	report := checkZone(t, "wild.test", []string{key, "_dmarc"}, []string{"* CNAME www.clean.test."}, nil)
	for _, f := range report.Findings {
		if f.Code == "dkim-cname" || f.Code == "dkim-cname-dangling" || strings.Contains(f.Advice(), "CNAME") {
			t.Errorf("%s: %s", f.Code, f.Advice())
		}
	}
	if got := fixes(report, "dkim-wildcard"); len(got) != 1 || !strings.HasPrefix(got[0], "publish this TXT record at s1._domainkey.wild.test,") {
		t.Error(told(report))
	}
}

// A wildcard answers at the places where a record may have been put by mistake.
func TestWildcardIsNoMistake(t *testing.T) {
	t.Parallel()
	report := checkZone(t, "parked.test", []string{spf, key, dmarc}, []string{
		`* TXT "v=spf1 -all"`, "s1._domainkey KEY", `_dmarc TXT "v=DMARC1; p=reject; rua=mailto:a@DOMAIN"`}, nil)
	if len(fixes(report, "spf-missing")) != 1 {
		t.Error(told(report))
	}
}

// The policy of the parent applies whatever else a wildcard answers below.
func TestWildcardBesideInheritedPolicy(t *testing.T) {
	t.Parallel()
	resolver := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, []string{
		"news MX 10 mail", `news TXT "v=spf1 mx -all"`, "s1._domainkey.news KEY", `*.news TXT "v=spf1 -all"`})})
	report := Domain(t.Context(), options(resolver, keysFor(t, map[string][]string{"news.clean.test": {"s1"}})), "news.clean.test")
	for _, f := range report.Findings {
		if f.Level != finding.Note {
			t.Fatal(told(report))
		}
	}
	if report.Passes != Yes {
		t.Error(told(report))
	}
}

// What "signpost dns --no-mail" prints is as it should be, and no reason to
// publish the contrary.
func TestLocked(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		with   []string
		locked bool
	}{
		{"no key", []string{`*._domainkey TXT "v=DKIM1; p="`, "@ MX 10 mail"}, true},
		{"no mail at all", []string{`*._domainkey TXT "v=DKIM1; p="`, "@ MX 0 ."}, true},
		{"null MX", []string{"@ MX 0 ."}, true},
		{"DKIM alone", []string{"@ MX 10 mail"}, false},
	} {
		report := checkZone(t, "locked.test", []string{spf, mx, key, dmarc}, append(test.with, `@ TXT "v=spf1 -all"`, `_dmarc TXT "v=DMARC1; p=reject"`), func(o *Options) {
			o.Keys = keysFor(t, nil)
		})
		locked := !slices.ContainsFunc(report.Findings, func(f finding.Finding) bool { return f.Level != finding.Note })
		if locked != test.locked || report.Passes != No || strings.Contains(report.Verdict, "is locked") != test.locked {
			t.Errorf("%s%s", test.name, told(report))
		}
	}
	// With a key, the same records keep the domain's own mail from arriving.
	report := checkZone(t, "locked.test", []string{spf, mx, key}, []string{`*._domainkey TXT "v=DKIM1; p="`, "@ MX 0 .", `@ TXT "v=spf1 -all"`}, nil)
	if len(fixes(report, "mx-null")) == 0 || len(fixes(report, "dkim-wildcard")) == 0 {
		t.Error(told(report))
	}
}
