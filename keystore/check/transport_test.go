package check

import (
	"slices"
	"strings"
	"testing"
)

// What a domain tells those who send to it is recognised; a wildcard's texts are not.
func TestTransport(t *testing.T) {
	t.Parallel()
	const (
		rpt = `_smtp._tls TXT "v=TLSRPTv1; rua=mailto:tls@DOMAIN"`
		sts = `_mta-sts TXT "v=STSv1; id=20261129;"`
	)
	for _, test := range []struct {
		with []string
		want []string
		says string
	}{
		{[]string{rpt}, nil, "good: _smtp._tls.tls.test: reports on TLS (TLS-RPT) go to mailto:tls@tls.test"},
		{[]string{rpt, sts, "mta-sts A 192.0.2.8"}, nil, "good: _mta-sts.tls.test: an MTA-STS policy is announced (id 20261129); "},
		{[]string{sts}, []string{"mta-sts-no-host"}, "senders fetch the MTA-STS policy from https://mta-sts.tls.test/.well-known/mta-sts.txt"},
		{[]string{`_smtp._tls TXT "v=TLSRPTv1; rua=tls@DOMAIN"`}, []string{"tlsrpt-invalid"}, "it has no mailto: in front"},
		{[]string{rpt, `_smtp._tls TXT "v=TLSRPTv1; rua=mailto:b@DOMAIN"`}, []string{"tlsrpt-several"}, ""},
		{[]string{`_mta-sts TXT "v=STSv1"`}, []string{"mta-sts-invalid"}, "does not begin with v=STSv1;"},
		{[]string{`*._tls TXT "hello"`}, nil, ""},
		{[]string{"_mta-sts CNAME _mta-sts.other", `_mta-sts.other TXT "v=STSv1; id=1;"`, "mta-sts CNAME mail"}, nil, "(id 1)"},
	} {
		report := checkZone(t, "tls.test", nil, test.with, nil)
		if !slices.Equal(codes(report), test.want) || !strings.Contains(told(report), test.says) {
			t.Errorf("%q: want %q, %q%s", test.with, test.want, test.says, told(report))
		}
	}
}
