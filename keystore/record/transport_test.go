package record

import (
	"reflect"
	"slices"
	"testing"
)

func TestParseTLSRPT(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{ // nil: invalid
		"v=TLSRPTv1; rua=mailto:tls@example.org":                              {"mailto:tls@example.org"},
		"v=TLSRPTv1;rua=mailto:tls@example.org;":                              {"mailto:tls@example.org"},
		"v=TLSRPTv1 ; rua=https://r.example/v1 , mailto:a@example.org; x-y=1": {"https://r.example/v1", "mailto:a@example.org"},
		"v=TLSRPTv1":                               nil,
		"v=TLSRPTv1;":                              nil,
		"v=TLSRPTv1; rua=":                         nil,
		"v=TLSRPTv1; rua=tls@example.org":          nil,
		"v=TLSRPTv1; rua=http://r.example/":        nil,
		"v=TLSRPTv1; rua=https:///v1":              nil,
		"v=TLSRPTv1; rua=mailto:a@example.org,":    nil,
		"v=TLSRPTv1; rua=mailto:a@example.org;;":   nil,
		"v=TLSRPTv1; rua mailto:a@example.org":     nil,
		"v=tlsrptv1; rua=mailto:a@example.org":     nil,
		"v=TLSRPTv10; rua=mailto:a@example.org":    nil,
		" v=TLSRPTv1; rua=mailto:a@example.org":    nil,
		"rua=mailto:a@example.org; v=TLSRPTv1":     nil,
		"v=TLSRPTv1; rua=mailto:Tls <a@b.example>": nil,
	} {
		got, err := ParseTLSRPT(text)
		if !slices.Equal(got.Reports, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %q, %v", text, got.Reports, err)
		}
	}
}

func TestParseSTS(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{ // "": invalid
		"v=STSv1; id=20160831085700Z;": "20160831085700Z",
		"v=STSv1;id=1":                 "1",
		"v=STSv1 ; x=y; id=1; id=2":    "1",
		"v=STSv1; id=":                 "",
		"v=STSv1;":                     "",
		"v=STSv1; id=2026-01-01":       "",
		"v=STSv1; id=é":                "",
		"v=STSv1; id=123456789012345678901234567890123": "",
		"v=STSv2; id=1":   "",
		"v=STSv1 id=1":    "",
		"version: STSv1":  "",
		"v=STSv1; ; id=1": "",
	} {
		got, err := ParseSTS(text)
		if got.ID != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", text, got.ID, err)
		}
	}
}

func TestLintTransport(t *testing.T) {
	t.Parallel()
	const good = "v=TLSRPTv1; rua=mailto:tls@example.org"
	for _, test := range []struct {
		texts []string
		want  []string
	}{
		{nil, nil},
		{[]string{good}, nil},
		{[]string{good, "hello", "v=spf1 -all"}, nil},
		{[]string{"v=spf1 -all", "tls is good"}, nil}, // from a wildcard
		{[]string{good, good + ";"}, []string{"tlsrpt-several"}},
		{[]string{"v=TLSRPTv1; rua=tls@example.org"}, []string{"tlsrpt-invalid"}},
		{[]string{"V=TLSRPTv1; rua=mailto:tls@example.org"}, []string{"tlsrpt-invalid"}},
		{[]string{"v=TLSRPT1; rua=mailto:tls@example.org"}, []string{"tlsrpt-invalid"}},
		{[]string{`"v=TLSRPTv1; rua=mailto:tls@example.org"`}, []string{"tlsrpt-invalid"}},
	} {
		var published []TXT
		for _, text := range test.texts {
			published = append(published, NewTXT(text))
		}
		var got []string
		for _, f := range LintTLSRPT("_smtp._tls.example.org", published) {
			got = append(got, f.Code)
			if f.What == "" || f.Effect == "" || f.Advice() == "" {
				t.Errorf("incomplete: %+v", f)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%q: %q, want %q", test.texts, got, test.want)
		}
	}
	found := LintSTS("_mta-sts.example.org", []TXT{NewTXT("v=STSv1 id=1"), NewTXT("v=STSv1; id=1;"), NewTXT("v=STSv1;")})
	if len(found) != 3 || found[0].Code != "mta-sts-invalid" || found[2].Code != "mta-sts-several" {
		t.Errorf("got %+v", found)
	}
}

func FuzzParseTransport(f *testing.F) {
	seeds(f, "v=TLSRPTv1; rua=mailto:tls@example.org,https://r.example/", "v=STSv1; id=20160831085700Z;")
	f.Fuzz(func(t *testing.T, text string) {
		if r, err := ParseTLSRPT(text); err == nil {
			if again, err := ParseTLSRPT(r.String()); err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%q is %+v, written %q is %+v, %v", text, r, r, again, err)
			}
		}
		if r, err := ParseSTS(text); err == nil {
			if again, err := ParseSTS(r.String()); err != nil || again != r {
				t.Errorf("%q is %+v, written %q is %+v, %v", text, r, r, again, err)
			}
		}
		published := []TXT{NewTXT(text)}
		LintTLSRPT("_smtp._tls.example.org", published)
		LintSTS("_mta-sts.example.org", published)
	})
}
