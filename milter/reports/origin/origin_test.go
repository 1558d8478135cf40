package origin

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
	"signpost/keystore/report"
	"signpost/milter/dkim"
	"signpost/test/lab/nameserver"
)

var sent = time.Date(2026, 11, 29, 4, 0, 0, 0, time.UTC)

func key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)) }

const body = "A report.\r\n\r\nH4sIAAAA\r\n"

const received = "Received: from out.google.com (out.google.com [192.0.2.1]) by mx.example.org with ESMTPS;\r\n" +
	"\tSun, 29 Nov 2026 04:00:02 +0000\r\n"

// signed is a report mail from an address, with the signature of a domain and a selector, as it is
// when it has arrived.
func signed(t *testing.T, from, domain, selector string) string {
	t.Helper()
	header := "From: " + from + "\r\nTo: dmarc@example.org\r\nSubject: Report domain: example.org\r\n"
	recipe, err := (&dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed, Expiration: 7 * 24 * time.Hour}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	m := recipe.NewMessage()
	for line := range strings.Lines(header) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		m.Field([]byte(name), []byte(value))
	}
	if err := m.Begin(dkim.Signature{Domain: domain, Selector: selector, Key: key()}); err != nil {
		t.Fatal(err)
	}
	m.Write([]byte(body))
	values, err := m.Sign(sent)
	if err != nil {
		t.Fatal(err)
	}
	return "Return-Path: <" + from + ">\r\n" + received + "DKIM-Signature:" + values[0] + "\r\n" + header + "\r\n" + body
}

func unsigned(from string) string {
	return "Return-Path: <" + from + ">\r\n" + received + "From: " + from + "\r\nSubject: Report\r\n\r\n" + body
}

// open is signed but for what is after its first bytes: anybody may add to it.
func open(from, domain, added string) string {
	hash := sha256.Sum256([]byte(body))
	field := fmt.Sprintf("DKIM-Signature: v=1; a=ed25519-sha256; c=simple/simple; d=%s; s=s; l=%d; h=from; bh=%s; b=",
		domain, len(body), base64.StdEncoding.EncodeToString(hash[:]))
	digest := sha256.Sum256([]byte("From: " + from + "\r\n" + field))
	return field + base64.StdEncoding.EncodeToString(ed25519.Sign(key(), digest[:])) + "\r\nFrom: " + from + "\r\n\r\n" + body + added
}

// world is the DNS: google.com rejects what is not from it, open.example asks for nothing, the
// key of gone.example was taken out, that of odd.example is another one, slow.example does not answer.
func world(t *testing.T) *nameserver.Zone {
	t.Helper()
	public, err := record.ForKey(key().Public())
	if err != nil {
		t.Fatal(err)
	}
	other, err := record.ForKey(ed25519.NewKeyFromSeed([]byte(strings.Repeat("x", ed25519.SeedSize))).Public())
	if err != nil {
		t.Fatal(err)
	}
	txt := func(name, text string) string { return dns.NewTXT(name, text, time.Minute).String() }
	return nameserver.NewZone(t, txt("s._domainkey.google.com", public.String()),
		txt("_dmarc.google.com", "v=DMARC1; p=reject"), txt("google.com", "v=spf1 ip4:192.0.2.9 -all"),
		txt("s._domainkey.open.example", public.String()), txt("s._domainkey.mail.open.example", public.String()),
		txt("_dmarc.gone.example", "v=DMARC1; p=reject"), txt("_dmarc.soft.example", "v=DMARC1; p=quarantine"),
		txt("s._domainkey.odd.example", other.String()), txt("s._domainkey.evil.example", public.String()),
		txt("passes.example", "v=spf1 ip4:192.0.2.1 -all"), txt("s._domainkey.passes.example", public.String()),
		txt("_dmarc.passes.example", "v=DMARC1; p=reject"))
}

func TestOrigin(t *testing.T) {
	t.Parallel()
	zone := world(t)
	zone.Fail(nameserver.Code(miekg.RcodeServerFailure), "s._domainkey.slow.example.", "_dmarc.slow.example.")
	resolver, err := dns.At(zone.Serve(t))
	if err != nil {
		t.Fatal(err)
	}
	resolver.Patience = time.Minute
	judge := NewJudge(resolver.Remembering(), sent.AddDate(0, 2, 0))
	good := signed(t, "dmarc@google.com", "google.com", "s")
	for name, test := range map[string]struct {
		message string
		proof   report.Proof
		why     string
	}{
		"signed, long ago":         {good, report.Proven, ""},
		"with LF":                  {strings.ReplaceAll(good, "\r\n", "\n"), report.Proven, ""},
		"signed, other case":       {signed(t, "dmarc@OPEN.example", "Open.Example", "s"), report.Proven, ""},
		"by a subdomain":           {signed(t, "dmarc@open.example", "mail.open.example", "s"), report.Unproven, "no signature of open.example"},
		"for a subdomain":          {signed(t, "dmarc@mail.open.example", "open.example", "s"), report.Proven, ""},
		"with a broken one before": {"DKIM-Signature: v=1; a=rsa-sha256; d=google.com; s=s; h=from; bh=AAAA; b=AAAA\r\n" + good, report.Proven, ""},
		"other body":               {strings.Replace(good, "A report", "Another", 1), report.Refuted, "the signature of google.com is broken: the body was changed"},
		"other subject":            {strings.Replace(good, "domain: example", "domain: sample", 1), report.Refuted, "the signature of google.com is broken: "},
		"other From":               {strings.Replace(good, "From: dmarc@google.com", "From: dmarc@open.example", 1), report.Unproven, "no signature of open.example"},
		"two From":                 {"From: dmarc@evil.example\r\n" + good, report.Unproven, "2 From fields"},
		"another's key":            {signed(t, "dmarc@odd.example", "odd.example", "s"), report.Refuted, "the signature of odd.example is broken: "},
		"another's signature":      {signed(t, "dmarc@google.com", "evil.example", "s"), report.Refuted, "google.com rejects such mail (DMARC): "},
		"unsigned":                 {unsigned("dmarc@google.com"), report.Refuted, "google.com rejects such mail (DMARC): "},
		"unsigned, no policy":      {unsigned("dmarc@open.example"), report.Unproven, "no signature of open.example"},
		"unsigned, quarantine":     {unsigned("dmarc@soft.example"), report.Unproven, "no signature of soft.example"},
		"key gone, SPF not known":  {strings.Replace(signed(t, "dmarc@gone.example", "gone.example", "s"), received, "", 1), report.Unproven, "there is no key record at s._domainkey.gone.example"},
		"key that never was":       {signed(t, "dmarc@google.com", "google.com", "never"), report.Refuted, "google.com rejects such mail (DMARC): "},
		"key gone, no policy":      {signed(t, "dmarc@open.example", "open.example", "old"), report.Unproven, "there is no key record at old._domainkey.open.example"},
		"no DNS":                   {signed(t, "dmarc@slow.example", "slow.example", "s"), report.Unproven, "the key is not known: "},
		"no DNS, other body":       {strings.Replace(signed(t, "dmarc@slow.example", "slow.example", "s"), "A report", "B", 1), report.Refuted, "broken"},
		"only SPF":                 {unsigned("dmarc@passes.example"), report.Unproven, "no signature of passes.example"},
		"SPF, changed afterwards":  {strings.Replace(signed(t, "dmarc@passes.example", "passes.example", "s"), "A report", "B", 1), report.Unproven, "only SPF passes: the body was changed"},
		"no message":               {"\x00", report.Unproven, "its mail cannot be judged: "},
		"part of the body":         {strings.Replace(good, "bh=", "l=5; bh=", 1), report.Refuted, "broken"},
		"open":                     {open("dmarc@open.example", "open.example", ""), report.Unproven, "added to (l=)"},
		"open, added to":           {open("dmarc@google.com", "google.com", "H4sI\r\n"), report.Unproven, "added to (l=)"},
		"no From":                  {strings.Replace(good, "From:", "X-From:", 1), report.Unproven, "no From field"},
		"from the future":          {strings.Replace(strings.Replace(good, "29 Nov 2026", "29 Nov 2025", 1), "Sun, ", "", 1), report.Refuted, "google.com rejects"},
	} {
		got := judge.Origin(t.Context(), []byte(test.message))
		if got.Proof != test.proof || !strings.Contains(got.Why, test.why) || (got.Why == "") != (got.Proof == report.Proven) {
			t.Errorf("%s: got %+v, want %d, %s", name, got, test.proof, test.why)
		}
	}
}

// A DNS that is slow, or asked for names without end, is given up.
func TestPatience(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	source := counting{Source: dns.NewZone(nil), asked: &asked}
	p := &patient{Source: source, left: mostWait, names: make(map[string]bool)}
	for i := range mostNames + 10 {
		name := fmt.Sprintf("s.%d.example", i)
		_, err := p.Lookup(t.Context(), name, miekg.TypeTXT)
		if _, again := p.Lookup(t.Context(), name, miekg.TypeTXT); (err == nil) != (again == nil) {
			t.Fatal(err, again)
		}
	}
	if n := asked.Load(); n != 2*mostNames {
		t.Errorf("asked %d times", n)
	}
	p = &patient{Source: source, names: map[string]bool{"known.example": true}}
	if _, err := p.Lookup(t.Context(), "new.example", miekg.TypeTXT); err == nil {
		t.Error("asked though it took too long")
	}
	if _, err := p.Lookup(t.Context(), "known.example", miekg.TypeTXT); err != nil {
		t.Error(err)
	}
}

type counting struct {
	dns.Source
	asked *atomic.Int64
}

func (c counting) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	c.asked.Add(1)
	return c.Source.Lookup(ctx, name, qtype)
}
