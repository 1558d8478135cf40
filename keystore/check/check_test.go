package check

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

// fault is a zone with something wrong, and what must be found: no more, no less.
type fault struct {
	name     string // the zone is this, below "test"
	without  []string
	with     []string
	selector []string // of the keys in the directory; s1 when nil
	change   func(*Options)
	want     []string
	passes   Outcome // Yes when empty
	says     string  // somewhere in the report
}

func from(addrs ...string) func(*Options) {
	return func(o *Options) {
		o.From = nil
		for _, addr := range addrs {
			o.From = append(o.From, netip.MustParseAddr(addr))
		}
	}
}

func helo(name string) func(*Options) { return func(o *Options) { o.Helo = name } }

const (
	key   = "s1._domainkey"
	spf   = `@ TXT "v=spf1`
	mx    = "@ MX"
	dmarc = "_dmarc"
)

// faults has every finding that a zone alone can give.
func faults(t *testing.T) []fault {
	good := keyRecord(t, "s1")
	other := keyRecord(t, "e1")
	includes := func(n int) (terms string) {
		for i := range n {
			terms += " a:" + string(rune('a'+i)) + ".h.test"
		}
		return terms
	}
	return []fault{
		{name: "clean"},

		// Keys.
		{name: "dkim-missing", without: []string{key}, want: []string{"dkim-missing"}, says: "the name does not exist in the DNS"},
		{name: "dkim-nodata", without: []string{key}, with: []string{key + " A 192.0.2.1"}, want: []string{"dkim-missing"}, says: "exists, but has no TXT record"},
		{name: "dkim-doubled", without: []string{key}, with: []string{key + ".DOMAIN KEY"}, want: []string{"dkim-doubled-name"},
			says: "s1._domainkey.dkim-doubled.test.dkim-doubled.test: the name of the zone was added twice"},
		{name: "dkim-no-label", without: []string{key}, with: []string{"s1 KEY"}, want: []string{"dkim-misplaced"}, says: "at s1.dkim-no-label.test"},
		{name: "dkim-no-selector", without: []string{key}, with: []string{"_domainkey KEY"}, want: []string{"dkim-misplaced"}},
		{name: "dkim-no-underscore", without: []string{key}, with: []string{"s1.domainkey KEY"}, want: []string{"dkim-misplaced"}},
		{name: "dkim-at-apex", without: []string{key}, with: []string{"@ KEY"}, want: []string{"dkim-misplaced"}},
		{name: "dkim-wildcard", without: []string{key}, with: []string{`* TXT "hello"`}, want: []string{"dkim-wildcard"}},
		{name: "dkim-wildcard-good", without: []string{key}, with: []string{"*._domainkey KEY"}},
		{name: "dkim-alias", without: []string{key}, with: []string{key + " CNAME keys", "keys CNAME k2", "k2 KEY"}, want: []string{"dkim-cname"},
			says: "-> keys.dkim-alias.test -> k2.dkim-alias.test"},
		{name: "dkim-dangling", without: []string{key}, with: []string{key + " CNAME gone"}, want: []string{"dkim-cname", "dkim-cname-dangling"}, says: "an alias of gone.dkim-dangling.test"},
		{name: "dkim-circle", without: []string{key}, with: []string{key + " CNAME b", "b CNAME " + key}, want: []string{"dns-loop"}, says: "lead in a circle"},
		{name: "dkim-long-circle", without: []string{key}, with: []string{key + " CNAME b", "b CNAME c", "c CNAME b"}, want: []string{"dns-loop"}},
		{name: "dkim-other-key", without: []string{key}, with: []string{key + " " + text(other)}, want: []string{"dkim-different"}},
		{name: "dkim-several", with: []string{key + " " + text(other)}, want: []string{"dkim-several"}},
		{name: "dkim-revoked", without: []string{key}, with: []string{key + ` TXT "v=DKIM1; k=rsa; p="`}, want: []string{"dkim-revoked"}},
		{name: "dkim-testing", without: []string{key}, with: []string{key + " " + text("t=y; "+good)}, want: []string{"dkim-testing", "dkim-version-not-first"}},
		{name: "dkim-test-mode", without: []string{key}, with: []string{key + " " + text(good+"; t=y")}, want: []string{"dkim-testing"}},
		{name: "dkim-hash", without: []string{key}, with: []string{key + " " + text(strings.Replace(good, "h=sha256", "h=sha1", 1))}, want: []string{"dkim-wrong-hash"}},
		{name: "dkim-key-type", without: []string{key}, with: []string{key + " " + text(strings.Replace(good, "k=rsa", "k=ed25519", 1))}, want: []string{"dkim-wrong-key-type"}},
		{name: "dkim-service", without: []string{key}, with: []string{key + " " + text(strings.Replace(good, "s=email", "s=tlsrpt", 1))}, want: []string{"dkim-wrong-service"}},
		{name: "dkim-quoted", without: []string{key}, with: []string{key + " " + text(`"`+good+`"`)}, want: []string{"dkim-quoted"}},
		{name: "dkim-escaped", without: []string{key}, with: []string{key + " " + text(strings.ReplaceAll(good, ";", `\;`))}, want: []string{"dkim-escaped"}},
		{name: "dkim-parts-pasted", without: []string{key}, with: []string{key + " " + text(good[:150]+"\" \""+good[150:])}, want: []string{"dkim-split-pasted"}},
		{name: "dkim-space", without: []string{key}, with: []string{key + " " + text(good[:150]+" "+good[150:])}, want: []string{"dkim-key-space"}},
		{name: "dkim-order", without: []string{key}, with: []string{key + ` TXT "` + good[200:] + `" "` + good[:200] + `"`}, want: []string{"dkim-split-order"}},
		{name: "dkim-long", without: []string{key}, with: []string{key + " " + text(good+"; n="+strings.Repeat("long", 40))}, want: []string{"dkim-long"}},
		{name: "dkim-truncated", without: []string{key}, with: []string{key + " " + text(good[:255])}, want: []string{"dkim-truncated"}},
		{name: "dkim-is-spf", without: []string{key}, with: []string{key + ` TXT "v=spf1 mx -all"`}, want: []string{"dkim-other-record"}},
		{name: "dkim-unsigned", selector: []string{}, want: []string{"dkim-unsigned"}, says: "signpost keygen dkim-unsigned.test"},
		{name: "dkim-no-directory", change: func(o *Options) { o.Keys, o.KeysErr = nil, errNoKeys }, want: []string{"dkim-keys-unreadable"}},
		{name: "dkim-waits", selector: []string{"e1", "s1"}, want: []string{"dkim-missing"}, says: "warning dkim-missing: e1._domainkey.dkim-waits.test"},
		{name: "dkim-spare-missing", selector: []string{"e0", "e1", "s1"}, with: []string{"e1._domainkey " + text(other)}, want: []string{"dkim-missing"}, says: "warning dkim-missing: e0._domainkey.dkim-spare-missing.test"},
		{name: "dkim-both", selector: []string{"e1", "s1"}, with: []string{"e1._domainkey " + text(other)}},
		{name: "dkim-second-missing", selector: []string{"e1", "s1"}, want: []string{"dkim-missing"}},

		// SPF.
		{name: "spf-missing", without: []string{spf}, want: []string{"spf-missing"}},
		{name: "spf-doubled", without: []string{spf}, with: []string{`DOMAIN TXT "v=spf1 mx -all"`}, want: []string{"spf-doubled-name"}},
		{name: "spf-misplaced", without: []string{spf}, with: []string{`_spf TXT "v=spf1 mx -all"`}, want: []string{"spf-misplaced"}},
		{name: "spf-type", without: []string{spf}, with: []string{`@ TYPE99 \# 15 0e763d73706631206d78202d616c6c`}, want: []string{"spf-wrong-type"}},
		{name: "spf-several", with: []string{`@ TXT "v=spf1 a -all"`}, want: []string{"spf-permerror", "spf-several"}},
		{name: "spf-fail", without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.77 ip6:2001:db8::1 -all"`}, want: []string{"spf-fail"},
			says: "v=spf1 ip4:192.0.2.77 ip6:2001:db8::1 ip4:192.0.2.1 -all"},
		{name: "spf-softfail", without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.1 ~all"`}, want: []string{"spf-softfail"},
			says: "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 ~all"},
		{name: "spf-neutral", without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.77 ?all"`}, want: []string{"spf-neutral", "spf-neutral-all"}},
		{name: "spf-pass-all", without: []string{spf}, with: []string{`@ TXT "v=spf1 +all"`}, want: []string{"spf-pass-all"}},
		{name: "spf-ptr", without: []string{spf}, with: []string{`@ TXT "v=spf1 mx ptr -all"`}, want: []string{"spf-ptr"}},
		{name: "spf-invalid", without: []string{spf}, with: []string{`@ TXT "v=spf1 mx ipv4:192.0.2.1 -all"`}, want: []string{"spf-permerror", "spf-syntax"}},
		{name: "spf-lookups", without: []string{spf}, with: []string{`@ TXT "v=spf1` + includes(11) + ` -all"`}, want: []string{"spf-lookups"}},
		{name: "spf-lookups-nested", without: []string{spf}, with: []string{`@ TXT "v=spf1 include:one.DOMAIN include:two.DOMAIN -all"`,
			`one TXT "v=spf1` + includes(5) + ` -all"`, `two TXT "v=spf1` + includes(5) + ` -all"`}, want: []string{"spf-lookups"}, says: "have 12 terms"},
		{name: "spf-lookups-late", without: []string{spf}, with: []string{`@ TXT "v=spf1 mx` + includes(10) + ` -all"`}, want: []string{"spf-lookups"}},
		{name: "spf-void", without: []string{spf}, with: []string{`@ TXT "v=spf1 a:gone.DOMAIN mx -all"`}, want: []string{"spf-void"}},
		{name: "spf-void-many", without: []string{spf}, with: []string{`@ TXT "v=spf1 a:gone.DOMAIN a:lost.DOMAIN mx:away.DOMAIN mx -all"`},
			want: []string{"spf-void", "spf-void-lookups"}},
		// The addresses of an IPv4 host are nothing for an IPv6 client (RFC 7208, section 5).
		{name: "spf-void-family", without: []string{spf}, with: []string{`@ TXT "v=spf1 a:_four.h.test a:_four.h.test/31 a:_four.h.test/30 mx -all"`},
			want: []string{"spf-void-lookups"}, says: "for 2001:db8::1: more than 2 lookups"},
		{name: "spf-loop", without: []string{spf}, with: []string{`@ TXT "v=spf1 include:one.DOMAIN mx -all"`, `one TXT "v=spf1 include:DOMAIN -all"`},
			want: []string{"spf-include-loop", "spf-lookups"}, says: "spf-loop.test -> one.spf-loop.test"},
		{name: "spf-self", without: []string{spf}, with: []string{`@ TXT "v=spf1 mx redirect=DOMAIN"`}, want: []string{"spf-include-loop"}},
		{name: "spf-include-gone", without: []string{spf}, with: []string{`@ TXT "v=spf1 include:gone.DOMAIN mx -all"`},
			want: []string{"spf-include-missing", "spf-permerror"}, says: "gone.spf-include-gone.test: it has no SPF record"},
		{name: "spf-include-two", without: []string{spf}, with: []string{`@ TXT "v=spf1 include:two.DOMAIN mx -all"`, `two TXT "v=spf1 a -all"`, `two TXT "v=spf1 mx -all"`},
			want: []string{"spf-include-several", "spf-permerror"}},
		{name: "spf-include-broken", without: []string{spf}, with: []string{`@ TXT "v=spf1 include:one.DOMAIN mx -all"`, `one TXT "v=spf1 include:two.DOMAIN -all"`, `two TXT "v=spf1 ip4:300.0.0.1 -all"`},
			want: []string{"spf-include-invalid", "spf-permerror"}, says: "-> one.spf-include-broken.test -> two.spf-include-broken.test"},

		// DMARC.
		{name: "dmarc-missing", without: []string{dmarc}, want: []string{"dmarc-missing"}, passes: No, says: "no valid DMARC policy"},
		{name: "dmarc-doubled", without: []string{dmarc}, with: []string{`_dmarc.DOMAIN TXT "v=DMARC1; p=reject"`}, want: []string{"dmarc-doubled-name"}, passes: No},
		{name: "dmarc-misplaced", without: []string{dmarc}, with: []string{`@ TXT "v=DMARC1; p=reject"`}, want: []string{"dmarc-misplaced"}, passes: No},
		{name: "dmarc-several", with: []string{`_dmarc TXT "v=DMARC1; p=none; rua=mailto:a@DOMAIN"`}, want: []string{"dmarc-several"}, passes: No},
		{name: "dmarc-removed", without: []string{dmarc}, with: []string{`_dmarc TXT "v=DMARC1; p=reject; rua=mailto:a@DOMAIN; pct=50; ri=3600"`}, want: []string{"dmarc-removed-tag"}},
		{name: "dmarc-none", without: []string{dmarc}, with: []string{`_dmarc TXT "v=DMARC1; p=none; rua=mailto:a@DOMAIN"`}, want: []string{"dmarc-monitoring"}},
		{name: "dmarc-test-mode", without: []string{dmarc}, with: []string{`_dmarc TXT "v=DMARC1; p=reject; t=y; rua=mailto:a@DOMAIN"`}, want: []string{"dmarc-testing"},
			says: "the DMARC policy is quarantine, by p= of the record at _dmarc.dmarc-test-mode.test, which says reject"},
		{name: "dmarc-external", without: []string{dmarc}, with: []string{`_dmarc TXT "v=DMARC1; p=reject; rua=mailto:a@clean.test"`}, want: []string{"dmarc-report-unauthorised"},
			says: "publish this TXT record at dmarc-external.test._report._dmarc.clean.test, in one line and without quotes:\n\t\tv=DMARC1"},
		{name: "dmarc-external-good", without: []string{dmarc}, with: []string{`_dmarc TXT "v=DMARC1; p=reject; rua=mailto:a@takes.test"`}},
		{name: "dmarc-reports-lost", without: []string{dmarc}, with: []string{`_dmarc TXT "v=DMARC1; p=reject; rua=mailto:a@none.DOMAIN"`}, want: []string{"dmarc-report-no-mx"}},
		{name: "dmarc-mail-from", change: func(o *Options) { o.MailFrom = "clean.test" }, want: []string{"dmarc-spf-unaligned"}},
		{name: "dmarc-mail-from-below", with: []string{`bounce TXT "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"`},
			change: func(o *Options) { o.MailFrom = "bounce.dmarc-mail-from-below.test" }},
		{name: "dmarc-strict-spf", without: []string{dmarc}, with: []string{`bounce TXT "v=spf1 ip4:192.0.2.1 ip6:2001:db8::1 -all"`, `_dmarc TXT "v=DMARC1; p=reject; aspf=s; rua=mailto:a@DOMAIN"`},
			change: func(o *Options) { o.MailFrom = "bounce.dmarc-strict-spf.test" }, want: []string{"dmarc-spf-unaligned"}},
		{name: "spf-elsewhere-only", without: []string{key}, change: func(o *Options) { o.MailFrom = "clean.test" }, want: []string{"dkim-missing", "dmarc-spf-unaligned"}, passes: No,
			says: "and SPF passes for clean.test, which is not aligned"},
		{name: "nothing-passes", without: []string{key, spf}, want: []string{"dkim-missing", "spf-missing"}, passes: No,
			says: "will not pass DMARC because its signature does not verify (s1._domainkey.nothing-passes.test: the name does not exist in the DNS), and SPF does not pass for 192.0.2.1 (none); receivers are told to refuse it (p=reject)"},

		// Where mail goes, and from where it comes.
		{name: "mx-missing", without: []string{mx, spf}, with: []string{`@ TXT "v=spf1 a:mail.DOMAIN -all"`}, want: []string{"dmarc-report-no-mx", "mx-missing"}},
		{name: "mx-implicit", without: []string{mx, spf}, with: []string{"@ A 192.0.2.1", `@ TXT "v=spf1 a:mail.DOMAIN -all"`}, want: []string{"mx-implicit"}},
		{name: "mx-null", without: []string{mx, spf}, with: []string{"@ MX 0 .", `@ TXT "v=spf1 a:mail.DOMAIN -all"`}, want: []string{"dmarc-report-no-mx", "mx-null"}},
		{name: "mx-null-too", with: []string{"@ MX 20 ."}, want: []string{"mx-null-several"}},
		{name: "mx-address", with: []string{"@ MX 20 192.0.2.1."}, want: []string{"mx-address"}},
		{name: "mx-alias", with: []string{"@ MX 20 mx2", "mx2 CNAME mail"}, want: []string{"mx-cname"}},
		{name: "mx-unresolved", with: []string{"@ MX 20 gone"}, want: []string{"mx-unresolved"}},
		{name: "mx-private", with: []string{"@ MX 20 inside", "inside A 10.1.2.3"}, want: []string{"mx-private"}},
		{name: "from-mx", change: from(), says: "the addresses of the MX"},
		{name: "from-nobody", without: []string{mx, spf}, with: []string{"@ MX 10 gone", `@ TXT "v=spf1 a:mail.DOMAIN -all"`}, change: from(), want: []string{"host-no-address", "mx-unresolved"}},
		{name: "ptr-missing", change: from("192.0.2.2"), without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.0/24 -all"`}, want: []string{"helo-mismatch", "ptr-missing"},
			says: "2.2.0.192.in-addr.arpa"},
		{name: "ptr-missing-ipv6", change: from("2001:db8::2"), without: []string{spf}, with: []string{`@ TXT "v=spf1 ip6:2001:db8::/64 -all"`}, want: []string{"helo-mismatch", "ptr-missing"}},
		{name: "ptr-several", change: from("192.0.2.3"), without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.0/24 -all"`}, want: []string{"helo-mismatch", "ptr-several"}},
		{name: "ptr-elsewhere", change: from("192.0.2.4"), without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.0/24 -all"`}, want: []string{"helo-mismatch", "ptr-unconfirmed"},
			says: "publish an A record at mail.clean.test: 192.0.2.4"},
		{name: "ptr-nowhere", change: from("192.0.2.5"), without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:192.0.2.0/24 -all"`}, want: []string{"helo-mismatch", "ptr-unconfirmed"},
			says: "which has no address"},
		{name: "ptr-private", change: from("10.1.2.3"), without: []string{spf}, with: []string{`@ TXT "v=spf1 ip4:10.1.2.3 -all"`}, want: []string{"ptr-private", "spf-private"}},
		{name: "helo-unknown", change: helo(""), want: []string{"helo-unknown"}},
		{name: "helo-address", change: helo("[192.0.2.1]"), want: []string{"helo-address"}},
		{name: "helo-short", change: helo("localhost"), want: []string{"helo-not-fqdn"}},
		{name: "helo-local", change: helo("mail.localdomain"), want: []string{"helo-not-fqdn"}},
		{name: "helo-unresolved", change: helo("gone.clean.test"), want: []string{"helo-unresolved"}},
		{name: "helo-spf-missing", without: []string{"mail TXT"}, change: helo("Mail.helo-spf-missing.test"), want: []string{"helo-spf-missing"},
			says: "at mail.helo-spf-missing.test, in one line and without quotes:\n\t\tv=spf1 a -all"},
		{name: "helo-spf-fail", without: []string{"mail TXT"}, with: []string{`mail TXT "v=spf1 ip4:192.0.2.1 -all"`}, change: helo("mail.helo-spf-fail.test"),
			want: []string{"helo-spf-fail"}, says: "warning helo-spf-fail: mail.helo-spf-fail.test: SPF says fail for bounces from 2001:db8::1, by all"},
		{name: "helo-spf-error", without: []string{"mail TXT"}, with: []string{`mail TXT "v=spf1 ip4:x -all"`}, change: helo("mail.helo-spf-error.test"), want: []string{"helo-spf-permerror"}},
		{name: "helo-spf-good", change: helo("mail.helo-spf-good.test."), says: "good: mail.helo-spf-good.test: SPF passes for bounces"},
		{name: "helo-is-sender", change: helo("helo-is-sender.test"), with: []string{"@ A 192.0.2.1", "@ AAAA 2001:db8::1"}},
		{name: "helo-mismatch", change: helo("one.clean.test"), want: []string{"helo-mismatch"}},

		{name: "large", with: []string{"@ " + text(strings.Repeat("verification=", 110))}, want: []string{"dns-large"}},
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	all := faults(t)
	zones := map[string]string{
		"h.test":     "@ SOA ns1 root 1 7200 900 1209600 60\n@ NS ns1\n* A 192.0.2.99\n* AAAA 2001:db8::99\n_four A 192.0.2.99\n",
		"takes.test": zoneText(t, "takes.test", nil, []string{`dmarc-external-good.test._report._dmarc TXT "v=DMARC1;"`}),
	}
	keys := make(map[string][]string)
	for _, f := range all {
		domain := f.name + ".test"
		with := f.with
		if f.name == "clean" {
			with = []string{"one A 192.0.2.99", "three A 192.0.2.3"}
		}
		zones[domain] = zoneText(t, domain, f.without, with)
		if keys[domain] = f.selector; f.selector == nil {
			keys[domain] = []string{"s1"}
		}
	}
	resolver, loaded := serveZones(t, zones), keysFor(t, keys)
	for _, f := range all {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			o := options(resolver, loaded)
			if f.change != nil {
				f.change(&o)
			}
			report := Domain(t.Context(), o, f.name+".test")
			if got := codes(report); !slices.Equal(got, f.want) {
				t.Errorf("got %q, want %q", got, f.want)
			}
			if want := f.passes; report.Passes != want && (want != "" || report.Passes != Yes) {
				t.Errorf("passes: %s, want %s", report.Passes, want)
			}
			if !strings.Contains(told(report), f.says) {
				t.Errorf("does not say %q", f.says)
			}
			for _, f := range report.Findings {
				if f.What == "" || f.Name == "" || f.Level != finding.Note && (f.Effect == "" || f.Advice() == "") {
					t.Errorf("incomplete: %+v", f)
				}
			}
			if t.Failed() {
				t.Log(told(report))
			}
		})
	}
}

var errNoKeys = errors.New("reading the key directory /keys: no such file or directory")
