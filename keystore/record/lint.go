package record

// LintDKIM says what is wrong with the TXT records at name, the full name of a
// key record such as "s1._domainkey.example.org", where want should stand. With
// the zero want it lints what is there alone.
func LintDKIM(name string, published []TXT, want DKIM) []Finding { return nil }

// LintSPF says what is wrong with the SPF record among the TXT records at
// domain. It sees only this one record, and asks no DNS.
func LintSPF(domain string, published []TXT) []Finding { return nil }

// LintDMARC says what is wrong with the TXT records at name, such as
// "_dmarc.example.org".
func LintDMARC(name string, published []TXT) []Finding { return nil }
