package status

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	dmarc "signpost/keystore/report/tally"
	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

// reportedOn are some domains with what the reports say of them, and of a key.
func reportedOn() []view.Domain {
	domains := someDomains()
	last := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	domains[0].DMARC = &view.DMARC{Last: last, Reports: 213, Reporters: 7, Messages: dmarc.Count{Passed: 41203, Failed: 9}, Policy: "none",
		Verdict: dmarc.Verdict{Safe: dmarc.Safe, Next: "quarantine", Text: "p=quarantine is safe for example.org: 41,203 messages",
			Record: "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org"}}
	domains[3].DMARC = &view.DMARC{Last: last, Reports: 1, Reporters: 1, Messages: dmarc.Count{Failed: 213}, Policy: "none",
		Verdict: dmarc.Verdict{Safe: dmarc.NotYet, Text: "not yet", Against: []dmarc.Reason{
			{What: "213 messages of 198.51.100.20 are unaligned", Do: "set up DKIM there", NotMine: "crm.example"}}}}
	domains[0].Keys[1].Reports = &rotation.Testimony{Text: "mail is still used by 198.51.100.7", Prolongs: true,
		Sighting: dmarc.Sighting{Last: last, Source: netip.MustParseAddr("198.51.100.7")}}
	return domains
}

// withReports has a source read reports.
func withReports(source *Source, domains []view.Domain) *Source {
	counts := make(map[string]int)
	for _, d := range domains {
		if d.DMARC != nil {
			counts[string(d.DMARC.Verdict.Safe)]++
		}
	}
	source.Reports = func() *view.Reports {
		return &view.Reports{Path: "/var/mail/dmarc", Read: noon.Add(-time.Minute), Files: 214, Reports: 214, Unreadable: 2, Domains: counts}
	}
	source.Verdicts = func(yield func(string, *view.DMARC) bool) {
		for _, d := range domains {
			if d.DMARC != nil && !yield(d.Name, d.DMARC) {
				return
			}
		}
	}
	return source
}

// The page of a domain, its row and the files say what receivers report, and nothing of it
// when no reports are read.
func TestReports(t *testing.T) {
	t.Parallel()
	plainSource := sourceOf(someDomains())
	without := serve(t, plainSource, recorderOf(plainSource, 0)).URL
	for _, path := range []string{"/", "/?domain=example.org", "/status.json"} {
		if _, body := get(t, without+path); strings.Contains(body, "eceivers report") || strings.Contains(body, `"dmarc"`) {
			t.Errorf("%s tells of reports", path)
		}
	}
	source := withReports(sourceOf(reportedOn()), reportedOn())
	with := serve(t, source, recorderOf(source, 0)).URL
	_, body := get(t, with+"/")
	contains(t, body, "A stricter DMARC policy is safe for 1 domain, not yet for 1; of 0 the reports", "214 reports in 214 files of <bdi>/var/mail/dmarc</bdi>",
		"2 cannot be read", "mail is still used by 198.51.100.7")
	_, body = get(t, with+"/?domain=example.org")
	contains(t, body, `<span class="badge good"><span aria-hidden="true">●</span> safe</span>`, "p=quarantine is safe for example.org",
		"41\u202f203 messages passed DMARC and 9 failed, in 213 reports by 7 receivers", "24 November 2026",
		"<code>_dmarc.example.org</code>", "v=DMARC1; p=quarantine; rua=mailto:dmarc@example.org",
		"Receivers report: <bdi>mail is still used by 198.51.100.7</bdi>")
	_, body = get(t, with+"/?domain=quiet.example")
	contains(t, body, `<span class="badge wait">`, "213 messages of 198.51.100.20 are unaligned", "set up DKIM there",
		"If it is not yours: <code>--not-mine crm.example</code>")
	_, body = get(t, with+"/?domain=missing.example")
	contains(t, body, "No report on it yet")

	shown := read[view.View](t, with+"/status.json")
	verdicts := ""
	for _, d := range shown.Domains {
		if d.DMARC != nil {
			verdicts += d.Name + " " + string(d.DMARC.Verdict.Safe) + ";"
		}
	}
	if shown.Reports == nil || shown.Reports.Reports != 214 || verdicts != "example.org safe;quiet.example not yet;" {
		t.Errorf("%+v, %s", shown.Reports, verdicts)
	}
	for _, row := range rowsOf(t, with+"/domains.csv") {
		if row["domain"] == "example.org" && (row["dmarc_verdict"] != "safe" || row["dmarc_last_report"] != "2026-11-24" ||
			row["dmarc_passed"] != "41203" || row["dmarc_failed"] != "9" || !strings.HasPrefix(row["dmarc_says"], "p=quarantine")) ||
			row["domain"] == "missing.example" && row["dmarc_verdict"] != "" {
			t.Errorf("%v", row)
		}
	}
	if rows := rowsOf(t, with+"/keys.csv?domain=example.org"); rows[1]["reports"] != "mail is still used by 198.51.100.7" {
		t.Errorf("%v", rows)
	}
	source.Reports = func() *view.Reports {
		return &view.Reports{Path: "/var/mail/dmarc", Failing: noon.Add(-time.Hour), Why: "permission <denied>"}
	}
	_, body = get(t, with+"/?domain=missing.example")
	contains(t, body, "The DMARC reports cannot be read", "permission &lt;denied&gt;", "Nothing is known of them", "No report on it yet: they are being read")
}

// Reports are mail that anybody can send.
func TestHostileReports(t *testing.T) {
	t.Parallel()
	for _, evil := range []string{hostile()[0].Name, "=HYPERLINK(1)", "\x1b[31m\u202e", "\xff"} {
		domains := someDomains()[:1]
		domains[0].DMARC = &view.DMARC{Policy: evil, Verdict: dmarc.Verdict{Safe: dmarc.NotYet, Text: evil, Lacking: []string{evil}, Notes: []string{evil},
			Against: []dmarc.Reason{{What: evil, Do: evil, NotMine: evil}}, Record: evil}}
		domains[0].Keys[0].Reports = &rotation.Testimony{Text: evil, Prolongs: true}
		source := withReports(sourceOf(domains), []view.Domain{{Name: evil, DMARC: domains[0].DMARC}, domains[0]})
		server := serve(t, source, recorderOf(source, 0)).URL
		for _, path := range []string{"/", "/?domain=example.org"} {
			_, body := get(t, server+path)
			if strings.Contains(body, "<script>document") || strings.Contains(body, "<img") || strings.ContainsAny(body, "\x1b\u202e") {
				t.Errorf("%q comes through at %s", evil, path)
			}
		}
		resp, body := get(t, server+"/metrics")
		if resp.StatusCode != 200 || !strings.Contains(body, `signpost_dmarc_verdict{domain="example.org",verdict="not yet"} 1`) {
			t.Errorf("%q: %s", evil, resp.Status)
		}
		for _, row := range rowsOf(t, server+"/domains.csv") {
			if strings.HasPrefix(row["dmarc_says"], "=") || strings.Contains(row["dmarc_says"], "\x1b") {
				t.Errorf("%q", row["dmarc_says"])
			}
		}
		get(t, server+"/keys.csv?"+url.Values{"domain": {"example.org"}}.Encode())
	}
}

// Of very many domains those not safe have metrics of their own, and all are counted.
func TestReportMetricsAreBounded(t *testing.T) {
	t.Parallel()
	domains := manyDomains(3000)
	for i := range domains {
		domains[i].DMARC = &view.DMARC{Last: noon, Verdict: dmarc.Verdict{Safe: dmarc.Safe}}
	}
	domains[2999].DMARC = &view.DMARC{Last: noon, Verdict: dmarc.Verdict{Safe: dmarc.NotYet}, Messages: dmarc.Count{Passed: 3, Failed: 4}}
	source := withReports(sourceOf(domains), domains)
	_, body := get(t, serve(t, source, recorderOf(source, 0)).URL+"/metrics")
	contains(t, body, `signpost_dmarc_domains{verdict="safe"} 2999`, `signpost_dmarc_domains{verdict="cannot say"} 0`, "signpost_reports_up 1",
		`signpost_dmarc_verdict{domain="d002999.example",verdict="not yet"} 1`, `signpost_dmarc_messages{domain="d002999.example",result="failed"} 4`,
		fmt.Sprintf(`signpost_dmarc_last_report_timestamp_seconds{domain="d002999.example"} %s`, "1.7"))
	if n := strings.Count(body, "\nsignpost_dmarc_verdict{"); n != DefaultKeys {
		t.Error(n, "domains have metrics")
	}
	promtool(t, body, "check", "metrics")
}
