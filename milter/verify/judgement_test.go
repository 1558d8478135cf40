package verify

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/emersion/go-msgauth/authres"
	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
	"signpost/milter/dkim"
)

// What may have happened is only said when the signature proves it.
func TestWhy(t *testing.T) {
	good := sign(t, "rsa", testHeader(), testBody)
	tests := []struct {
		name, message, want string // result, place
		notes               []string
	}{
		{"good", good, "pass", nil},
		{"footer", good + "\r\n-- \r\nThe list\r\n", "fail body", []string{"up to line 18 all is as it was signed", "the header and the key are good"}},
		{"word", strings.Replace(good, "hungry", "angry", 1), "fail body", []string{"the header and the key are good"}},
		{"body where none was", sign(t, "rsa", testHeader(), "") + testBody, "fail body", []string{"it was signed without a body", "the header and the key are good"}},
		{"other canonicalization", strings.Replace(sign(t, "rsa", testHeader(), "a  b\r\n"), "c=relaxed/relaxed", "c=relaxed/simple", 1), "fail header",
			[]string{"with relaxed canonicalization, but c= says simple", "the key is the right one", "besides, the body was changed"}},
		{"Subject tag", strings.Replace(good, "Subject: D", "Subject: [list] D", 1), "fail header", []string{"the key is the right one", `it matches without "[list]"`}},
		{"From added", strings.Replace(good, "To:", "From: eve@evil.example\r\nTo:", 1), "fail header", []string{"the key is the right one", "without the From field at line"}},
		{"Subject changed", strings.Replace(good, "Dinner", "Lunch", 1), "fail header", []string{"the key is the right one"}},
		{"b= damaged", strings.Replace(good, "b=", "b=AAAA", 2), "fail key", []string{"either the record holds the key of another time"}},
		{"both", strings.Replace(strings.Replace(good, "Dinner", "Lunch", 1), "hungry", "angry", 1), "fail header", []string{"the key is the right one", "besides, the body was changed"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			j := judge(t, test.message, Options{Source: zone(t, "rsa", "")})
			s := j.Signatures[0]
			if got := strings.TrimSpace(string(s.Result) + " " + s.Where); got != test.want {
				t.Errorf("got %s (%s), want %s", got, s.Reason, test.want)
			}
			ok := len(s.Notes) == len(test.notes)
			for i := 0; ok && i < len(s.Notes); i++ {
				ok = strings.Contains(s.Notes[i], test.notes[i])
			}
			if !ok {
				t.Errorf("got notes %q, want %q", s.Notes, test.notes)
			}
		})
	}
}

func TestJudge(t *testing.T) {
	good := sign(t, "ed25519", testHeader(), testBody)
	received := "Return-Path: <joe@example.org>\r\nReceived: from m.example.org (m.example.org [192.0.2.1]) by mx\r\n"
	eve := strings.Replace(good, "joe@example.org", "joe@example.net", 1)
	tests := []struct {
		name, message, more string
		options             Options
		failing             string
		want                string // DKIM, SPF, DMARC, disposition
		good, unknown       bool
	}{
		{name: "all good", message: received + good, want: "pass pass pass none", good: true},
		{name: "no envelope", message: good, want: "pass - pass none", good: true},
		{name: "SPF alone", message: received + strings.Replace(good, "hungry", "x", 1), want: "fail pass pass none", good: true},
		{name: "nothing", message: strings.Replace(good, "hungry", "x", 1), want: "fail - fail reject"},
		{name: "unsigned", message: "From: joe@example.org\r\n\r\nx\r\n", want: "- - fail reject"},
		{name: "author elsewhere", message: eve, want: "fail - none none"},
		{name: "other policy", message: good, more: `x TXT "v=DMARC1"`, want: "pass - pass none", good: true},
		{name: "client elsewhere", message: received + "X: y\r\n" + strings.Replace(good, "hungry", "x", 1),
			options: Options{Envelope: Envelope{IP: netip.MustParseAddr("203.0.113.1")}}, want: "fail fail fail reject"},
		{name: "bounce", message: good, options: Options{Envelope: Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "example.org", MailFrom: NullSender}},
			want: "pass pass pass none", good: true},
		{name: "key fails", message: good, failing: "s1.", want: "temperror - temperror none", unknown: true},
		{name: "key fails, SPF is enough", message: received + good, failing: "s1.", want: "temperror pass pass none", good: true},
		{name: "key fails, but the body is wrong", message: strings.Replace(good, "hungry", "x", 1), failing: "s1.", want: "fail - fail reject"},
		{name: "policy fails", message: good, failing: "_dmarc.example.org", want: "pass - temperror none", unknown: true},
		{name: "SPF fails, DKIM is enough", message: received + good, failing: "example.org", want: "pass temperror pass none", good: true},
		{name: "two From fields", message: "From: eve@example.net\r\n" + good, want: "fail - permerror none"},
		{name: "no From field", message: "To: a@b\r\n\r\n", want: "- - permerror none"},
		{name: "two author domains", message: "From: a@example.org, b@example.net\r\n\r\n", want: "- - permerror none"},
		{name: "two readings", message: "From: eve@example.net <a@example.org>\r\n\r\n", want: "- - permerror none"},
		{name: "a single label", message: "From: root@localhost\r\n\r\n", want: "- - permerror none"},
		{name: "comments", message: "From: (c) a@(x)example . org\r\n\r\n", want: "- - fail reject"},
		{name: "two authors of a domain", message: "From: a@example.org, b@EXAMPLE.org\r\n\r\n", want: "- - fail reject"},
		{name: "offline, key alone", message: good, options: Options{Offline: true}, want: "pass - pass none", good: true},
		{name: "expired later", message: good, options: Options{Now: signedAt.Add(-time.Hour)}, want: "fail - fail reject"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			o := test.options
			o.Source = zone(t, "ed25519", test.more)
			if test.failing != "" {
				o.Source = failing{o.Source, test.failing}
			}
			j := judge(t, test.message, o)
			dkim, spf := "-", "-"
			if len(j.Signatures) > 0 {
				dkim = string(j.Signatures[0].Result)
			}
			if j.SPF.Skipped == "" {
				spf = string(j.SPF.Result)
			}
			if got := fmt.Sprintf("%s %s %s %s", dkim, spf, j.DMARC.Result, j.DMARC.Disposition); got != test.want {
				t.Errorf("got %s, want %s: %+v", got, test.want, j.DMARC)
			}
			if good, unknown := j.Good(); good != test.good || unknown != test.unknown {
				t.Errorf("got good %v and unknown %v", good, unknown)
			}
			checkResults(t, j)
		})
	}
}

// Strict alignment wants the same domain, for DKIM and SPF each by its own tag.
func TestStrict(t *testing.T) {
	signed := sign(t, "ed25519", []dkim.Field{{Name: "From", Value: " joe@mail.example.org"}}, testBody)
	envelope := Envelope{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "joe@example.org"}
	for policy, want := range map[string]string{
		"":                 "true true pass",
		"adkim=s; ":        "false true pass",
		"aspf=s; ":         "true false pass",
		"adkim=s; aspf=s;": "false false fail",
	} {
		more := `_dmarc.mail TXT "v=DMARC1; p=quarantine; ` + policy + `"`
		j := judge(t, signed, Options{Source: zone(t, "ed25519", more), Envelope: envelope})
		if got := fmt.Sprintf("%v %v %s", j.Signatures[0].Aligned, j.SPF.Aligned, j.DMARC.Result); got != want {
			t.Errorf("%s: got %s, want %s: %s", policy, got, want, j.DMARC.Reason)
		}
	}
}

// Of fields with one name the last is signed first (RFC 6376, section 5.4.2).
func TestRepeatedFields(t *testing.T) {
	header := append(testHeader(), dkim.Field{Name: "List-Id", Value: " <a.b>"}, dkim.Field{Name: "List-Id", Value: " <c.d>"})
	j := judge(t, sign(t, "ed25519", header, testBody), Options{Source: zone(t, "ed25519", "")})
	if j.Signatures[0].Result != Pass {
		t.Errorf("got %s", j.Signatures[0].Reason)
	}
}

// checkResults parses the Authentication-Results line back.
func checkResults(t *testing.T, j *Judgement) {
	t.Helper()
	text := j.AuthenticationResults("mx.example.net")
	if strings.ContainsAny(text, "\r\n\x00") {
		t.Errorf("not one line: %q", text)
	}
	id, results, err := authres.Parse(text)
	if err != nil || id != "mx.example.net" {
		t.Fatalf("%q: %q, %v", text, id, err)
	}
	var got, want []string
	for _, r := range results {
		switch r := r.(type) {
		case *authres.DKIMResult:
			got = append(got, "dkim "+string(r.Value)+" "+r.Domain)
		case *authres.SPFResult:
			got = append(got, "spf "+string(r.Value))
		case *authres.DMARCResult:
			got = append(got, "dmarc "+string(r.Value)+" "+r.From)
		default:
			t.Errorf("%q: unknown %T", text, r)
		}
	}
	for _, s := range j.Signatures {
		want = append(want, "dkim "+string(s.Result)+" "+s.Domain)
	}
	if len(want) == 0 {
		want = append(want, "dkim none ")
	}
	if j.SPF.Skipped == "" {
		want = append(want, "spf "+string(j.SPF.Result))
	}
	want = append(want, "dmarc "+string(j.DMARC.Result)+" "+j.DMARC.AuthorDomain)
	if !slices.Equal(got, want) {
		t.Errorf("%q:\ngot  %q\nwant %q", text, got, want)
	}
}

// Offline, what is not at hand is not "missing".
func TestOffline(t *testing.T) {
	message := sign(t, "ed25519", append(testHeader(), dkim.Field{Name: "X-A", Value: " b"}), testBody)
	other := strings.Replace(strings.Replace(message, "s=s1", "s=s2", 1), "joe@example.org", "joe@elsewhere.example", 1)
	j := judge(t, other, Options{Source: zone(t, "ed25519", ""), Offline: true, Envelope: Envelope{IP: netip.MustParseAddr("192.0.2.1"), MailFrom: "a@elsewhere.example"}})
	if s := j.Signatures[0]; s.Result != Neutral || !strings.HasPrefix(s.Reason, "not looked up") {
		t.Errorf("got %s, %s", s.Result, s.Reason)
	}
	if !strings.HasPrefix(j.SPF.Skipped, "not looked up") || !strings.HasPrefix(j.DMARC.Reason, "not looked up") {
		t.Errorf("got %q and %q", j.SPF.Skipped, j.DMARC.Reason)
	}
}

// Without a policy a domain speaks for those below it, and none for one above:
// that may be a public suffix.
func TestWithoutPolicy(t *testing.T) {
	source := func(domain string) dns.Source {
		key, err := record.ForKey(testKey(t, "ed25519").Public())
		if err != nil {
			t.Fatal(err)
		}
		txt := &miekg.TXT{Hdr: miekg.RR_Header{Name: "s1._domainkey." + domain + ".", Rrtype: miekg.TypeTXT, Class: miekg.ClassINET}, Txt: []string{key.String()}}
		return dns.NewZone([]miekg.RR{txt})
	}
	for _, test := range []struct {
		author  string
		offline bool
		want    bool
	}{
		{"example.org", false, true},
		{"mail.example.org", false, true},
		{"badexample.org", true, false},
		{"suffix.example.org", false, true},
		{"org.example", false, false},
	} {
		header := testHeader()
		header[0].Value = " joe@" + test.author
		good, _ := judge(t, sign(t, "ed25519", header, testBody), Options{Source: source("example.org"), Offline: test.offline}).Good()
		if good != test.want {
			t.Errorf("example.org signs for %s, offline %v: got %v", test.author, test.offline, good)
		}
	}
	for _, offline := range []bool{false, true} {
		if related("evil.suffix.example", "suffix.example", offline) != offline {
			t.Errorf("a domain speaks for the one above it, offline %v", offline)
		}
	}
}

// What RFC 6376 does not allow in a signature makes it one that cannot be read,
// though some verifiers look over it.
func TestStrictSyntax(t *testing.T) {
	good := sign(t, "ed25519", testHeader(), testBody)
	for old, to := range map[string]string{
		"d=example.org": "d=example.org.", "d=example": "d=example ", "s=s1": "s=s1.", "s=s": "s=s ", "c=relaxed/": "c=relaxed /",
		"h=from:from:": "h=fr om:fr om:", "v=1;": "v=1; z=\xe9;", "v=1; ": "v=1; z=\x01; ", "; h=": "; i=@example.org.; h=", "; h": "; i=a@b@example.org; h",
	} {
		message := strings.ReplaceAll(good, old, to)
		if message == good {
			t.Fatalf("%q is not in the message", old)
		}
		if s := judge(t, message, Options{Source: zone(t, "ed25519", "")}).Signatures[0]; s.Result != Neutral || s.Where != inSyntax {
			t.Errorf("%q: got %s %s, %s", to, s.Result, s.Where, s.Reason)
		}
	}
}

// Nothing of a message ends the line of results, or a result within it.
func TestResultsAreOneLine(t *testing.T) {
	text := sign(t, "ed25519", testHeader(), testBody)
	text = strings.Replace(text, "s=s1", "s=a\u0085b\u2028(;dmarc=pass", 1)
	envelope := Envelope{IP: netip.MustParseAddr("192.0.2.1"), Helo: "x;dmarc=pass", MailFrom: "a\"\u0085;dkim=pass@example.org"}
	got := judge(t, text, Options{Source: zone(t, "ed25519", ""), Envelope: envelope}).AuthenticationResults("mx.example.net")
	if strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) }) || strings.Count(got, ";") != 3 {
		t.Errorf("got %q", got)
	}
}

func TestTooManySignatures(t *testing.T) {
	message := sign(t, "ed25519", testHeader(), testBody)
	field := message[:strings.Index(message, "From:")]
	j := judge(t, strings.Repeat(field, 24)+message, Options{Source: zone(t, "ed25519", "")})
	if len(j.Signatures) != maxSignatures || !slices.Contains(j.Notes, "header: 25 DKIM signatures, of which only the first 20 were verified") {
		t.Errorf("got %d signatures, %q", len(j.Signatures), j.Notes)
	}
	for i, s := range j.Signatures {
		if s.Result != Pass {
			t.Errorf("signature %d: got %s", i, s.Result)
		}
	}
}
