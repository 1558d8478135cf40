package verify

import (
	"os"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore/dns"
)

// The signed messages that the RFCs print: RFC 8463, appendix A, signed with
// both algorithms, and RFC 6376, appendix A, with the key in its appendix C.
func TestRFCMessages(t *testing.T) {
	records := map[string]string{
		"brisbane._domainkey.football.example.com.": "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",
		"test._domainkey.football.example.com.":     "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB",
		"brisbane._domainkey.example.com.":          "v=DKIM1; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB",
	}
	var zone []miekg.RR
	for name, text := range records {
		zone = append(zone, &miekg.TXT{Hdr: miekg.RR_Header{Name: name, Rrtype: miekg.TypeTXT, Class: miekg.ClassINET}, Txt: []string{text[:50], text[50:]}})
	}
	for file, want := range map[string]int{"rfc6376.eml": 1, "rfc8463.eml": 2} {
		text, err := os.ReadFile("../dkim/testdata/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for change, result := range map[string]Result{"": Pass, "hungry": Fail, "SixPack": Fail} {
			message := string(text)
			if change != "" {
				message = strings.Replace(message, change, "X", 1)
			}
			j := judge(t, message, Options{Source: dns.NewZone(zone), Now: time.Date(2018, 7, 1, 0, 0, 0, 0, time.UTC)})
			if len(j.Signatures) != want {
				t.Fatalf("%s has %d signatures, want %d", file, len(j.Signatures), want)
			}
			for _, s := range j.Signatures {
				if s.Result != result {
					t.Errorf("%s, %q changed: %s %s: got %s %s %s, want %s", file, change, s.Domain, s.Selector, s.Result, s.Where, s.Reason, result)
				}
			}
		}
	}
}
