package check

import (
	"strings"
	"testing"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/test/lab/nameserver"
)

// Zones that BIND signed, at a resolver that validates and at one that does not: both
// tell a zone that is signed from one that is not, and from one that nobody can use.
func TestDNSSEC(t *testing.T) {
	t.Parallel()
	now := []string{}
	past := []string{"-s", "20250101000000", "-e", "20250201000000"}
	zone := func(domain string) string { return zoneText(t, domain, nil, nil) }
	zones := map[string]nameserver.SignedZone{
		"clean.test":    {Text: zone("clean.test"), Sign: now, Link: nameserver.GoodLink},
		"unsigned.test": {Text: zone("unsigned.test")},
		"island.test":   {Text: zone("island.test"), Sign: now},
		"other.test":    {Text: zone("other.test"), Sign: now, Link: nameserver.OtherLink},
		"expired.test":  {Text: zone("expired.test"), Sign: past, Link: nameserver.GoodLink},
		"stripped.test": {Text: zone("stripped.test"), Link: nameserver.OtherLink},
	}
	for name, text := range above() {
		if name != "." {
			zones[name] = nameserver.SignedZone{Text: text}
		}
	}
	world, err := nameserver.StartSigned(t.TempDir(), zones)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Stop() })
	keys := keysFor(t, map[string][]string{"clean.test": {"s1"}, "unsigned.test": {"s1"}, "island.test": {"s1"},
		"other.test": {"s1"}, "expired.test": {"s1"}, "stripped.test": {"s1"}})
	for domain, test := range map[string]struct {
		code   string
		level  finding.Level
		passes Outcome
		says   string // by both
		good   string // by the one that validates
	}{
		"clean.test":    {passes: Yes, says: "good: clean.test: the zone is signed (DNSSEC), and ", good: "validated by the resolver"},
		"unsigned.test": {"dnssec-unsigned", finding.Note, Yes, "the zone is not signed (DNSSEC)", ""},
		"island.test":   {"dnssec-no-ds", finding.Note, Yes, "\n\t\tisland.test. IN DS ", ""},
		"other.test":    {"dnssec-bogus", finding.Fault, No, "the DS records in the zone above name none of its keys", ""},
		// By a resolver that does not validate it may be the view of an office, of a zone that is well.
		"stripped.test":       {"dnssec-bogus", finding.Fault, No, "no DNSKEY record", ""},
		"stripped.test plain": {"dnssec-no-keys", finding.Unknown, Yes, "by this resolver it has no keys", ""},
		"expired.test":        {"dnssec-bogus", finding.Fault, No, "is good from 2025-01-01 00:00 UTC to 2025-02-01 00:00 UTC only", ""},
	} {
		servers := []string{world.Validating, world.Plain}
		if domain == "stripped.test" {
			servers = servers[:1]
		} else if zone, plain := strings.CutSuffix(domain, " plain"); plain {
			domain, servers = zone, servers[1:]
		}
		for _, server := range servers {
			r := &dns.Resolver{Servers: []string{server}, Patience: 20 * time.Second, Attempts: 1}
			o := options(r.Remembering(), keys)
			report := Domain(t.Context(), o, domain)
			var found []finding.Finding
			for _, f := range report.Findings {
				if strings.HasPrefix(f.Code, "dns") {
					found = append(found, f)
				}
			}
			if test.code == "" && len(found) > 0 || test.code != "" && (len(found) != 1 || found[0].Code != test.code || found[0].Level != test.level) ||
				report.Passes != test.passes || !strings.Contains(told(report), test.says) ||
				server == world.Validating && !strings.Contains(told(report), test.good) {
				t.Errorf("%s by %s: want %+v%s", domain, server, test, told(report))
			}
		}
	}
}

// A resolver whose trust anchor is not that of the root takes every zone for forged,
// and no zone is to blame.
func TestResolverWithoutTrust(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	world, err := nameserver.StartSigned(dir, map[string]nameserver.SignedZone{
		"clean.test": {Text: zoneText(t, "clean.test", nil, nil), Sign: []string{}, Link: nameserver.GoodLink}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { world.Stop() })
	_, other, err := nameserver.Sign(dir, ".", "@ SOA ns.test. root.test. 1 7200 900 1209600 60\n@ NS ns.test.\n")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(world.Plain, ":")
	validator, err := nameserver.StartValidator(dir, port, other)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { validator.Stop() })
	r := &dns.Resolver{Servers: []string{"127.0.0.1:" + validator.Port}, Patience: 20 * time.Second, Attempts: 1}
	report := Domain(t.Context(), options(r.Remembering(), keysFor(t, nil)), "clean.test")
	if len(report.Findings) != 1 || report.Findings[0].Code != "dnssec-refused" || report.Findings[0].Level != finding.Unknown || report.Passes != NotKnown {
		t.Error(told(report))
	}
}
