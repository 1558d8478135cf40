package policy

import (
	"context"
	"errors"
	"slices"
	"testing"

	"signpost/keystore/dns"

	miekg "github.com/miekg/dns"
)

func TestDMARC(t *testing.T) {
	tests := []struct {
		name, author, zone                       string
		found, organizational, tag, policy, said string
	}{
		{"own record", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=none; np=none"`,
			"example.org", "example.org", "p", "reject", "reject"},
		{"none", "example.org", `example.org. TXT "v=DMARC1; p=reject"`, "", "example.org", "", "", ""},
		{"case and dot", "Example.ORG.", `_dmarc.example.org. TXT "v=DMARC1;p=quarantine"`,
			"example.org", "example.org", "p", "quarantine", "quarantine"},
		{"inherited p", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject"`,
			"example.org", "example.org", "p", "reject", "reject"},
		{"sp", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=quarantine"`,
			"example.org", "example.org", "sp", "quarantine", "quarantine"},
		{"np", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; sp=quarantine; np=reject"`,
			"example.org", "example.org", "np", "reject", "reject"},
		{"np, but it exists", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; sp=quarantine; np=reject"
a.example.org. MX 1 m.example.org.`,
			"example.org", "example.org", "sp", "quarantine", "quarantine"},
		{"np, but something below exists", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; np=reject"
b.a.example.org. A 192.0.2.1`,
			"example.org", "example.org", "p", "none", "none"},
		{"np, but it is a CNAME to nothing", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=none; np=reject"
a.example.org. CNAME gone.test.`,
			"example.org", "example.org", "p", "none", "none"},
		{"the author's own record, organizational above", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject"
_dmarc.a.example.org. TXT "v=DMARC1; p=none; sp=reject"`,
			"a.example.org", "example.org", "p", "none", "none"},
		// A record between the two counts for nothing.
		{"the organizational domain's, not the nearest", "a.b.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject"
_dmarc.b.example.org. TXT "v=DMARC1; p=none"`,
			"example.org", "example.org", "p", "reject", "reject"},
		{"t=y", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; t=y"`,
			"example.org", "example.org", "p", "quarantine", "reject"},
		{"t=y, quarantine", "example.org", `_dmarc.example.org. TXT "v=DMARC1; p=quarantine; t=y"`,
			"example.org", "example.org", "p", "none", "quarantine"},
		{"no p, but rua", "example.org", `_dmarc.example.org. TXT "v=DMARC1; rua=mailto:a@example.org"`,
			"example.org", "example.org", "p", "none", "none"},
		{"wrong sp, but rua", "a.example.org", `_dmarc.example.org. TXT "v=DMARC1; p=reject; sp=x; rua=mailto:a@example.org"`,
			"example.org", "example.org", "p", "none", "none"},
		{"no p, no rua", "example.org", `_dmarc.example.org. TXT "v=DMARC1; adkim=s"`,
			"example.org", "example.org", "p", "", ""},
		{"two records", "a.example.org", `_dmarc.a.example.org. TXT "v=DMARC1; p=none"
_dmarc.a.example.org. TXT "v=DMARC1; p=none; fo=1"
_dmarc.example.org. TXT "v=DMARC1; p=reject"`,
			"example.org", "example.org", "p", "reject", "reject"},
		{"other TXT records beside it", "example.org", `_dmarc.example.org. TXT "google-site-verification=1"
_dmarc.example.org. TXT "v=DMARC1; p=reject"`,
			"example.org", "example.org", "p", "reject", "reject"},
		{"CNAME", "example.org", `_dmarc.example.org. CNAME d.provider.test.
d.provider.test. TXT "v=DMARC1; p=reject"`,
			"example.org", "example.org", "p", "reject", "reject"},
		{"split in strings", "example.org", `_dmarc.example.org. TXT "v=DMA" "RC1; p=rej" "ect"`,
			"example.org", "example.org", "p", "reject", "reject"},
		// RFC 9989, section 4.10.2, the three examples.
		{"example 1", "a.mail.example.com", `_dmarc.mail.example.com. TXT "v=DMARC1; p=none"
_dmarc.example.com. TXT "v=DMARC1; p=reject"`,
			"example.com", "example.com", "p", "reject", "reject"},
		{"example 2", "a.mail.example.com", `_dmarc.mail.example.com. TXT "v=DMARC1; p=none; psd=n"
_dmarc.example.com. TXT "v=DMARC1; p=reject"`,
			"mail.example.com", "mail.example.com", "p", "none", "none"},
		{"example 3", "a.mail.example.com", `_dmarc.com. TXT "v=DMARC1; p=reject; psd=y"`,
			"com", "example.com", "p", "reject", "reject"},
		{"public suffix, but the organization has a record", "a.example.com", `_dmarc.com. TXT "v=DMARC1; p=reject; psd=y"
_dmarc.example.com. TXT "v=DMARC1; p=quarantine; sp=none"
a.example.com. A 192.0.2.1`,
			"example.com", "example.com", "sp", "none", "none"},
		{"the author domain is a public suffix", "gov.example", `_dmarc.gov.example. TXT "v=DMARC1; p=reject; psd=y"
_dmarc.example. TXT "v=DMARC1; p=none"`,
			"gov.example", "gov.example", "p", "reject", "reject"},
		{"np of a public suffix", "nobody.example.com", `_dmarc.com. TXT "v=DMARC1; p=none; np=reject; psd=y"`,
			"com", "example.com", "np", "reject", "reject"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := DMARC(context.Background(), zoneOf(t, test.zone), test.author)
			if err != nil {
				t.Fatal(err)
			}
			if p.Found != test.found || p.Organizational != test.organizational || p.Tag != test.tag || p.Policy != test.policy || p.Published != test.said {
				t.Errorf("got record of %q, organizational %q, %s=%s, in force %q", p.Found, p.Organizational, p.Tag, p.Published, p.Policy)
			}
		})
	}
}

// asked notes the names that are asked for.
type asked struct {
	dns.Source
	names *[]string
}

func (a asked) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	*a.names = append(*a.names, name)
	return a.Source.Lookup(ctx, name, qtype)
}

// The walks that RFC 9989 shows in sections 4.10 and 5.1.7, and shorter ones.
func TestTreeWalk(t *testing.T) {
	for domain, want := range map[string][]string{
		"a.b.c.d.e.f.g.h.i.j.mail.example.com": {"a.b.c.d.e.f.g.h.i.j.mail.example.com", "g.h.i.j.mail.example.com", "h.i.j.mail.example.com",
			"i.j.mail.example.com", "j.mail.example.com", "mail.example.com", "example.com", "com"},
		"mail.a.b.c.d.e.f.g.example.com": {"mail.a.b.c.d.e.f.g.example.com", "c.d.e.f.g.example.com", "d.e.f.g.example.com",
			"e.f.g.example.com", "f.g.example.com", "g.example.com", "example.com", "com"},
		"1.2.3.4.5.6.example.com": {"1.2.3.4.5.6.example.com", "2.3.4.5.6.example.com", "3.4.5.6.example.com", "4.5.6.example.com",
			"5.6.example.com", "6.example.com", "example.com", "com"},
		"example.com": {"example.com", "com"},
	} {
		for i := range want {
			want[i] = "_dmarc." + want[i]
		}
		var names []string
		if _, err := DMARC(context.Background(), asked{dns.NewZone(nil), &names}, domain); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: asked for %q, want %q", domain, names, want)
		}
	}
}

func TestAligned(t *testing.T) {
	zone := zoneOf(t, `_dmarc.example.org. TXT "v=DMARC1; p=none"
_dmarc.own.example.org. TXT "v=DMARC1; p=none; psd=n"
_dmarc.com. TXT "v=DMARC1; p=none; psd=y"`)
	for _, test := range []struct {
		author, authenticated string
		relaxed, strict       bool
	}{
		{"example.org", "example.org", true, true},
		{"example.org", "EXAMPLE.org.", true, true},
		{"example.org", "mail.example.org", true, false},
		{"a.example.org", "b.example.org", true, false},
		{"example.org", "own.example.org", false, false},
		{"own.example.org", "a.own.example.org", true, false},
		{"example.org", "notexample.org", false, false},
		{"example.org", "org", false, false},
		{"example.org", "", false, false},
		{"a.com", "b.a.com", true, false},
		{"a.com", "b.com", false, false},
		{"sub.norecord.test", "norecord.test", false, false}, // nothing says that they are one
	} {
		p, err := DMARC(context.Background(), zone, test.author)
		if err != nil {
			t.Fatal(err)
		}
		relaxed, err1 := p.Aligned(context.Background(), test.authenticated, false)
		strict, err2 := p.Aligned(context.Background(), test.authenticated, true)
		if err1 != nil || err2 != nil || relaxed != test.relaxed || strict != test.strict {
			t.Errorf("%s and %s: got %v and strict %v; %v %v", test.author, test.authenticated, relaxed, strict, err1, err2)
		}
	}
}

// A failure anywhere on the way is an error, never "no policy".
func TestDMARCFailures(t *testing.T) {
	zone := zoneOf(t, `_dmarc.example.org. TXT "v=DMARC1; p=none; np=reject"`)
	for _, name := range []string{"_dmarc.a.example.org", "_dmarc.example.org", "_dmarc.org", "a.example.org"} {
		for _, kind := range []dns.Kind{dns.Timeout, dns.ServFail, dns.Refused, dns.Unreachable, dns.Truncated, dns.Malformed, dns.Lame, dns.Loop} {
			_, err := DMARC(context.Background(), failing{zone, map[string]dns.Kind{name: kind}}, "a.example.org")
			var failed *dns.LookupError
			if !errors.As(err, &failed) || failed.Kind != kind {
				t.Errorf("%s of %s: got %v", kind, name, err)
			}
		}
	}
	p, err := DMARC(context.Background(), failing{zone, map[string]dns.Kind{"_dmarc.other.test": dns.Timeout}}, "example.org")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Aligned(context.Background(), "other.test", false); err == nil {
		t.Error("alignment needs a lookup that failed: got no error")
	}
}

// With a record of its own a domain has a policy, though who is related to it
// is not known.
func TestDMARCFailureAboveTheRecord(t *testing.T) {
	source := failing{zoneOf(t, `_dmarc.example.org. TXT "v=DMARC1; p=reject"`), map[string]dns.Kind{"_dmarc.org": dns.ServFail}}
	p, err := DMARC(context.Background(), source, "example.org")
	if err != nil || p.Policy != "reject" || p.Organizational != "" {
		t.Fatalf("got %+v, %v", p, err)
	}
	if aligned, err := p.Aligned(context.Background(), "example.org", false); err != nil || !aligned {
		t.Errorf("the domain itself: got %v, %v", aligned, err)
	}
	var failed *dns.LookupError
	if aligned, err := p.Aligned(context.Background(), "a.example.org", false); aligned || !errors.As(err, &failed) || failed.Kind != dns.ServFail {
		t.Errorf("one below: got %v, %v", aligned, err)
	}
	if aligned, err := p.Aligned(context.Background(), "a.example.org", true); aligned || err != nil {
		t.Errorf("one below, strict: got %v, %v", aligned, err)
	}
}

func TestZoneIsLikeTheDNS(t *testing.T) {
	zone := zoneOf(t, "a.b.test. CNAME c.test.\nc.test. TXT \"x\" \"y\"\nl.test. CNAME l.test.\n")
	answer, err := zone.Lookup(context.Background(), "A.b.test.", miekg.TypeTXT)
	if err != nil || len(answer.TXT()) != 1 || answer.TXT()[0].Text() != "xy" || answer.Owner() != "c.test" {
		t.Errorf("got %+v, %v", answer, err)
	}
	for name, nxdomain := range map[string]bool{"b.test": false, "c.test": false, "d.test": true} {
		if answer, err := zone.Lookup(context.Background(), name, miekg.TypeA); err != nil || answer.NXDomain != nxdomain || len(answer.Records) > 0 {
			t.Errorf("%s: got %+v, %v", name, answer, err)
		}
	}
	var failed *dns.LookupError
	if _, err := zone.Lookup(context.Background(), "l.test", miekg.TypeA); !errors.As(err, &failed) || failed.Kind != dns.Loop {
		t.Errorf("got %v, want a loop", err)
	}
}
