package check

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

// Name servers that answer some questions and leave us waiting for others end
// the check of a domain in time, and all that is left is unknown.
func TestSilenceIsWaitedForOnlySoLong(t *testing.T) {
	t.Parallel()
	var bomb strings.Builder
	for i := range 45 {
		fmt.Fprintf(&bomb, " include:i%d.slow.test", i)
	}
	zone := zoneText(t, "clean.test", []string{spf}, []string{"@ " + text("v=spf1"+bomb.String()+" -all")})
	upstream := serveZones(t, map[string]string{"clean.test": zone}).Servers[0]
	server := behind(t, upstream, func(_ miekg.ResponseWriter, query *miekg.Msg) bool {
		return strings.HasSuffix(query.Question[0].Name, ".slow.test.")
	})
	resolver := &dns.Resolver{Servers: []string{server}, Patience: 100 * time.Millisecond, Attempts: 2}
	start := time.Now()
	report := Domain(t.Context(), options(resolver.Remembering(), keysFor(t, map[string][]string{"clean.test": {"s1"}})), "clean.test")
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	for _, f := range report.Findings {
		if f.Level == finding.Fault && f.Code != "spf-lookups" {
			t.Errorf("%s: %s", f.Code, f.What)
		}
	}
	if !slices.Contains(codes(report), "dns-timeout") {
		t.Error(told(report))
	}
}

// Answers with very many records do not make very many questions.
func TestManyRecords(t *testing.T) {
	t.Parallel()
	var with, reports []string
	for i := range 300 {
		with = append(with, fmt.Sprintf("@ MX 10 m%d", i), fmt.Sprintf("m%d A 198.51.100.%d", i, i%250+1), fmt.Sprintf("m0 A 203.0.113.%d", i%250+1))
		reports = append(reports, fmt.Sprintf("mailto:a@r%d.clean.test", i))
	}
	with = append(with, "_dmarc "+text("v=DMARC1; p=reject; rua="+strings.Join(reports, ",")))
	slices.Sort(with)
	zone := zoneText(t, "many.test", []string{mx, dmarc}, slices.Compact(with))
	upstream := serveZones(t, map[string]string{"many.test": zone}).Servers[0]
	var asked atomic.Int64
	server := behind(t, upstream, func(_ miekg.ResponseWriter, query *miekg.Msg) bool {
		asked.Add(1)
		return false
	})
	resolver := &dns.Resolver{Servers: []string{server}, Patience: 2 * time.Second, Attempts: 2}
	o := options(resolver.Remembering(), keysFor(t, map[string][]string{"many.test": {"s1"}}))
	o.From = nil
	report := Domain(t.Context(), o, "many.test")
	if n := asked.Load(); n > 400 {
		t.Errorf("%d questions", n)
	}
	if !slices.Contains(codes(report), "mx-many") || len(report.Findings) > 100 {
		t.Errorf("%d findings: %q", len(report.Findings), codes(report))
	}
}

// A name server whose address cannot be looked up is not one without address.
func TestNameServerAddressNotKnown(t *testing.T) {
	t.Parallel()
	r := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, []string{"@ NS ns2.clean.test.", "ns2 A 127.0.0.2"})})
	_, port, _ := net.SplitHostPort(r.Servers[0])
	server := behind(t, r.Servers[0], func(w miekg.ResponseWriter, query *miekg.Msg) bool {
		if query.Question[0].Name != "ns2.clean.test." {
			return false
		}
		breakages["dns-servfail"](w, query)
		return true
	})
	report := authoritative(t, resolverAt(server), port, cleanKeys(t))
	if !slices.Equal(codes(report), []string{"dns-servfail"}) || report.Findings[0].Level != finding.Unknown || report.Passes != Yes {
		t.Error(told(report))
	}
}

// One name of an address that leads back is enough, whatever becomes of others.
func TestOneNameOfSeveralConfirms(t *testing.T) {
	t.Parallel()
	r := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, []string{"three A 192.0.2.3"})})
	server := behind(t, r.Servers[0], func(w miekg.ResponseWriter, query *miekg.Msg) bool {
		if query.Question[0].Name != "one.clean.test." {
			return false
		}
		breakages["dns-servfail"](w, query)
		return true
	})
	o := options(resolverAt(server), cleanKeys(t))
	o.From = []netip.Addr{netip.MustParseAddr("192.0.2.3")}
	report := Domain(t.Context(), o, "clean.test")
	if !strings.Contains(told(report), "its PTR record says three.clean.test, which leads back to it") || slices.Contains(codes(report), "dns-servfail") {
		t.Error(told(report))
	}
}
