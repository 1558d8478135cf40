package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// aggregate makes reports, as receivers send them, of the last days:
//
//	aggregate DIR DOMAIN POLICY DAYS REPORTERS ROW ...
//
// POLICY is that of p=, REPORTERS have commas between. Each ROW is in each report:
// ADDRESS COUNT DKIM SPF, which are pass or fail as evaluated, and then perhaps
// s=DOMAIN/SELECTOR/RESULT of a signature, f=DOMAIN/RESULT of SPF, from=DOMAIN, and
// why=REASON.
func aggregate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 6 {
		ts.Fatalf("usage: aggregate DIR DOMAIN POLICY DAYS REPORTERS ROW ...")
	}
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	days := 0
	fmt.Sscan(args[3], &days)
	today := time.Now().UTC().Truncate(24 * time.Hour)
	for back := days; back > 0; back-- {
		for reporter := range strings.SplitSeq(args[4], ",") {
			begin := today.AddDate(0, 0, -back)
			text := aggregateReport(reporter, args[1], args[2], begin, args[5:])
			name := fmt.Sprintf("%s!%s!%d.xml", reporter, args[1], begin.Unix())
			ts.Check(os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
		}
	}
}

func aggregateReport(reporter, domain, policy string, begin time.Time, rows []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, `<?xml version="1.0" encoding="UTF-8"?>
<feedback><version>1.0</version>
<report_metadata><org_name>%s</org_name><email>dmarc@%s</email><report_id>%s-%d</report_id>
<date_range><begin>%d</begin><end>%d</end></date_range></report_metadata>
<policy_published><domain>%s</domain><adkim>r</adkim><aspf>r</aspf><p>%s</p><pct>100</pct></policy_published>
`, reporter, reporter, domain, begin.Unix(), begin.Unix(), begin.Unix()+86399, domain, policy)
	for _, row := range rows {
		words := strings.Fields(row)
		from, reason, results := domain, "", ""
		for _, word := range words[4:] {
			kind, value, _ := strings.Cut(word, "=")
			parts := strings.Split(value, "/")
			switch kind {
			case "from":
				from = value
			case "why":
				reason = "<reason><type>" + value + "</type><comment></comment></reason>"
			case "s":
				results += fmt.Sprintf("<dkim><domain>%s</domain><selector>%s</selector><result>%s</result></dkim>", parts[0], parts[1], parts[2])
			case "f":
				results += fmt.Sprintf("<spf><domain>%s</domain><scope>mfrom</scope><result>%s</result></spf>", parts[0], parts[1])
			}
		}
		fmt.Fprintf(&b, "<record><row><source_ip>%s</source_ip><count>%s</count><policy_evaluated><disposition>none</disposition>"+
			"<dkim>%s</dkim><spf>%s</spf>%s</policy_evaluated></row><identifiers><header_from>%s</header_from></identifiers>"+
			"<auth_results>%s</auth_results></record>\n", words[0], words[1], words[2], words[3], reason, from, results)
	}
	return b.String() + "</feedback>\n"
}
