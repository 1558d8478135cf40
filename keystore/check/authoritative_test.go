package check

import (
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/test/lab/nameserver"
)

// twoServers starts two real name servers on one port: the first with all
// zones, so that it serves as the resolver too.
func twoServers(t *testing.T, first, second map[string]string) (r *dns.Resolver, port string) {
	t.Helper()
	all := above()
	maps.Copy(all, first)
	one, err := nameserver.StartNSD(t.TempDir(), "", all, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { one.Stop() })
	two, err := nameserver.StartNSD(t.TempDir(), one.Port, second, "127.0.0.2")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { two.Stop() })
	return resolverAt(net.JoinHostPort("127.0.0.1", one.Port)), one.Port
}

// with is the zone with a second name server.
func withTwo(t *testing.T, without, with []string) string {
	return zoneText(t, "clean.test", without, append(with, "@ NS ns2", "ns2 A 127.0.0.2"))
}

func authoritative(t *testing.T, r *dns.Resolver, port string, keys *keystore.Snapshot) *Report {
	o := options(r, keys)
	o.Authoritative, o.Port = true, port
	return Domain(t.Context(), o, "clean.test")
}

func cleanKeys(t *testing.T) *keystore.Snapshot {
	return keysFor(t, map[string][]string{"clean.test": {"s1"}})
}

func TestNameServersAgree(t *testing.T) {
	t.Parallel()
	zone := withTwo(t, nil, nil)
	r, port := twoServers(t, map[string]string{"clean.test": zone}, map[string]string{"clean.test": zone})
	report := authoritative(t, r, port, cleanKeys(t))
	if len(codes(report)) > 0 || report.Passes != Yes ||
		!strings.Contains(told(report), "name servers asked: ns1.clean.test (127.0.0.1), ns2.clean.test (127.0.0.2)") {
		t.Error(told(report))
	}
}

// The record is on its way: one server has it, the other has not. Both are
// named, with the versions of their zones.
func TestHalfPropagated(t *testing.T) {
	t.Parallel()
	newer := strings.Replace(withTwo(t, nil, nil), "root 1 ", "root 2 ", 1)
	older := withTwo(t, []string{key}, nil)
	for _, swapped := range []bool{false, true} {
		first, second := newer, older
		if swapped {
			first, second = older, newer
		}
		r, port := twoServers(t, map[string]string{"clean.test": first}, map[string]string{"clean.test": second})
		report := authoritative(t, r, port, cleanKeys(t))
		if !slices.Equal(codes(report), []string{"dns-differs"}) || report.Passes != No {
			t.Fatal(told(report))
		}
		f := report.Findings[0]
		newest, oldest := "ns1.clean.test (127.0.0.1)", "ns2.clean.test (127.0.0.2)"
		if swapped {
			newest, oldest = oldest, newest
		}
		if f.Name != "s1._domainkey.clean.test" || !strings.Contains(f.What, newest+` says "v=DKIM1;`) || !strings.Contains(f.What, oldest+" says that there is none") ||
			!strings.Contains(f.Advice(), newest+" has serial 2") || !strings.Contains(f.Advice(), oldest+" has serial 1") {
			t.Errorf("got %+v", f)
		}
		if !strings.Contains(report.Verdict, "will not always pass DMARC because the name servers") {
			t.Errorf("got %s", report.Verdict)
		}
	}
}

// Two keys that begin alike are different all the same.
func TestOldKeyOnOneServer(t *testing.T) {
	t.Parallel()
	r, port := twoServers(t, map[string]string{"clean.test": withTwo(t, nil, nil)},
		map[string]string{"clean.test": withTwo(t, []string{key}, []string{key + " " + text(strings.TrimSuffix(keyRecord(t, "s1"), "AQAB")+"AQAC")})})
	report := authoritative(t, r, port, cleanKeys(t))
	if !slices.Contains(codes(report), "dns-differs") {
		t.Error(told(report))
	}
}

// The second server is named for the zone and does not have it.
func TestLameNameServer(t *testing.T) {
	t.Parallel()
	r, port := twoServers(t, map[string]string{"clean.test": withTwo(t, nil, nil)}, map[string]string{"other.test": zoneText(t, "other.test", nil, nil)})
	report := authoritative(t, r, port, cleanKeys(t))
	if !slices.Equal(codes(report), []string{"dns-server-lame"}) || report.Passes != Yes || report.Findings[0].Name != "ns2.clean.test (127.0.0.2)" {
		t.Error(told(report))
	}
}

// oneServer has a zone with a second name server that is not NSD.
func oneServer(t *testing.T, second string, handler miekg.HandlerFunc) *Report {
	t.Helper()
	r, port := twoServersBut(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, []string{"@ NS ns2", second})}, handler)
	r.Patience = 300 * time.Millisecond
	return authoritative(t, r, port, cleanKeys(t))
}

func twoServersBut(t *testing.T, zones map[string]string, handler miekg.HandlerFunc) (*dns.Resolver, string) {
	t.Helper()
	r := serveZones(t, zones)
	_, port, _ := net.SplitHostPort(r.Servers[0])
	if handler != nil {
		second, err := nameserver.StartUDP(net.JoinHostPort("127.0.0.2", port), handler)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(second.Stop)
	}
	return r, port
}

func TestNameServersThatFail(t *testing.T) {
	t.Parallel()
	const ns2 = "ns2 A 127.0.0.2"
	for _, test := range []struct {
		name    string
		second  string
		handler miekg.HandlerFunc
		want    string
	}{
		{"nothing listens", ns2, nil, "dns-server-unreachable"},
		{"silent", ns2, breakages["dns-timeout"], "dns-server-timeout"},
		{"servfail", ns2, breakages["dns-servfail"], "dns-server-servfail"},
		{"not authoritative", ns2, breakages["dns-lame"], "dns-server-lame"},
		{"malformed", ns2, breakages["dns-malformed"], "dns-server-malformed"},
		{"no TCP", ns2, breakages["dns-truncated"], "dns-server-truncated"},
		{"no address", `ns2 TXT "none"`, nil, "dns-server-no-address"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			report := oneServer(t, test.second, test.handler)
			// A dead server is waited for once, not for every question.
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("it took %s", took)
			}
			if !slices.Equal(codes(report), []string{test.want}) || report.Passes != Yes {
				t.Error(told(report))
			}
		})
	}
}

// When no name server answers, nothing is said to be missing.
func TestAllNameServersFail(t *testing.T) {
	t.Parallel()
	r := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", []string{"ns1"}, []string{"ns1 A 127.0.0.2"})})
	_, port, _ := net.SplitHostPort(r.Servers[0])
	report := authoritative(t, r, port, cleanKeys(t))
	for _, f := range report.Findings {
		if !strings.HasPrefix(f.Code, "dns") && f.Code != "host-no-address" {
			t.Errorf("%s: %s", f.Code, f.What)
		}
	}
	if report.Passes != NotKnown {
		t.Error(told(report))
	}
}

// A name below the domain may lie in a zone of its own, and an alias may lead
// to another domain: each is asked for where it lies.
func TestZonesBelowAndElsewhere(t *testing.T) {
	t.Parallel()
	clean := withTwo(t, []string{key}, []string{"_domainkey NS ns2"})
	below := "@ SOA ns2.clean.test. root.clean.test. 1 7200 900 1209600 60\n@ NS ns2.clean.test.\ns1 CNAME s1._domainkey.provider.test.\n"
	provider := zoneText(t, "provider.test", nil, nil)
	// NSD answers for the zone below whether it is asked as a resolver or not.
	r, port := twoServers(t,
		map[string]string{"clean.test": clean, "_domainkey.clean.test": below, "provider.test": provider},
		map[string]string{"clean.test": clean, "_domainkey.clean.test": below})
	report := authoritative(t, r, port, cleanKeys(t))
	if !slices.Equal(codes(report), []string{"dkim-cname"}) || report.Passes != Yes {
		t.Error(told(report))
	}
}
