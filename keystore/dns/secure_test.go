package dns

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"signpost/test/lab/nameserver"
)

// A zone that BIND signed, in every state that a zone can be in, as a resolver that
// validates and one that does not tell it.
func TestSecurity(t *testing.T) {
	t.Parallel()
	const zone = "@ SOA ns.test. root.test. 1 7200 900 1209600 60\n@ NS ns.test.\nmail A 192.0.2.1\n"
	now := []string{} // as of now
	world, err := nameserver.StartSigned(t.TempDir(), map[string]nameserver.SignedZone{
		"good.test":     {Text: zone, Sign: now, Link: nameserver.GoodLink},
		"unsigned.test": {Text: zone},
		"island.test":   {Text: zone, Sign: now},
		"other.test":    {Text: zone, Sign: now, Link: nameserver.OtherLink},
		"nokeys.test":   {Text: zone, Link: nameserver.GoodLink},
		"expired.test": {Text: zone, Sign: []string{"-s", "20250101000000", "-e", "20250201000000"},
			Link: nameserver.GoodLink},
		"early.test": {Text: zone, Sign: []string{"-s", "21000101000000", "-e", "21010201000000"},
			Link: nameserver.GoodLink},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if log := world.Stop(); t.Failed() {
			t.Log(log)
		}
	})
	validating := &Resolver{Servers: []string{world.Validating}, Patience: 10 * time.Second, Attempts: 1}
	plain := &Resolver{Servers: []string{world.Plain}, Patience: 10 * time.Second, Attempts: 1}
	for name, test := range map[string]struct {
		want     Security // of the validating resolver
		ds, keys int
		broken   string
	}{
		"good.test":     {Validated, 1, 1, ""},
		"unsigned.test": {Unproven, 0, 0, ""},
		"island.test":   {Unproven, 0, 1, ""},
		"other.test":    {Bogus, 1, 1, "name none of its keys"},
		"nokeys.test":   {Bogus, 1, 0, "has no DNSKEY record"},
		"expired.test":  {Bogus, 1, 1, "is good from 2025-01-01 00:00 UTC to 2025-02-01 00:00 UTC only"},
		"early.test":    {Bogus, 1, 1, "is good from 2100-01-01 00:00 UTC"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := validating.Security(t.Context(), name, dns.TypeSOA); got != test.want || err != nil {
				t.Errorf("validating: %s, %v, want %s", got, err, test.want)
			}
			if got, err := plain.Security(t.Context(), name, dns.TypeSOA); got != Unproven || err != nil {
				t.Errorf("plain: %s, %v", got, err)
			}
			for _, r := range []*Resolver{validating, plain} {
				c, err := r.Chain(t.Context(), "MAIL."+name)
				if err != nil {
					t.Fatal(err)
				}
				if c.Zone != name || len(c.DS) != test.ds || len(c.Keys) != test.keys {
					t.Errorf("%s: zone %s, %d DS, %d keys", r.Servers, c.Zone, len(c.DS), len(c.Keys))
				}
				err = c.Broken(time.Now())
				if (err != nil) != (test.broken != "") || err != nil && !strings.Contains(err.Error(), test.broken) ||
					errors.Is(err, ErrNotChecked) {
					t.Errorf("%s: %v", r.Servers, err)
				}
			}
		})
	}
	// What somebody changed on the way does not match.
	c, err := plain.Chain(t.Context(), "good.test")
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Broken(time.Now()); err != nil {
		t.Errorf("got %v", err)
	}
	// A key that was revoked, or is not for zones, counts for nothing, whatever names it.
	for _, flags := range []uint16{dns.ZONE | dns.SEP | dns.REVOKE, dns.SEP} {
		key := *c.Keys[0]
		key.Flags = flags
		other := Chain{Zone: c.Zone, DS: []*dns.DS{key.ToDS(dns.SHA256)}, Keys: []*dns.DNSKEY{&key}, keySet: c.keySet, soaSet: c.soaSet}
		if err := other.Broken(time.Now()); err == nil || !strings.Contains(err.Error(), "name none of its keys") {
			t.Errorf("flags %d: %v", flags, err)
		}
	}
	c.soaSet[0].(*dns.SOA).Serial++
	if err := c.Broken(time.Now()); err == nil || !strings.Contains(err.Error(), "over its SOA record does not match it") {
		t.Errorf("got %v", err)
	}
	c.soaSet = c.soaSet[:1] // without its signature
	if err := c.Broken(time.Now()); !errors.Is(err, ErrNotChecked) {
		t.Errorf("got %v", err)
	}
	c.DS[0].Algorithm = dns.ED448
	if err := c.Broken(time.Now()); !errors.Is(err, ErrNotChecked) {
		t.Errorf("got %v", err)
	}
}

// A resolver that fails whatever it is asked says nothing about signatures.
func TestSecurityUnknown(t *testing.T) {
	t.Parallel()
	address := nameserver.Serve(t, nameserver.Code(dns.RcodeServerFailure))
	r := &Resolver{Servers: []string{address}, Patience: 10 * time.Second, Attempts: 1}
	var failed *LookupError
	if got, err := r.Security(t.Context(), "good.test", dns.TypeSOA); !errors.As(err, &failed) || failed.Kind != ServFail {
		t.Errorf("%s, %v", got, err)
	}
	if c, err := r.Chain(t.Context(), "good.test"); err == nil {
		t.Errorf("got %+v", c)
	}
}
