package render_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"signpost/keystore/finding"
	"signpost/keystore/record/render"
)

const zone = "example.org"

// checkRoundTrip renders records in every format and reads them back. A format
// may refuse what it cannot hold, but not when mustHold is set.
func checkRoundTrip(t *testing.T, zone string, records []render.Record, mustHold bool) {
	t.Helper()
	var want []string
	for _, r := range records {
		want = append(want, entry(r.Name, r.Type, r.TTL, r.Value))
	}
	slices.Sort(want)
	for _, format := range render.Formats() {
		text, err := render.Records(format, zone, records)
		if err != nil {
			if mustHold {
				t.Errorf("%s: %v", format, err)
			}
			continue
		}
		got := readBack(t, format, zone, text)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: got\n%q, want\n%q, from\n%s", format, got, want, text)
		}
	}
}

func TestFormatsReadBack(t *testing.T) {
	key := func(n int) string { return "v=DKIM1; h=sha256; k=rsa; s=email; p=" + strings.Repeat("Ab+/", n) }
	records := []render.Record{
		{Name: zone, Type: "TXT", Value: "v=spf1 mx exists:%{i}._spf.%{d2} -all", TTL: 3600, Why: "who may send"},
		{Name: zone, Type: "MX", Value: "0 .", TTL: 3600},
		{Name: "news." + zone, Type: "MX", Value: "10 mx.example.net.", TTL: 3600},
		{Name: "s1._domainkey." + zone, Type: "TXT", Value: key(98), TTL: 3600},
		{Name: "s2._domainkey." + zone, Type: "TXT", Value: key(180), TTL: 3600},
		{Name: "s10._domainkey.news." + zone, Type: "TXT", Value: key(54), TTL: 3600},
		{Name: "*._domainkey." + zone, Type: "TXT", Value: "v=DKIM1; p=", TTL: 3600},
		{Name: "_dmarc." + zone, Type: "TXT", Value: "v=DMARC1; p=reject; rua=mailto:o'hara@example.org; adkim=s", TTL: 3600},
		{Name: "a.b." + zone, Type: "TXT", Value: "two labels", TTL: 3600},
		{Name: "a_b." + zone, Type: "TXT", Value: "one label", TTL: 3600},
		{Name: "a_b." + zone, Type: "TXT", Value: "another at the same name", TTL: 3600},
	}
	checkRoundTrip(t, zone, records, true)
}

func TestHardTexts(t *testing.T) {
	for _, value := range []string{
		" ", `"`, `\`, `;`, `\;`, `\\;`, `" "`, `\" "`, `a\"b`, `"quoted"`, "$ORIGIN", "( )", "@", "# no comment", "; no comment", "// no comment",
		"${env}", "%{i}", "$${x}", "%%{i}", `\u0041`, `\000`, `\101`, "it's", "''", "---", "null", "- x: y", "<&>", "`", "\u2028", "grüße", "日本語",
		strings.Repeat("x", 255), strings.Repeat("x", 256), strings.Repeat(`"`, 255), strings.Repeat(`\`, 600), strings.Repeat(";", 511),
		"x" + strings.Repeat("ü", 300), "xx" + strings.Repeat("日", 200), strings.Repeat("\U0001F4EE", 150),
		strings.Repeat("x", 254) + `" "` + strings.Repeat("y", 255),
	} {
		checkRoundTrip(t, zone, []render.Record{
			{Name: "_x." + zone, Type: "TXT", Value: value, TTL: 3600},
			{Name: "y." + zone, Type: "TXT", Value: value, TTL: 3600},
		}, isPlain(value))
	}
}

// isPlain reports whether every format must hold a text.
func isPlain(value string) bool {
	return !strings.ContainsFunc(value, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' })
}

func TestRandomTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := []string{`"`, `\`, ";", " ", "'", "%{", "${", "}", "ü", "日", "\U0001F4EE", `\"`, `" "`, `\;`, "v=", "a", "Z", "0", "(", ")", "/", "@", "$", "<", "&"}
	for range 300 {
		var b strings.Builder
		for size := 1 + random.IntN(600); b.Len() < size; {
			b.WriteString(pieces[random.IntN(len(pieces))])
		}
		checkRoundTrip(t, zone, []render.Record{{Name: "_x." + zone, Type: "TXT", Value: b.String(), TTL: 3600}}, isPlain(b.String()))
		if t.Failed() {
			return
		}
	}
}

func FuzzRender(f *testing.F) {
	f.Add("v=spf1 mx -all", "example.org", "_dmarc")
	f.Add(`"; \ %{i} ${x} `, "xn--bcher-kva.example", "*.x")
	f.Add(strings.Repeat("ü\"", 300), "org", "a_b.c")
	f.Fuzz(func(t *testing.T, value, zone, host string) {
		r := render.Record{Name: host + "." + zone, Type: "TXT", Value: value, TTL: 3600}
		if _, err := render.Records("zone", zone, []render.Record{r}); err != nil {
			if value != "" && utf8.ValidString(value) && !strings.ContainsFunc(value, unicode.IsControl) && len(value) < 60000 && host == "_dmarc" && zone == "example.org" {
				t.Errorf("refused: %v", err)
			}
			return
		}
		checkRoundTrip(t, zone, []render.Record{r}, isPlain(value))
	})
}

func TestElsewhere(t *testing.T) {
	const other = "example.org._report._dmarc.reports.example"
	records := []render.Record{
		{Name: "_dmarc." + zone, Type: "TXT", Value: "v=DMARC1; p=none; rua=mailto:a@reports.example", TTL: 3600},
		{Name: other, Type: "TXT", Value: "v=DMARC1", TTL: 3600, Why: "reports.example says that it takes reports of example.org"},
		{Name: "notexample.org", Type: "TXT", Value: "no part of the zone", TTL: 3600},
	}
	if got := render.Elsewhere(zone, records); len(got) != 2 || got[0].Name != other {
		t.Errorf("got %v", got)
	}
	for _, format := range render.Formats() {
		text, err := render.Records(format, zone, records)
		if err != nil {
			t.Errorf("%s: %v", format, err)
			continue
		}
		switch format {
		case "cloudflare", "route53": // have no comments
			if strings.Contains(text, other) {
				t.Errorf("%s: a record of another zone in\n%s", format, text)
			}
		default:
			if !strings.Contains(text, other) {
				t.Errorf("%s: the record of another zone is lost in\n%s", format, text)
			}
		}
		switch format {
		case "table", "line", "json": // are for all zones
		default:
			if got := readBack(t, format, zone, text); len(got) != 1 {
				t.Errorf("%s: got %q from\n%s", format, got, text)
			}
		}
	}
}

func TestHost(t *testing.T) {
	for _, test := range []struct{ name, zone, host string }{
		{"example.org", "example.org", "@"},
		{"s1._domainkey.example.org", "example.org", "s1._domainkey"},
		{"s1._domainkey.news.example.org", "example.org", "s1._domainkey.news"},
		{"notexample.org", "example.org", "notexample.org"},
		{"example.org.org", "org", "example.org"},
	} {
		if got := (render.Record{Name: test.name}).Host(test.zone); got != test.host {
			t.Errorf("%s in %s: got %q, want %q", test.name, test.zone, got, test.host)
		}
	}
}

func TestRenderRefuses(t *testing.T) {
	good := render.Record{Name: "_dmarc." + zone, Type: "TXT", Value: "v=DMARC1; p=none", TTL: 3600}
	for say, test := range map[string]func(r *render.Record) (format, zone string){
		"unknown format":           func(*render.Record) (string, string) { return "xml", zone },
		`zone ""`:                  func(*render.Record) (string, string) { return "zone", "" },
		`zone "a b"`:               func(*render.Record) (string, string) { return "zone", "a b" },
		`record name "a\n`:         func(r *render.Record) (string, string) { r.Name = "a\n." + zone; return "zone", zone },
		"an empty label":           func(r *render.Record) (string, string) { r.Name = "a.." + zone; return "zone", zone },
		"control character":        func(r *render.Record) (string, string) { r.Value = "a\nb"; return "line", zone },
		"text is empty":            func(r *render.Record) (string, string) { r.Value = ""; return "line", zone },
		"is not UTF-8":             func(r *render.Record) (string, string) { r.Value = "a\xff"; return "json", zone },
		"too many":                 func(r *render.Record) (string, string) { r.Value = strings.Repeat("x", 65000); return "json", zone },
		"-1 seconds":               func(r *render.Record) (string, string) { r.TTL = -1; return "zone", zone },
		"Cloudflare":               func(r *render.Record) (string, string) { r.TTL = 30; return "cloudflare", zone },
		"does not take":            func(r *render.Record) (string, string) { r.TTL = 30; return "terraform", zone },
		"octoDNS":                  func(*render.Record) (string, string) { return "octodns", zone },
		"dnsconfig.js":             func(*render.Record) (string, string) { return "dnscontrol", zone },
		`type "A"`:                 func(r *render.Record) (string, string) { r.Type = "A"; return "zone", zone },
		`preference and host "mx"`: func(r *render.Record) (string, string) { r.Type, r.Value = "MX", "mx"; return "zone", zone },
		`host "1 a b"`:             func(r *render.Record) (string, string) { r.Type, r.Value = "MX", "1 a b"; return "zone", zone },
		`host "70000 ."`:           func(r *render.Record) (string, string) { r.Type, r.Value = "MX", "70000 ."; return "zone", zone },
	} {
		r := good
		format, zone := test(&r)
		if text, err := render.Records(format, zone, []render.Record{r}); err == nil || !strings.Contains(finding.Text(err), say) {
			t.Errorf("%s: got error %v and text %q", say, err, text)
		}
	}
}

func TestCaution(t *testing.T) {
	spf := []render.Record{{Name: zone, Type: "TXT"}, {Name: "_dmarc." + zone, Type: "TXT"}}
	for format, want := range map[string]string{
		"zone": "", "table": "", "terraform": "",
		"nsupdate": "not taken out", "cloudflare": "replaces none", "route53": "fails if", "terraform-route53": "one set",
	} {
		if err := render.Caution(format, spf); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", format, err)
		}
		if err := render.Caution(format, spf[1:]); err != nil && format != "cloudflare" {
			t.Errorf("%s without SPF: got %v", format, err)
		}
	}
}
