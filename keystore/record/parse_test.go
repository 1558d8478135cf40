package record

import "testing"

// The three records of the README's setup, as its users have published them.
func TestSeedRecords(t *testing.T) {
	const spf = "v=spf1 mx -all"
	built := SPF{Terms: []Term{{Name: "mx"}, {Qualifier: "-", Name: "all"}}}
	if got := built.String(); got != spf {
		t.Errorf("SPF is %s", got)
	}
	const dmarc = "v=DMARC1; p=reject; rua=mailto:postmaster@example.org; adkim=s; aspf=s"
	policy := DMARC{Policy: "reject", AggregateReports: []string{"mailto:postmaster@example.org"}, StrictDKIM: true, StrictSPF: true}
	if got := policy.String(); got != dmarc {
		t.Errorf("DMARC is %s", got)
	}
}
