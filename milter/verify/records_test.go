package verify

import (
	"context"
	"errors"
	"strings"
	"testing"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
	"signpost/keystore/finding"
)

const testRecord = "v=DKIM1; k=ed25519; p=znDfC5w3ZoorGjS6rTF5fMD3smPHZE6MQDImwGNex00="

// Whatever form the record has, it is found under the name of the key.
func TestParseRecords(t *testing.T) {
	half := strings.Index(testRecord, "p=") + 10
	const key = "s1._domainkey.example.org"
	tests := []struct{ what, text, file, name string }{
		{"opendkim-genkey", "s1._domainkey\tIN\tTXT\t( \"" + testRecord[:half] + "\"\n\t  \"" + testRecord[half:] + "\" )  ; ----- DKIM key s1 for example.org\n", "s1.txt", ""},
		{"genkey without comment", "s1._domainkey\tIN\tTXT\t( \"" + testRecord + "\" )\n", "s1.txt", ""},
		{"genkey, file named after the domain", "s1._domainkey\tIN\tTXT\t( \"" + testRecord + "\" )\n", "example.org.txt", ""},
		{"genkey with --name", "s1._domainkey\tIN\tTXT\t( \"" + testRecord + "\" )\n", "k.txt", "s1._domainkey.example.org"},
		{"zone file", "$ORIGIN example.org.\n$TTL 1h\n@ IN SOA a. b. 1 2 3 4 5\n  IN NS ns\ns1._domainkey TXT \"" + testRecord + "\"\n", "zone", ""},
		{"zone file with --name", "s1._domainkey TXT \"" + testRecord + "\"\n", "zone", "example.org"},
		{"dig", ";; ANSWER SECTION:\ns1._domainkey.example.org. 60 IN TXT \"" + testRecord[:half] + "\" \"" + testRecord[half:] + "\"\n", "dig", ""},
		{"host", key + " descriptive text \"" + testRecord + "\"\n", "host", ""},
		{"name and text", key + " " + testRecord + "\n", "x", ""},
		{"name, type and text", key + ". IN TXT " + testRecord + "\r\n", "x", ""},
		{"bare", testRecord, "x", ""},
		{"bare with --name", testRecord + "\n", "x", key + "."},
		{"bare and quoted", "\"" + testRecord[:half] + "\"\n\"" + testRecord[half:] + "\"\n", "x", ""},
		{"bare on two lines", strings.Replace(testRecord, "; p", ";\np", 1), "x", ""},
		{"without v=", strings.TrimPrefix(testRecord, "v=DKIM1; "), "x", ""},
		{"byte order mark", "\ufeff" + testRecord, "x", ""},
	}
	for _, test := range tests {
		records, err := ParseRecords(test.text, test.file, test.name)
		if err != nil {
			t.Errorf("%s: %v", test.what, err)
			continue
		}
		answer, err := NewRecords(records).Lookup(context.Background(), key, miekg.TypeTXT)
		if err != nil || len(answer.TXT()) != 1 || !strings.HasSuffix(strings.ReplaceAll(testRecord, " ", ""), strings.ReplaceAll(answer.TXT()[0].Text(), " ", "")) {
			t.Errorf("%s: got %v, %v of %v", test.what, answer, err, records)
		}
	}
}

func TestParseRecordsRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "it is empty",
		" \n":                        "it is empty",
		"v=spf1 -all":                "SPF record without a name",
		"v=DMARC1; p=none":           "DMARC record without a name",
		"; only a comment\n":         "it has no record",
		"a IN TXT \"x":               "line: 1",
		"$INCLUDE /etc/passwd\n":     "$INCLUDE directive not allowed",
		"hello world this is a test": "give a zone file",
		"-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n": "it holds a private key",
	} {
		if _, err := ParseRecords(text, "file", ""); err == nil || !strings.Contains(finding.Text(err), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// FuzzParseRecords: what is read can be asked for.
func FuzzParseRecords(f *testing.F) {
	f.Add("s1._domainkey\tIN\tTXT\t( \"v=DKIM1; \"\n\t  \"p=\" )  ; ----- DKIM key s1 for example.org\n", "")
	f.Add("$ORIGIN a.\n@ TXT \"v=spf1 -all\"\nb 5 IN TXT v=DKIM1; p=x\n", "a.b.")
	f.Add("\"v=DKIM1; p=\" \"x\\\"\"", "")
	f.Fuzz(func(t *testing.T, text, name string) {
		if _, ok := miekg.IsDomainName(name); !ok {
			return
		}
		records, err := ParseRecords(text, "file.txt", name)
		if err != nil {
			return
		}
		s := NewRecords(records)
		for _, rr := range records {
			if strings.Contains(rr.Header().Name, `\`) {
				continue // an escaped dot is not one that we split at
			}
			answer, err := s.Lookup(context.Background(), rr.Header().Name, rr.Header().Rrtype)
			var failed *dns.LookupError
			if err == nil && len(answer.Records) == 0 && rr.Header().Rrtype != miekg.TypeCNAME && len(answer.CNAMEs) == 0 {
				t.Errorf("%q: %v is not found", text, rr)
			} else if err != nil && !errors.As(err, &failed) {
				t.Errorf("%q: %v", text, err)
			}
		}
	})
}
