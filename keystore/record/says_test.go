package record

import (
	"encoding/base64"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

// Where one code stands for several faults, the words tell them apart.
func TestLintSays(t *testing.T) {
	key := bokyRecord(t)
	good := key.String()
	dkim := func(text string) []finding.Finding {
		return LintDKIM("s1._domainkey.example.org", []TXT{{text}}, DKIM{})
	}
	wanted := func(text string) []finding.Finding { return LintDKIM("s1._domainkey.example.org", []TXT{{text}}, key) }
	spf := func(text string) []finding.Finding { return LintSPF("example.org", []TXT{{text}}) }
	dmarc := func(text string) []finding.Finding { return LintDMARC("_dmarc.example.org", []TXT{{text}}) }
	part := func(n int) string { return "p=" + base64.StdEncoding.EncodeToString(key.PublicKey[:n]) }
	for _, test := range []struct {
		findings []finding.Finding
		code     string
		what     string
	}{
		{wanted(good[:255]), "dkim-truncated", "only the first 255 bytes"},
		{wanted(good[:254]), "dkim-truncated", "cut off after 217 of 392 characters"},
		{wanted(strings.Replace(good, "jlOk7R", "jlOx7R", 1)), "dkim-altered", "1 of 392 characters differ, first number 48"},
		{wanted(strings.ToUpper(good[:37]) + good[37:]), "dkim-wrong-version", "V=DKIM1"},
		{wanted("v=DKIM1; p=" + strings.ToUpper(good[37:])), "dkim-altered", "upper and lower case"},
		{dkim(part(180)), "dkim-not-a-key", "180 of 294 bytes are there"},
		{dkim(part(3)), "dkim-not-a-key", "its 3 bytes"},
		{dkim("p=" + base64.StdEncoding.EncodeToString([]byte{0x30, 10, 1, 2})), "dkim-not-a-key", "4 of 12 bytes"},
		{dkim("p=" + base64.StdEncoding.EncodeToString([]byte{0x30, 0x81, 200, 2})), "dkim-not-a-key", "4 of 203 bytes"},
		{dkim("p=MII"), "dkim-not-base64", "3 characters are not a multiple of 4"},
		{dkim("p=MI*I"), "dkim-not-base64", "it has the character '*'"},
		{dkim("p=MI-A"), "dkim-not-base64", "'-' in it is of another alphabet"},
		{dkim(strings.Replace(good, "k=rsa", "k=ed25519", 1)), "dkim-wrong-key-type", "k=ed25519, but p= holds a key of type rsa"},
		{dkim("p=" + base64.StdEncoding.EncodeToString(make([]byte, 32))), "dkim-wrong-key-type", "k= is not ed25519"},

		{spf("v=spf1 mx\u2010all"), "spf-non-ascii", "a dash in place of a hyphen"},
		{spf("v=spf1\u202fmx -all"), "spf-non-ascii", "U+202F"},
		{spf("v=spf1 mx\u2003-all"), "spf-non-ascii", "U+2003"},
		{spf("v=spf1 mx\ufeff -all"), "spf-non-ascii", "cannot be seen (U+FEFF)"},
		{spf("v=spf1 mx\u00fc -all"), "spf-non-ascii", "not ASCII"},
		{spf("v\uff1dspf1 mx -all"), "spf-non-ascii", "equals sign"},
		{spf("‘v=spf1 mx -all’"), "spf-quoted", "quotes around the value"},
		{spf("v=spf1 mx ip5:192.0.2.1 -all"), "spf-syntax", `"ip5:192.0.2.1": "ip5" is not an SPF mechanism`},
		{spf("v=spf1 ip4:192.0.2.17/24 -all"), "spf-host-bits", "it stands for 192.0.2.0/24"},

		{dmarc("v=DMARC1\uff1b p=none"), "dmarc-non-ascii", "semicolon"},
		{dmarc("v=DMARC1; p=none; pct=0"), "dmarc-removed-tag", "t=y replaces pct=0"},
		{dmarc("v=DMARC1; p=none; pct=50"), "dmarc-removed-tag", "nothing replaces it"},
		{dmarc("v=DMARC1; p=none; pct=x"), "dmarc-removed-tag", "nothing replaces it"},
		{dmarc("v=DMARC1; p=none; policy=none"), "dmarc-unknown-tag", "perhaps p= is meant"},
		{dmarc("v=DMARC1; p=none; Adkim=s"), "dmarc-unknown-tag", "perhaps adkim= is meant"},
		{dmarc("v=DMARC1; p=none; rua=mailto:a@example.org!10m"), "dmarc-uri-size", "!10m"},
	} {
		found := false
		for _, f := range test.findings {
			found = found || f.Code == test.code && strings.Contains(f.What, test.what)
		}
		if !found {
			t.Errorf("no %s with %q in %+v", test.code, test.what, test.findings)
		}
	}
}
