package tally

import (
	"fmt"
	"net/netip"
)

func stories() []story {
	return append(append(storiesOfSenders(), storiesOfKeys()...), storiesOfReports()...)
}

func hosts(prefixes ...string) func(*Question) {
	return func(q *Question) {
		for _, p := range prefixes {
			q.Own = append(q.Own, netip.MustParsePrefix(p))
		}
		q.OwnIs = "given"
	}
}

func published(record string) func(*Question) { return func(q *Question) { q.Published = record } }

func notMine(names ...string) func(*Question) { return func(q *Question) { q.Ignore = names } }

// names is the PTR records of the stories.
func names(q *Question) {
	q.Name = func(a netip.Addr) string {
		return map[string]string{"198.51.100.20": "mail.crm.example", "198.51.100.80": "www.example.org.",
			"198.51.100.90": "www.hoster.example"}[a.String()]
	}
}

func storiesOfSenders() []story {
	crm := mail("198.51.100.20", 1, other("crm.example", "k", "pass"), through("crm.example"))
	return []story{
		{"all is well", (*post).good, nil, Safe,
			"p=quarantine is safe for example.org: 1,680 messages of 28 days from 4 reporters, 0 failed, none from your hosts", Safe},
		{"only forwarders besides", func(p *post) {
			p.good()
			p.every(28, 3, mail("198.51.100.7", 2, dkim("example.org", "s1")))
		}, nil, Safe, "1,848 messages", Safe},
		{"a forwarder that rewrites the envelope (SRS)", func(p *post) {
			p.good()
			p.every(28, 3, mail("198.51.100.7", 2, dkim("example.org", "s1"), through("forwarder.example")))
			p.every(10, 1, mail("198.51.100.7", 1, other("example.org", "s1", "fail"), through("forwarder.example")))
		}, nil, Safe, "note: 10 messages of 198.51.100.7 have a broken signature, as those that came by a mailing list", Safe},
		{"a list that no receiver knows for one, or a host of ours that breaks signatures", func(p *post) {
			p.good()
			p.every(10, 3, mail("198.51.100.7", 2, other("example.org", "s1", "fail"), through("www.hoster.example")))
		}, nil, NotYet, "60 messages of 198.51.100.7 have a signature of example.org that fails, as those that a mailing list", Safe},
		{"a forwarder of what was forged, too", func(p *post) {
			p.good()
			p.every(28, 3, mail("198.51.100.7", 2, dkim("example.org", "s1"), through("forwarder.example")),
				mail("198.51.100.7", 1, through("forwarder.example")))
		}, nil, NotYet, "84 messages of 198.51.100.7 came unsigned by a forwarder (forwarder.example): find out who sends them", Safe},
		{"the same, a little", func(p *post) {
			p.good()
			p.every(28, 3, mail("198.51.100.7", 2, dkim("example.org", "s1"), through("forwarder.example")))
			p.every(5, 3, mail("198.51.100.7", 1, through("forwarder.example")))
		}, nil, Safe, "note: 15 messages of 198.51.100.7 came unsigned by forwarders", Safe},
		{"a mailing list that adds a footer", func(p *post) {
			p.good()
			p.every(28, 2, mail("198.51.100.30", 3, other("example.org", "s1", "fail"), through("lists.example"), reason("mailing_list")))
		}, nil, Safe, "168 messages of 198.51.100.30 came by mailing lists", Safe},
		{"a mailing list, and reject is next", func(p *post) {
			p.policy.P = "quarantine"
			p.good()
			p.every(28, 2, mail("198.51.100.30", 3, other("example.org", "s1", "fail"), through("lists.example"), reason("mailing_list")))
		}, nil, NotYet, "if your mail comes that way, stay with p=quarantine", Safe},
		{"one CRM that is not aligned", func(p *post) {
			p.good()
			p.every(21, 3, crm)
		}, names, NotYet, "not yet: 63 messages of 198.51.100.20 (mail.crm.example) are signed with d=crm.example, unaligned: " +
			"set up DKIM for example.org there", Safe},
		{"a CRM that sends once a month", func(p *post) {
			p.good()
			for _, reporter := range receivers[:3] {
				p.on(9, reporter, mail("198.51.100.20", 20, other("crm.example", "k", "pass"), through("crm.example")))
			}
		}, nil, NotYet, "60 messages of 198.51.100.20 are signed with d=crm.example", Safe},
		{"a CRM whose report has no raw SPF, as rspamd writes it, and no signature", func(p *post) {
			p.good()
			p.every(12, 3, mail("198.51.100.20", 1))
		}, nil, NotYet, "on 12 days, are not authenticated at all", NotYet},
		{"a CRM whose key was taken out of the DNS", func(p *post) {
			p.good()
			p.every(14, 3, mail("198.51.100.20", 1, other("example.org", "crm1", "permerror"), through("crm.example")))
		}, nil, NotYet, "the key crm1 of example.org passes nowhere: publish the record of that key", NotYet},
		{"a CRM with a domain for each message", func(p *post) {
			p.good()
			for i := range 60 {
				p.on(1+i%20, receivers[i%3], mail("198.51.100.20", 1, through(fmt.Sprintf("m%d.bounce.crm.example", i))))
			}
		}, nil, NotYet, "60 messages of 198.51.100.20 pass SPF as m0.bounce.crm.example, unaligned", Safe},
		{"a small invoice service", func(p *post) {
			p.every(20, 3, own(5))
			p.every(5, 1, mail("198.51.100.20", 1, through("invoice.example")))
		}, nil, NotYet, "as only google.com says", Safe},
		{"a newsletter once a month from a host that signs nothing", func(p *post) {
			p.good()
			for _, reporter := range receivers[:3] {
				p.on(9, reporter, mail("198.51.100.80", 90))
			}
		}, nil, NotYet, "270 messages of 198.51.100.80, on 1 day, are not authenticated at all", NotYet},
		{"a small CRM whose key was taken out of the DNS", func(p *post) {
			p.good()
			p.every(5, 3, mail("198.51.100.20", 1, other("example.org", "crm1", "permerror"), through("crm.example")))
		}, nil, NotYet, "the key crm1 of example.org passes nowhere", Safe},
		{"the CRM is not ours", func(p *post) {
			p.good()
			p.every(21, 3, crm)
		}, notMine("crm.example"), Safe, "63 failed, none from your hosts", Safe},
		{"only forgery besides", func(p *post) {
			p.good()
			forgery(p, 800)
		}, nil, Safe, "1,600 failed, none from your hosts", Safe},
		{"a forger with a domain, once", func(p *post) {
			p.good()
			p.on(5, "google.com", mail("203.0.113.5", 8, other("evil.example", "x", "pass"), through("evil.example")))
		}, nil, Safe, "too few to be a service of yours", Safe},
		{"an own web server, unsigned, not in SPF", func(p *post) {
			p.good()
			p.every(12, 2, mail("198.51.100.80", 1))
		}, nil, NotYet, "24 messages of 198.51.100.80, on 12 days, are not authenticated at all: find out who sends there", NotYet},
		{"the same, seen by one receiver", func(p *post) {
			p.good()
			p.every(20, 1, mail("198.51.100.80", 1))
		}, nil, NotYet, "as only google.com says", NotYet},
		{"the same by its name, and only five messages", func(p *post) {
			p.good()
			p.every(5, 1, mail("198.51.100.80", 1))
		}, names, NotYet, "5 messages of 198.51.100.80 (www.example.org), your host, are not signed", NotYet},
		{"the same by its address, and a receiver takes it for a mailing list", func(p *post) {
			p.good()
			p.every(5, 1, mail("198.51.100.80", 1, reason("mailing_list")))
		}, hosts("192.0.2.0/24", "198.51.100.80/32"), NotYet, "5 messages of 198.51.100.80, your host, are not signed", NotYet},
		{"the same by its address, with what others forge on top", func(p *post) {
			p.good()
			forgery(p, 1000)
			p.every(5, 1, mail("198.51.100.80", 1))
		}, hosts("192.0.2.0/24", "198.51.100.80/32"), NotYet, "5 messages of 198.51.100.80, your host", NotYet},
		{"the own server is tiny beside forgery", func(p *post) {
			p.every(28, 4, own(1))
			forgery(p, 2500)
			p.every(4, 2, mail("198.51.100.80", 1))
		}, nil, NotYet, "8 messages of 198.51.100.80", NotYet},
		{"a domain of which only forgers send", func(p *post) { forgery(p, 1000) }, nil, CannotSay,
			"no message passed", CannotSay},
		{"own bounces without a sender", func(p *post) {
			p.good()
			p.every(6, 1, mail("192.0.2.10", 1, emptySender))
		}, nil, NotYet, "empty envelope sender and no signature, as bounces, as only google.com says: let Postfix sign bounces", NotYet},
		{"IPv6, from one network", func(p *post) {
			p.every(28, 4, mail("2001:db8:1::25", 15, dkim("example.org", "s1"), spf))
			p.every(12, 2, mail("2001:db8:2:1::80", 1), mail("2001:db8:2:2::80", 1))
		}, nil, NotYet, "[2001:db8:2::/48]", NotYet},
		{"strict alignment", func(p *post) {
			p.policy.ADKIM, p.policy.ASPF = "s", "s"
			p.good()
			p.every(3, 2, mail("192.0.2.10", 1, from("news.example.org"), other("example.org", "s1", "pass")))
		}, nil, NotYet, "passed for example.org and yet failed: sign with the very domain", Safe},
		{"strict alignment, and a host that nobody knows", func(p *post) {
			p.good()
			p.on(3, "Yahoo", mail("198.51.100.99", 2, from("news.example.org"), other("example.org", "s1", "pass")))
		}, nil, NotYet, "2 messages of 198.51.100.99", Safe},
	}
}

func storiesOfKeys() []story {
	keys := func(keys ...Key) func(*Question) {
		return func(q *Question) { q.Keys, q.KeysKnown = keys, true }
	}
	s1 := Key{"example.org", "s1", "active", true}
	return []story{
		{"half of a rotation: the new key is not published", func(p *post) {
			p.good()
			p.every(6, 3, mail("192.0.2.11", 2, dkim("example.org", "s1")),
				mail("192.0.2.11", 2, other("example.org", "s2", "permerror")))
		}, hosts("192.0.2.0/24"), NotYet, "36 messages of 192.0.2.11, your host, failed: the key s2 passes nowhere: publish its record", NotYet},
		{"the same at a host that only DKIM shows to be ours", func(p *post) {
			p.every(28, 4, mail("192.0.2.11", 5, dkim("example.org", "s1")))
			p.every(3, 1, mail("192.0.2.11", 1, other("example.org", "s2", "permerror")))
		}, nil, NotYet, "3 messages of 192.0.2.11, which sends for example.org", NotYet},
		{"the same, and SPF saves it", func(p *post) {
			p.good()
			p.every(6, 3, mail("192.0.2.10", 2, other("example.org", "s2", "permerror"), spf))
		}, nil, NotYet, "are signed with the key s2, which passes nowhere; only SPF lets them pass", NotYet},
		{"a key at hand that signs and never passes, on a host nobody knows", func(p *post) {
			p.good()
			p.every(2, 1, mail("198.51.100.44", 1, other("example.org", "s2", "permerror")))
		}, keys(s1, Key{"example.org", "s2", "active", true}), NotYet, "the key s2 passes nowhere", NotYet},
		{"a content filter breaks signatures of an own host", func(p *post) {
			p.good()
			for _, reporter := range receivers[:3] {
				p.on(12, reporter, mail("192.0.2.10", 3, other("example.org", "s1", "fail")))
			}
		}, nil, NotYet, "the key s1 does not verify: find out what changes its messages after signing", NotYet},
		{"rotated yesterday", (*post).good, keys(Key{"example.org", "s1", "retiring", false}, Key{"example.org", "s2", "active", true}),
			CannotSay, "no report has seen the key s2 pass", CannotSay},
		{"a host of the domain breaks its mail, and receivers take that for forwarding", func(p *post) {
			p.good()
			p.every(20, 3, mail("192.0.2.10", 3, reason("forwarded")))
		}, nil, NotYet, "180 messages of 192.0.2.10 failed, as receivers say because they were forwarded", NotYet},
		{"a few messages that a host of the domain forwards", func(p *post) {
			p.good()
			p.every(5, 1, mail("192.0.2.10", 2, reason("forwarded")))
		}, nil, Safe, "10 messages of 192.0.2.10 came by mailing lists", Safe},
		{"rotated, and the old key is not at hand", (*post).good, keys(Key{"example.org", "s2", "active", true}),
			CannotSay, "no report has seen the key s2 pass", CannotSay},
		{"a key of RSA and one of Ed25519 that half of the receivers do not know", func(p *post) {
			p.every(28, 4, mail("192.0.2.10", 5, dkim("example.org", "s1"), other("example.org", "ed1", "permerror"), spf))
		}, keys(s1, Key{"example.org", "ed1", "active", true}), Safe, "0 failed", Safe},
		{"a key that is not ours signs and passes", func(p *post) {
			p.good()
			p.every(20, 3, mail("198.51.100.60", 1, dkim("example.org", "sneaky")))
		}, keys(s1), Safe, "0 failed", Safe},
		{"a subdomain with a policy of its own, signed for the domain above", func(p *post) {
			p.domain = "sub.example.org"
			p.every(28, 4, mail("192.0.2.10", 5, dkim("example.org", "s1"), from("sub.example.org")))
			p.every(9, 2, mail("192.0.2.10", 1, other("example.org", "s1", "fail"), from("sub.example.org")))
		}, nil, NotYet, "18 messages of 192.0.2.10, which sends for sub.example.org, failed: the key s1 does not verify", NotYet},
		{"a hostile reporter says that the dead key passed", func(p *post) {
			p.good()
			p.every(6, 3, mail("192.0.2.10", 2, other("example.org", "s2", "permerror"), spf))
			p.on(2, "evil.example", mail("192.0.2.10", 9, dkim("example.org", "s2"), spf))
		}, nil, NotYet, "are signed with the key s2, which passes nowhere", NotYet},
	}
}

func storiesOfReports() []story {
	return []story{
		{"a new domain without reports", func(p *post) {}, nil, CannotSay, "cannot say whether p=quarantine is safe for example.org: no reports", CannotSay},
		{"reports of last year", func(p *post) { p.on(400, "google.com", own(1000)) }, nil, CannotSay,
			"no reports of the last 30 days; the last one is of 25 October 2025", CannotSay},
		{"reports of nothing", func(p *post) { p.every(20, 3) }, nil, CannotSay, "the reports tell of no messages", CannotSay},
		{"reports of the future", func(p *post) { p.on(-40, "google.com", own(1000)) }, nil, CannotSay, "no reports", CannotSay},
		{"13 days", func(p *post) { p.every(13, 4, own(15)) }, nil, CannotSay, "only 13 days with messages that passed (14 are asked for)", CannotSay},
		{"14 days", func(p *post) { p.every(14, 4, own(15)) }, nil, Safe, "840 messages of 14 days", Safe},
		{"99 messages", func(p *post) {
			p.every(14, 3, own(2))
			p.on(15, "google.com", own(15))
		}, nil, CannotSay, "only 99 messages passed (100 are asked for)", CannotSay},
		{"one reporter only", func(p *post) { p.every(28, 1, own(50)) }, nil, CannotSay, "only 1 reporter tells", CannotSay},
		{"one reporter under three names", func(p *post) {
			for ago := 1; ago <= 28; ago++ {
				for _, name := range []string{"Example", "Example, Inc.", "Example Outlook"} {
					p.on(ago, name, own(9))
				}
			}
			for _, r := range p.reports {
				r.Email = "dmarc@mail.example"
			}
		}, nil, CannotSay, "only 1 reporter tells", CannotSay},
		{"one reporter counts thousands, two tell of three messages", func(p *post) {
			p.every(28, 1, own(5000))
			p.on(3, "Yahoo", own(2))
			p.on(4, "mail.example", own(1))
		}, nil, CannotSay, "of one reporter or one day", CannotSay},
		{"a hostile reporter drowns what others tell", func(p *post) {
			p.good()
			p.every(12, 2, mail("198.51.100.80", 2))
			p.on(2, "evil.example", mail("192.0.2.10", 900_000, dkim("example.org", "s1"), spf))
		}, nil, NotYet, "48 messages of 198.51.100.80", NotYet},
		{"a hostile reporter says that it was all forwarded", func(p *post) {
			p.good()
			p.every(12, 2, mail("198.51.100.80", 2))
			p.on(2, "evil.example", mail("198.51.100.80", 9000, reason("forwarded"), dkim("example.org", "s1")),
				mail("198.51.100.80", 9000, reason("forwarded"), other("example.org", "s1", "fail")))
		}, nil, NotYet, "198.51.100.80", NotYet},
		{"one day with a spike", func(p *post) {
			p.every(13, 3, mail("192.0.2.10", 1, dkim("example.org", "s1"), spf))
			for _, reporter := range receivers[:3] {
				p.on(14, reporter, own(5000))
			}
		}, nil, CannotSay, "of one reporter or one day", CannotSay},
		{"every report came twice", func(p *post) {
			p.every(14, 3, own(1))
			for name, r := range p.reports {
				p.reports[name+" again"] = r
				p.order = append(p.order, name)
			}
		}, nil, CannotSay, "only 42 messages passed", CannotSay},
		{"too few days, and a clear reason", func(p *post) {
			p.every(5, 3, own(15), mail("198.51.100.80", 4))
		}, nil, NotYet, "60 messages of 198.51.100.80", NotYet},
		{"a subdomain with sp=none fails", func(p *post) {
			p.good()
			p.every(20, 3, mail("192.0.2.10", 1, from("old.example.org")))
		}, published("v=DMARC1; p=none; sp=none; rua=mailto:d@example.org"), Safe,
			"record: v=DMARC1; p=quarantine; sp=none; rua=mailto:d@example.org", Safe},
		{"the same where the DNS does not say that sp=none is meant", func(p *post) {
			p.policy.SP = "none"
			p.policy.P = "quarantine"
			p.good()
			p.every(20, 3, mail("192.0.2.10", 1, from("old.example.org")))
		}, nil, NotYet, "60 messages of 192.0.2.10, your host", NotYet},
		{"np=reject, and a subdomain that may not exist", func(p *post) {
			p.good()
			p.on(3, "Yahoo", mail("203.0.113.4", 7, from("nothing.example.org")))
		}, published("v=DMARC1; p=quarantine; np=reject; rua=mailto:d@example.org"), Safe,
			"7 messages of subdomains that may not exist: np= applies if they do not", Safe},
		{"quarantine with t=y", (*post).good, published("v=DMARC1; p=quarantine; t=y; rua=mailto:d@example.org; x=1"), Safe,
			"record: v=DMARC1; p=quarantine; rua=mailto:d@example.org; x=1", Safe},
		{"pct=25", (*post).good, published("v=DMARC1; p=quarantine; pct=25; rua=mailto:d@example.org"), Safe,
			"record: v=DMARC1; p=quarantine; rua=mailto:d@example.org", Safe},
		{"quarantine", (*post).good, published("v=DMARC1; p=quarantine; adkim=s"), Safe,
			"p=reject is safe for example.org", Safe},
		{"reject already", (*post).good, published("v=DMARC1; p=reject"), Safe, "p=reject stays safe for example.org", Safe},
		{"reject already, and a service is hit", func(p *post) {
			p.good()
			p.every(21, 3, mail("198.51.100.20", 1, other("crm.example", "k", "pass"), through("crm.example")))
		}, published("v=DMARC1; p=reject"), NotYet, "p=reject of example.org hits mail of yours: 63 messages", Safe},
		{"nine failures of own hosts are allowed", func(p *post) {
			p.good()
			p.every(9, 1, mail("192.0.2.10", 1))
		}, func(q *Question) { q.Thresholds = Thresholds{14, 3, 100, 9} }, Safe, "9 failed, 9 from your hosts", Safe},
	}
}
