package verify

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// What is wrong with a key record is told apart, and so is what is only odd.
func TestKeyRecords(t *testing.T) {
	key, err := record.ForKey(testKey(t, "rsa").Public())
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(key.PublicKey)
	pkcs1 := base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(testKey(t, "rsa").Public().(*rsa.PublicKey)))
	huge, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).Add(new(big.Int).Lsh(big.NewInt(1), 40000), big.NewInt(1)), E: 1<<31 - 1})
	if err != nil {
		t.Fatal(err)
	}
	message := sign(t, "rsa", testHeader(), testBody)
	tests := []struct {
		records      []string
		want, reason string
		note         string
	}{
		{[]string{"v=DKIM1; p=" + p}, "pass", "", ""},
		{nil, "permerror key", "there is no key record at s1._domainkey.example.org", ""},
		{[]string{"v=DKIM1; p="}, "permerror key", "is revoked", ""},
		{[]string{"v=DKIM1; k=ed25519; p=" + p}, "permerror key", "is for k=ed25519, the signature is made with rsa", ""},
		{[]string{"v=DKIM1; h=sha1; p=" + p}, "permerror key", "is for h=sha1, the signature is made with sha256", ""},
		{[]string{"v=DKIM1; s=tlsrpt; p=" + p}, "permerror key", "is for s=tlsrpt, not for email", ""},
		{[]string{"v=DKIM1; k=rsa; p=" + p[:40] + "===="}, "permerror key", "cannot be read", ""},
		{[]string{"v=DKIM1; k=rsa; p=" + p[:40]}, "permerror key", "p= holds no RSA key", ""},
		{[]string{"v=DKIM1; p=" + base64.StdEncoding.EncodeToString(huge)}, "permerror key", "has 40001 bits, and receivers take no more than 16384", ""},
		{[]string{"v=DKIM1; t=y; p=" + p}, "pass", "", "has t=y"},
		{[]string{"v=DKIM1; p=" + pkcs1}, "pass", "", "is an RSAPublicKey"},
		{[]string{"k=rsa; v=DKIM1; p=" + p}, "pass", "", "must be the first tag"},
		{[]string{"p=" + p + "; v=DKIM1"}, "pass", "", "must be the first tag"},
		{[]string{"v=spf1 -all", "v=DKIM1; p=" + p}, "pass", "", "has 2 TXT records"},
		{[]string{"v=DKIM1; p=", "v=DKIM1; p=" + p}, "pass", "", "has 2 TXT records"},
	}
	for _, test := range tests {
		var zone []miekg.RR
		for _, text := range test.records {
			txt := &miekg.TXT{Hdr: miekg.RR_Header{Name: "s1._domainkey.example.org.", Rrtype: miekg.TypeTXT, Class: miekg.ClassINET}}
			for ; len(text) > 200; text = text[200:] {
				txt.Txt = append(txt.Txt, text[:200])
			}
			txt.Txt = append(txt.Txt, text)
			zone = append(zone, txt)
		}
		s := judge(t, message, Options{Source: dns.NewZone(zone)}).Signatures[0]
		if got := strings.TrimSpace(string(s.Result) + " " + s.Where); got != test.want || !strings.Contains(s.Reason, test.reason) {
			t.Errorf("%.60q: got %s, %q; want %s, %q", test.records, got, s.Reason, test.want, test.reason)
		}
		if notes := strings.Join(s.Notes, "\n"); !strings.Contains(notes, test.note) || test.note == "" && notes != "" {
			t.Errorf("%.60q: got notes %q", test.records, s.Notes)
		}
	}
}
