package record

import (
	"reflect"
	"strings"
	"testing"
)

// The three records of the README's setup, as its users have published them:
// built, and parsed back.
func TestSeedRecords(t *testing.T) {
	const spf = "v=spf1 mx -all"
	built := SPF{Terms: []Term{{Name: "mx"}, {Qualifier: "-", Name: "all"}}}
	if got := built.String(); got != spf {
		t.Errorf("SPF is %s", got)
	}
	if parsed, err := ParseSPF(spf); err != nil || !reflect.DeepEqual(parsed, built) {
		t.Errorf("parsed to %+v, %v", parsed, err)
	}
	const dmarc = "v=DMARC1; p=reject; rua=mailto:postmaster@example.org; adkim=s; aspf=s"
	policy := DMARC{Policy: "reject", AggregateReports: []string{"mailto:postmaster@example.org"}, StrictDKIM: true, StrictSPF: true}
	if got := policy.String(); got != dmarc {
		t.Errorf("DMARC is %s", got)
	}
	if parsed, err := ParseDMARC(dmarc); err != nil || !reflect.DeepEqual(parsed, policy) {
		t.Errorf("parsed to %+v, %v", parsed, err)
	}
	key := bokyRecord(t)
	want := DKIM{Hash: "sha256", KeyType: "rsa", Service: "email", PublicKey: key.PublicKey}
	if !reflect.DeepEqual(key, want) || !strings.HasPrefix(key.String(), "v=DKIM1; h=sha256; k=rsa; s=email; p=MIIB") {
		t.Errorf("parsed to %+v", key)
	}
}

func TestDMARCTagOrder(t *testing.T) {
	r := DMARC{
		Policy: "quarantine", SubdomainPolicy: "reject", NonexistentPolicy: "reject",
		AggregateReports: []string{"mailto:a@example.org", "mailto:b@example.com"}, FailureReports: []string{"mailto:c@example.org"},
		StrictDKIM: true, StrictSPF: true, FailureOptions: "d:s", Testing: true, PublicSuffix: "n",
	}
	const want = "v=DMARC1; p=quarantine; sp=reject; np=reject; rua=mailto:a@example.org,mailto:b@example.com; ruf=mailto:c@example.org; adkim=s; aspf=s; fo=d:s; t=y; psd=n"
	if got := r.String(); got != want {
		t.Errorf("got %s", got)
	}
	if got, err := ParseDMARC(want); err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("parsed to %+v, %v", got, err)
	}
}

// What receivers take a record for (RFC 9989, sections 4.7 and 4.10.1).
func TestParseDMARC(t *testing.T) {
	tests := []struct{ text, want string }{
		{"v=DMARC1", "v=DMARC1"},
		{"v=DMARC1;", "v=DMARC1"},
		{" v = DMARC1 ; p = NONE ; ", "v=DMARC1; p=none"},
		{"v=DMARC1; p=reject; adkim=r; aspf=r; fo=0; t=n; psd=u", "v=DMARC1; p=reject"},
		{"v=DMARC1; p=reject; adkim=x; foo=bar; bar", "v=DMARC1; p=reject"},
		{"v=DMARC1; p=reject; p=none", "v=DMARC1; p=reject"},
		{"v=DMARC1; p=reject; rua=mailto:a@example.org!10m, b@example.org", "v=DMARC1; p=reject; rua=mailto:a@example.org"},
		{"v=DMARC1; P=reject", "v=DMARC1"},
		// With an address for reports, a wrong policy is "none".
		{"v=DMARC1; rua=mailto:a@example.org", "v=DMARC1; p=none; rua=mailto:a@example.org"},
		{"v=DMARC1; p=rejct; rua=mailto:a@example.org", "v=DMARC1; p=none; rua=mailto:a@example.org"},
		{"v=DMARC1; p=reject; sp=x; rua=mailto:a@example.org", "v=DMARC1; p=none; rua=mailto:a@example.org"},
		{"v=DMARC1; p=reject; np=x; rua=mailto:a@example.org", "v=DMARC1; p=none; rua=mailto:a@example.org"},
		// Without one, it is no policy.
		{"v=DMARC1; p=rejct", "v=DMARC1"},
		{"v=DMARC1; p=reject; sp=x; rua=a@example.org", "v=DMARC1"},
	}
	for _, test := range tests {
		r, err := ParseDMARC(test.text)
		if got := r.String(); err != nil || got != test.want {
			t.Errorf("%q: got %q, %v, want %q", test.text, got, err, test.want)
		}
	}
	for _, text := range []string{"", "p=none; v=DMARC1", "v=dmarc1; p=none", "V=DMARC1; p=none", "v=DMARC10; p=none", "v=DMARC1, p=none", `"v=DMARC1; p=none"`} {
		if _, err := ParseDMARC(text); err != ErrNotDMARC {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestParseSPF(t *testing.T) {
	good := []string{
		"v=spf1", "v=spf1 -all",
		"v=spf1 +mx a:example.org/24 mx:example.org//64 a/24//64 ptr:example.org ?exists:%{ir}.%{l1r-}.%%.%_%-.%{d} ~all",
		"v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1 ip6:2001:db8::/32 ip6:::ffff:192.0.2.1 -all",
		"v=spf1 include:%{d2} redirect=_spf.example.org exp=explain.%{d} x-y.z_1=%{s}",
		"v=spf1 a:with/slash.example.org a:xn--bcher-kva.example -all",
	}
	for _, text := range good {
		r, err := ParseSPF(text)
		if err != nil || r.String() != text {
			t.Errorf("%q: got %q, %v", text, r, err)
		}
	}
	if r, err := ParseSPF("V=SPF1   MX:Example.ORG  -ALL  "); err != nil || r.String() != "v=spf1 mx:Example.ORG -all" {
		t.Errorf("got %q, %v", r, err)
	}
	for _, text := range []string{"", "v=spf1mx", "v=spf10 mx", "v=spf1;mx", " v=spf1 mx", "spf1 mx", "v=spf2 mx", "v=spf"} {
		if _, err := ParseSPF(text); err != ErrNotSPF {
			t.Errorf("%q: got %v", text, err)
		}
	}
	bad := []string{
		"all:example.org", "all/24", "-", "--all", "-foo", "a:", "a:localhost", "a:192.0.2.1", "mx:example.org/33", "mx//129", "mx/024", "a:/24",
		"include", "include:", "include:example.org/24x y", "exists", "ptr:", "ptr/24", "ip4", "ip4:", "ip4:192.0.2", "ip4:192.0.2.256", "ip4:2001:db8::1",
		"ip4:192.0.2.0/", "ip4:192.0.2.0/33", "ip4:192.0.2.0//24", "ip6:192.0.2.1", "ip6:2001:db8::/129", "ip6:fe80::1%eth0",
		"redirect=", "redirect:example.org", "redirect=localhost", "exp=", "1a=b", "=b", "x=%", "x=%{d", "x=%{c}", "x=%{d0}", "x=%{dx}", "a:%{d}.%{", "a:foo}", "a:%{d}y", "a:%{d}foo}",
		"-redirect=example.org", "mx\t", "a:b\u00fccher.example", "a:example.org\x00", "a:example.-org", "a:example.o_g", "a:.", "redirect=-",
	}
	for _, term := range bad {
		if r, err := ParseSPF("v=spf1 " + term); err == nil {
			t.Errorf("%q: parsed to %+v", term, r)
		}
	}
	for _, text := range []string{"v=spf1 redirect=a.example redirect=a.example", "v=spf1 exp=a.example EXP=b.example"} {
		if _, err := ParseSPF(text); err == nil || !strings.Contains(err.Error(), "only once") {
			t.Errorf("%q: got %v", text, err)
		}
	}
}

func TestLooksUp(t *testing.T) {
	r, err := ParseSPF("v=spf1 a mx ptr include:a.example exists:a.example ip4:192.0.2.1 ip6:::1 all redirect=a.example exp=a.example a=b")
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, term := range r.Terms {
		if term.LooksUp() {
			got += term.Name + " "
		}
	}
	if got != "a mx ptr include exists redirect " {
		t.Errorf("got %s", got)
	}
}

func TestParseDKIM(t *testing.T) {
	key := "MCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	tests := []struct{ text, want string }{
		{"p=" + key, "v=DKIM1; k=rsa; p=" + key},
		{"v=DKIM1; p=", "v=DKIM1; k=rsa; p="},
		{" v = DKIM1 ;\r\n\tk = ed25519 ; h = sha1 : sha256 ; p = MCow BQYDK2VwAyEA\t11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo= ; ", "v=DKIM1; h=sha1:sha256; k=ed25519; p=" + key},
		{"v=DKIM1; n=for people; t=y : s; s=*; x=; p=" + key, "v=DKIM1; k=rsa; n=for people; s=*; t=y:s; p=" + key},
	}
	for _, test := range tests {
		r, err := ParseDKIM(test.text)
		if got := r.String(); err != nil || got != test.want {
			t.Errorf("%q: got %q, %v", test.text, got, err)
		}
	}
	bad := map[string]string{
		"":                       "it is empty",
		" ; ":                    "it is empty",
		"v=DKIM1; k=rsa":         "no p=",
		"v=DKIM2; p=":            "not v=DKIM1",
		"v=dkim1; p=":            "not v=DKIM1",
		"p=; v=DKIM1":            "not at the beginning",
		"v=DKIM1;; p=":           "between two semicolons",
		"v=DKIM1; p=; p=":        "twice",
		"v=DKIM1; rsa; p=":       "not tag=value",
		"v=DKIM1; 1k=rsa; p=":    "not the name of a tag",
		"v=DKIM1; p=!":           "not base64",
		"v=DKIM1; p=AAA":         "not base64",
		"v=DKIM1; n=b\u00fc; p=": "not ASCII",
	}
	for text, want := range bad {
		if r, err := ParseDKIM(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %+v, %v, want %q", text, r, err, want)
		}
	}
	r, _ := ParseDKIM("v=DKIM1; t = S : Y; p=")
	if !r.Revoked() || !r.Testing() {
		t.Errorf("got %+v", r)
	}
}

func TestCheckReportURI(t *testing.T) {
	for _, uri := range []string{"mailto:a@example.org", "MAILTO:a@example.org", "mailto:a%21b@example.org", "mailto:a+b@example.org", "https://example.org/"} {
		if err := CheckReportURI(uri); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
	}
	for _, uri := range []string{"", "a@example.org", "example.org", "mailto:", "mailto:a", "mailto:A <a@example.org>", "mailto:a@example.org,b@example.org", "mailto:a@example.org!10m", "mailto:a@b;c", "mailto:%zz@example.org", "mailto:a@example.org\x00"} {
		if err := CheckReportURI(uri); err == nil {
			t.Errorf("%q is taken", uri)
		}
	}
}
