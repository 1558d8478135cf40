package mailbox

import (
	"fmt"

	"signpost/milter/reports"
	"signpost/milter/reports/mailbox/mailboxtest"
)

func config(s *mailboxtest.Server, scheme, folder string) Config {
	return Config{
		URL:      fmt.Sprintf("%s://dmarc@example.org@127.0.0.1:%d/%s", scheme, s.Port, folder),
		Password: "secret", CAFile: s.CAFile,
	}
}

const ordinary = "From: a@example.org\r\nSubject: lunch\r\n\r\nHungry yet?\r\n"

// reported is a message with an aggregate report.
func reported(id string) string {
	return "From: dmarc@mail.example\r\nSubject: Report\r\nContent-Type: text/xml; name=r.xml\r\n\r\n" +
		`<feedback><report_metadata><org_name>mail.example</org_name><report_id>` + id + `</report_id>
<date_range><begin>1764288000</begin><end>1764374399</end></date_range></report_metadata>
<policy_published><domain>example.org</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>2</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.org</header_from></identifiers><auth_results></auth_results></record></feedback>` + "\r\n"
}

// line says what was found.
func line(f reports.Found) string {
	switch {
	case f.Err != nil:
		return f.Where + ": " + f.Err.Error()
	case f.Report != nil:
		return f.Where + ": report " + f.Report.ID
	}
	return f.Where + ": without: " + string(f.Without)
}
