package check

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// states are the asks of a report, as code=met.
func states(r *Report) (all []string) {
	for _, ask := range r.Bulk.Asks {
		all = append(all, ask.Code+"="+string(ask.Met))
	}
	return all
}

func asks(r *Report) string {
	text, err := json.MarshalIndent(r.Bulk, "", " ")
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// What Gmail and Yahoo ask, for domains with something missing.
func TestBulk(t *testing.T) {
	t.Parallel()
	zones := map[string]string{
		"clean.test":    zoneText(t, "clean.test", nil, []string{"one A 192.0.2.99", "three A 192.0.2.3"}),
		"none.test":     zoneText(t, "none.test", []string{dmarc}, []string{`_dmarc TXT "v=DMARC1; p=none"`}),
		"nodmarc.test":  zoneText(t, "nodmarc.test", []string{dmarc}, nil),
		"nospf.test":    zoneText(t, "nospf.test", []string{spf}, nil),
		"nokey.test":    zoneText(t, "nokey.test", []string{key}, nil),
		"unsigned.test": zoneText(t, "unsigned.test", nil, nil),
		"locked.test":   zoneText(t, "locked.test", []string{mx, spf, key}, []string{"@ MX 0 .", `@ TXT "v=spf1 -all"`}),
	}
	resolver := serveZones(t, zones)
	keys := keysFor(t, map[string][]string{"clean.test": {"s1"}, "none.test": {"s1"}, "nodmarc.test": {"s1"}, "nospf.test": {"s1"}, "nokey.test": {"s1"}})
	sends := func(tls string) func(*Options) { return func(o *Options) { o.Sender.TLS = tls } }
	for _, test := range []struct {
		domain string
		change func(*Options)
		want   string // spf, dkim, dmarc, ptr, tls
		says   string
	}{
		{"clean.test", nil, "yes yes yes yes unknown", "have postconf -xh smtp_tls_security_level say may or more there"},
		{"clean.test", sends("may"), "yes yes yes yes yes", "Postfix sends over TLS (smtp_tls_security_level = may)"},
		{"clean.test", sends("dane"), "yes yes yes yes yes", ""},
		{"clean.test", sends("none"), "yes yes yes yes no", "set smtp_tls_security_level = may in main.cf"},
		{"none.test", nil, "yes yes yes yes unknown", ""},
		{"nodmarc.test", nil, "yes yes no yes unknown", "mail will not pass DMARC"},
		// One of them is enough for DMARC, and both are asked for.
		{"nospf.test", nil, "no yes yes yes unknown", "it does not pass for 2001:db8::1 (none)"},
		{"nokey.test", nil, "yes no yes yes unknown", "the key that signs is not published"},
		{"unsigned.test", nil, "yes no yes yes unknown", "no key signs its mail"},
		{"clean.test", func(o *Options) { o.Keys, o.KeysErr = nil, errNoKeys }, "yes unknown yes yes unknown", "the keys cannot be read"},
		{"clean.test", from("192.0.2.5", "192.0.2.1"), "no yes yes no unknown", "192.0.2.5 has no name that leads back to it"},
		{"clean.test", from("10.0.0.1"), "no yes yes unknown unknown", "no public sending address is known"},
		{"clean.test", func(o *Options) { o.MailFrom = "none.test" }, "yes yes yes yes unknown", ""},
	} {
		o := options(resolver, keys)
		if test.change != nil {
			test.change(&o)
		}
		report := Domain(t.Context(), o, test.domain)
		var want []string
		for i, met := range strings.Fields(test.want + " unknown") {
			want = append(want, []string{"spf", "dkim", "dmarc", "ptr", "tls", "unsubscribe"}[i]+"="+met)
		}
		if got := states(report); !slices.Equal(got, want) || !strings.Contains(asks(report), test.says) {
			t.Errorf("%s: got %q, want %q, %q\n%s", test.domain, got, want, test.says, asks(report))
		}
		for _, ask := range report.Bulk.Asks {
			if ask.Name == "" || ask.What == "" || (ask.Do == "") != (ask.Met == Yes) {
				t.Errorf("incomplete: %+v", ask)
			}
		}
	}
	if report := Domain(t.Context(), options(resolver, keysFor(t, nil)), "locked.test"); report.Bulk != nil {
		t.Errorf("a domain that sends nothing: %s", asks(report))
	}
}

// A message that goes to many: From, one-click unsubscribe and TLS.
func TestBulkMessage(t *testing.T) {
	t.Parallel()
	resolver, keys := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)}), cleanKeys(t)
	both := []string{"from", "list-unsubscribe", "list-unsubscribe-post"}
	signedBy := func(domain string, good Outcome, names ...string) Signature {
		return Signature{Domain: domain, Signed: names, Good: good, Why: "the body was changed"}
	}
	good := Message{File: "news.eml", From: "clean.test", Aligned: Yes,
		Client: netip.MustParseAddr("192.0.2.1"), With: "ESMTPS", TLS: true,
		Unsubscribe:     []string{" <mailto:leave@clean.test?subject=x>,\r\n <https://clean.test/\r\n u/1>"},
		UnsubscribePost: []string{" List-Unsubscribe=One-Click"},
		Signatures:      []Signature{signedBy("clean.test", Yes, both...)}}
	for _, test := range []struct {
		change func(*Message)
		want   string // tls, message-aligned, unsubscribe
		says   string
	}{
		{func(m *Message) {}, "yes yes yes", "news.eml has it, signed by clean.test"},
		{func(m *Message) { m.TLS, m.With = false, "ESMTP" }, "no yes yes", "came from 192.0.2.1 without TLS (with ESMTP)"},
		{func(m *Message) { m.TLS, m.With = false, "" }, "unknown yes yes", ""},
		{func(m *Message) { m.Client = netip.MustParseAddr("192.0.2.77") }, "unknown yes yes", ""}, // another host's
		{func(m *Message) { m.From = "crm.test" }, "yes unknown yes", "news.eml is from crm.test, not from clean.test"},
		{func(m *Message) { m.From = "" }, "yes no yes", "one author domain"},
		{func(m *Message) { m.Aligned = No }, "yes no yes", "nothing that is aligned with clean.test authenticates news.eml"},
		{func(m *Message) { m.Aligned = NotKnown }, "yes unknown yes", ""},
		{func(m *Message) { m.Unsubscribe, m.UnsubscribePost = nil, nil }, "yes yes no", "news.eml has no List-Unsubscribe field"},
		{func(m *Message) { m.Unsubscribe = nil }, "yes yes no", "no List-Unsubscribe\""},
		{func(m *Message) { m.Unsubscribe = append(m.Unsubscribe, m.Unsubscribe...) }, "yes yes no", "2 List-Unsubscribe fields"},
		{func(m *Message) { m.UnsubscribePost = nil }, "yes yes no", "it has no List-Unsubscribe-Post"},
		{func(m *Message) { m.UnsubscribePost = append(m.UnsubscribePost, m.UnsubscribePost...) }, "yes yes no", "2 List-Unsubscribe-Post fields"},
		{func(m *Message) { m.UnsubscribePost = []string{" One-Click"} }, "yes yes no", `is \"One-Click\", not List-Unsubscribe=One-Click`},
		{func(m *Message) { m.Unsubscribe = []string{"<mailto:leave@clean.test>"} }, "yes yes no", "no https: address in angle brackets"},
		{func(m *Message) { m.Unsubscribe = []string{"https://clean.test/u"} }, "yes yes no", "no https: address in angle brackets"},
		{func(m *Message) { m.Unsubscribe = []string{"<http://clean.test/u>"} }, "yes yes no", "has an http: address"},
		{func(m *Message) { m.Unsubscribe = []string{"<https://>"} }, "yes yes no", "no https: address"},
		{func(m *Message) { m.Unsubscribe = []string{"<https://a.test/u>, <https://b.test/u>"} }, "yes yes no", "several addresses on the web"},
		{func(m *Message) { m.Unsubscribe = []string{strings.Repeat("<", 100000)} }, "yes yes no", ""},
		{func(m *Message) { m.Signatures = []Signature{signedBy("clean.test", Yes, "from", "list-unsubscribe")} }, "yes yes no",
			"the signature of clean.test does not cover List-Unsubscribe-Post"},
		{func(m *Message) { m.Signatures = []Signature{signedBy("clean.test", Yes, "from")} }, "yes yes no",
			"does not cover List-Unsubscribe and List-Unsubscribe-Post"},
		{func(m *Message) { m.Signatures = []Signature{signedBy("clean.test", No, both...)} }, "yes yes no", "no signature is good: the body was changed"},
		{func(m *Message) { m.Signatures = []Signature{signedBy("clean.test", NotKnown, both...)} }, "yes yes unknown", ""},
		// Any good signature that covers both will do.
		{func(m *Message) {
			m.Signatures = []Signature{signedBy("clean.test", Yes, "from"), signedBy("esp.test", Yes, both...)}
		}, "yes yes yes", "signed by esp.test"},
		{func(m *Message) { m.Signatures, m.Aligned, m.Client = nil, No, netip.Addr{} }, "unknown unknown unknown", "is not signed yet"},
	} {
		message := good
		test.change(&message)
		o := options(resolver, keys)
		o.Sender.Message = &message
		report := Domain(t.Context(), o, "clean.test")
		var want []string
		for i, met := range strings.Fields(test.want) {
			want = append(want, []string{"tls", "message-aligned", "unsubscribe"}[i]+"="+met)
		}
		if got := states(report)[4:]; !slices.Equal(got, want) || !strings.Contains(asks(report), test.says) {
			t.Errorf("got %q, want %q, %q\n%s", got, want, test.says, asks(report))
		}
		if report.Passes != Yes || len(codes(report)) > 0 {
			t.Errorf("a message changes the rest: %s", told(report))
		}
	}
}

// How much is sent is told, and never more than is known.
func TestBulkVolume(t *testing.T) {
	t.Parallel()
	resolver, keys := serveZones(t, map[string]string{"clean.test": zoneText(t, "clean.test", nil, nil)}), cleanKeys(t)
	for _, test := range []struct {
		count uint64
		since time.Time
		err   error
		want  string
	}{
		{312, time.Time{}, nil, "signpostd signed 312 messages of clean.test in the last 24 hours, to all receivers together: fewer than"},
		{4999, time.Time{}, nil, "fewer than the 5,000"},
		{5000, time.Time{}, nil, "with 5,000 a day of them to Gmail, the domain is a bulk sender"},
		{7, time.Date(2026, 11, 29, 8, 0, 0, 0, time.UTC), nil, "signed 7 messages of clean.test since 2026-11-29 08:00 UTC, "},
		{0, time.Time{}, errors.New("nobody is there"), "how many messages were signed is not known: nobody is there"},
	} {
		o := options(resolver, keys)
		o.Sender.Signed = func(_ context.Context, domain string) (uint64, time.Time, error) {
			if domain != "clean.test" {
				t.Errorf("asked for %s", domain)
			}
			return test.count, test.since, test.err
		}
		report := Domain(t.Context(), o, "clean.test")
		if b := report.Bulk; !strings.Contains(b.Volume, test.want) || (b.Signed == nil) != (test.err != nil) || b.Signed != nil && *b.Signed != test.count {
			t.Errorf("want %q: %s", test.want, asks(report))
		}
	}
}
