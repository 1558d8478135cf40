package report

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// parseFile parses a report of testdata.
func parseFile(t *testing.T, name string) *Report {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := Parse(f)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return r
}

var (
	begin = time.Date(2026, 11, 12, 0, 0, 0, 0, time.UTC)
	last  = begin.Add(24*time.Hour - time.Second)
	own   = netip.MustParseAddr("192.0.2.10")
)

// TestParse reads a report of each schema, and one with the worst of what reporters write.
func TestParse(t *testing.T) {
	t.Parallel()
	tests := map[string]*Report{
		"rfc7489.xml": {
			Reporter: "Receiver One", Email: "dmarc@receiver.example", ID: "20261112.1", Begin: begin, End: last,
			Domain: "example.org",
			Policy: Policy{P: "quarantine", SP: "reject", ADKIM: "r", ASPF: "s", Percent: 50},
			Rows: []Row{
				{
					Source: own, Count: 41, Disposition: "none", DKIM: true, SPF: true,
					From: "example.org", EnvelopeFrom: "example.org", EnvelopeTo: "receiver.example",
					Signatures: []Signature{{"example.org", "s2026", "pass"}},
					Senders:    []Sender{{"example.org", "mfrom", "pass"}},
				}, {
					Source: netip.MustParseAddr("2001:db8::25"), Count: 3, Disposition: "none",
					Reasons: []Reason{{"mailing_list", "list.example is known"}, {"local_policy", "arc=pass"}},
					From:    "news.example.org", EnvelopeFrom: "list.example",
					Signatures: []Signature{{"example.org", "s2026", "fail"}, {"list.example", "list", "pass"}},
					Senders:    []Sender{{"list.example", "mfrom", "pass"}},
				},
			},
		},
		"rfc9990.xml": {
			Reporter: "Receiver Two", Email: "dmarc@two.example", ID: "two-7@two.example", Begin: begin, End: last,
			Domain: "example.org",
			Policy: Policy{P: "reject", SP: "none", NP: "reject", Testing: true, Percent: 100},
			Rows: []Row{{
				Source: own, Count: 7, Disposition: "none", DKIM: true, From: "example.org",
				Reasons:    []Reason{{Type: "policy_test_mode"}},
				Signatures: []Signature{{"example.org", "s2026", "pass"}},
			}},
			Notes: []string{"the reporter says: rua of two domains (line 9)"},
		},
		"draft.xml": {
			Reporter: "Receiver Three", Email: "postmaster@three.example", ID: "3", Begin: begin, End: last.Add(time.Second),
			Domain: "example.org",
			Policy: Policy{P: "none", ADKIM: "r", ASPF: "r", Percent: 100},
			Rows: []Row{{
				Source: own, Count: 5, Disposition: "none", SPF: true, From: "example.org",
				Senders: []Sender{{"example.org", "", "pass"}},
			}, {
				// The raw pass of DKIM is no evaluated one.
				Source: netip.MustParseAddr("198.51.100.9"), Count: 2, From: "example.org",
				Signatures: []Signature{{"example.org", "", "pass"}},
			}},
			Notes: []string{"neither dkim nor spf is evaluated (policy_evaluated): counted as failed (line 9)"},
		},
		"broken.xml": {
			Reporter: "Fish & Chips", Email: "<dmarc@chips.example>", ID: "<1@chips.example>", Begin: begin, End: last,
			Domain: "example.org",
			Policy: Policy{P: "none", SP: "none", Percent: 100},
			Rows: []Row{{
				Source: own, Count: 1, Disposition: "quarantine", DKIM: true, From: "a<b.example.org",
				Reasons:    []Reason{{Type: "sampled_out"}},
				Signatures: []Signature{{"example.org", "", "pass"}},
				Senders:    []Sender{{"relay.example", "", "fail"}},
			}},
			Notes: []string{
				"date 1794441600000 is in smaller units than seconds (line 7)",
				`date "2026-11-12T23:59:59Z" is not in seconds since 1970 (line 7)`,
				"no count, read as 1 (line 13)",
				`a record is left out: source_ip "not.an.address" is not an address (line 24)`,
				"not well-formed XML",
			},
		},
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := parseFile(t, name)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

// plainReport is a report of 2 messages of 192.0.2.10 that passed. The tests change it.
const plainReport = `<?xml version="1.0"?>
<feedback>
<report_metadata><org_name>r.example</org_name><email>d@r.example</email><report_id>1</report_id>
<date_range><begin>1794441600</begin><end>1794527999</end></date_range></report_metadata>
<policy_published><domain>example.org</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.10</source_ip><count>2</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.org</header_from></identifiers>
<auth_results><dkim><domain>example.org</domain><selector>s</selector><result>pass</result></dkim></auth_results></record>
</feedback>`

// changed returns the plain report with texts replaced: old, new, old, new …
func changed(t *testing.T, changes ...string) string {
	t.Helper()
	s := plainReport
	for i := 0; i < len(changes); i += 2 {
		if !strings.Contains(s, changes[i]) {
			t.Fatalf("the report has no %q", changes[i])
		}
		s = strings.Replace(s, changes[i], changes[i+1], 1)
	}
	return s
}

// TestParseOddities changes one thing in a report, and sees how it is read and what is noted.
func TestParseOddities(t *testing.T) {
	t.Parallel()
	const passes = "2 of 192.0.2.10 pass none"
	tests := map[string]struct {
		changes []string
		want    string // as said by summary
		note    string // in one of the notes, or empty for no notes
	}{
		"nothing":            {nil, passes, ""},
		"blanks before":      {[]string{"<?xml", "\r\n \t<?xml"}, passes, ""},
		"byte order mark":    {[]string{"<?xml", "\ufeff<?xml"}, passes, ""},
		"text after":         {[]string{"</feedback>", "</feedback>\n-- \nsent by r & <b>"}, passes, ""},
		"upper case":         {[]string{">pass<", ">PASS<", "none</disp", "NONE</disp"}, passes, ""},
		"upper-case element": {[]string{"<count>2</count>", "<Count>2</COUNT>"}, passes, ""},
		"blanks in results":  {[]string{">pass<", "> pass\n<", "none</disp", "\tnone </disp"}, passes, ""},
		"CDATA":              {[]string{">pass<", "><![CDATA[pass]]><"}, passes, ""},
		"comment":            {[]string{">pass<", "><!-- <fail> -->pa<!----->ss<"}, passes, ""},
		"characters":         {[]string{">pass<", ">p&#97;&#x73;s<"}, passes, ""},
		"no result at all": {
			[]string{"<dkim>pass</dkim><spf>fail</spf>", ""}, "2 of 192.0.2.10 fail none", "neither dkim nor spf",
		},
		"empty results": {
			[]string{"<dkim>pass</dkim><spf>fail</spf>", "<dkim/><spf></spf>"}, "2 of 192.0.2.10 fail none",
			"neither dkim nor spf",
		},
		"no policy_evaluated": {
			[]string{"<policy_evaluated>", "<other>", "</policy_evaluated>", "</other>"}, "2 of 192.0.2.10 fail ",
			"counted as failed",
		},
		"one result": {[]string{"<spf>fail</spf>", ""}, passes, ""},
		"results of SPF": {
			[]string{"<dkim>pass</dkim><spf>fail", "<dkim>none</dkim><spf>softfail"},
			"2 of 192.0.2.10 fail none", "",
		},
		"no disposition": {[]string{"none</disp", "</disp"}, "2 of 192.0.2.10 pass ", ""},
		"odd disposition": {
			[]string{"none</disp", "delivered</disp"},
			"2 of 192.0.2.10 pass ", `<disposition> is "delivered"`,
		},
		"passing":        {[]string{"none</disp", "pass</disp"}, passes, ""},
		"no count":       {[]string{"<count>2</count>", ""}, "1 of 192.0.2.10 pass none", "no count, read as 1"},
		"empty count":    {[]string{"<count>2", "<count>"}, "1 of 192.0.2.10 pass none", "no count, read as 1"},
		"count in words": {[]string{"<count>2", "<count>two"}, "1 of 192.0.2.10 pass none", `count is "two"`},
		"count of 2.0":   {[]string{"<count>2", "<count>2.0"}, passes, ""},
		"count of 2.5":   {[]string{"<count>2", "<count>2.5"}, passes, `count is "2.5"`},
		"huge count": {
			[]string{"<count>2", "<count>100000001"}, "100000000 of 192.0.2.10 pass none", "count 100000001 is too large",
		},
		"count beyond 64 bits": {
			[]string{"<count>2", "<count>99999999999999999999"}, "100000000 of 192.0.2.10 pass none", "is too large",
		},
		"mapped address": {[]string{"192.0.2.10", "::ffff:192.0.2.10"}, passes, ""},
		"blanks in it":   {[]string{"192.0.2.10", " 192. 0.2.10\n"}, passes, ""},
		"zone":           {[]string{"192.0.2.10", "fe80::1%eth0"}, "2 of fe80::1 pass none", ""},
		"brackets":       {[]string{"192.0.2.10", "[IPv6:2001:DB8::1]"}, "2 of 2001:db8::1 pass none", ""},
		"milliseconds":   {[]string{"<begin>1794441600", "<begin>1794441600123"}, passes, "smaller units"},
		"nanoseconds":    {[]string{"<begin>1794441600", "<begin>1794441600123456789"}, passes, "smaller units"},
		"fraction":       {[]string{"<begin>1794441600", "<begin>1794441600.5"}, passes, ""},
		"ISO date":       {[]string{"<begin>1794441600", "<begin>2026-11-12"}, passes, `date "2026-11-12"`},
		"ISO with blank": {[]string{"<begin>1794441600", "<begin>2026-11-12 00:00:00"}, passes, "not in seconds"},
		"ISO with zone": {
			[]string{"<begin>1794441600", "<begin>2026-11-12T01:00:00+0100"},
			passes, "not in seconds",
		},
		"swapped dates": {
			[]string{"<begin>1794441600", "<begin>1794527999", "<end>1794527999", "<end>1794441600"},
			passes, "swapped",
		},
		"a long period": {[]string{"<end>1794527999", "<end>1804527999"}, passes, "116 days long"},
		"two policies": {
			[]string{"</policy_published>", "</policy_published><policy_published><domain>x.example</domain>" +
				"</policy_published>"},
			passes, "more than one policy_published",
		},
		"two rows":        {[]string{"</row>", "</row><row><count>9</count></row>"}, passes, "more than one row"},
		"odd policy":      {[]string{"<p>none", "<p>refuse"}, passes, `<p> is "refuse"`},
		"odd percentage":  {[]string{"<p>", "<pct>150</pct><p>"}, passes, `pct is "150"`},
		"no id":           {[]string{"<report_id>1</report_id>", ""}, passes, "no report_id"},
		"not well-formed": {[]string{"d@r.example", "<d@r.example>"}, passes, "not well-formed XML"},
		"end in a value": {
			[]string{"<record>", "<record><row><source_ip>192.0.2.1</source_ip></row><auth_results><dkim><domain>x.example" +
				"</feedback></domain></dkim></auth_results></record><record>"},
			"1 of 192.0.2.1 fail , 2 of 192.0.2.10 pass none", "a record behind </feedback>",
		},
		"no end":           {[]string{"</feedback>", ""}, passes, "no </feedback>"},
		"unknown encoding": {[]string{`"1.0"`, `"1.0" encoding="x-klingon"`}, passes, `encoding "x-klingon"`},
		"not UTF-16":       {[]string{`"1.0"`, `"1.0" encoding="utf-16"`}, passes, ""},
		"unknown elements": {[]string{"<count>", "<hint><count>5</count></hint><count>"}, passes, ""},
		"of no message": {
			[]string{"<record>", "<record><row><source_ip>192.0.2.1</source_ip><count>0</count></row></record><record>"},
			passes, "a record of no messages (line 6)",
		},
		"of less than none": {
			[]string{"<record>", "<record><row><source_ip>192.0.2.1</source_ip><count>-3</count></row></record><record>"},
			passes, "count is -3",
		},
		"reports nothing": {
			[]string{"<record>", "<x>", "</record>", "</x>"},
			"", "no messages: the report tells of none",
		},
		"reports no messages": {
			[]string{"192.0.2.10", "", "<count>2", "<count>0"}, "", "no messages: the report tells of none",
		},
		"no row": {[]string{"<record>", "<record></record><record>"}, passes, "no row in the record"},
		"no source": {
			[]string{"<record>", "<record><row><count>1</count></row></record><record>"}, passes, "no source_ip",
		},
		"long comment": {
			[]string{"<spf>fail</spf>", "<spf>fail</spf><reason><type>other</type><comment>" + strings.Repeat("long ", 300) +
				"</comment></reason>"}, passes, "<comment> is cut off after 1000 bytes",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Parse(strings.NewReader(changed(t, test.changes...)))
			if err != nil {
				t.Fatal(err)
			}
			if got := summary(r); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			if !r.Begin.Truncate(time.Second).Equal(begin) {
				t.Errorf("begin %v, want %v", r.Begin, begin)
			}
			notes := strings.Join(r.Notes, "\n")
			if test.note == "" && notes != "" || !strings.Contains(notes, test.note) {
				t.Errorf("notes %q, want %q", notes, test.note)
			}
		})
	}
}

// summary says what counts of the rows of a report.
func summary(r *Report) string {
	var parts []string
	for i := range r.Rows {
		row := &r.Rows[i]
		result := "fail"
		if row.Passed() {
			result = "pass"
		}
		parts = append(parts, fmt.Sprintf("%d of %s %s %s", row.Count, row.Source, result, row.Disposition))
	}
	return strings.Join(parts, ", ")
}

// TestParseErrors sees that what cannot be read is refused, and that the error says where.
func TestParseErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ report, want string }{
		"nothing": {"", "not an aggregate report: no XML in it"},
		"no XML":  {"unused", "not an aggregate report: no XML in it"},
		"a page":  {"<html><body>gone</body></html>", "not an aggregate report: it has a <html> and no <feedback>"},
		"document type": {
			`<!DOCTYPE feedback [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + plainReport,
			"not an aggregate report: line 1: a document type (<!DOCTYPE>) is refused: no report has one",
		},
		"later document type": {
			changed(t, "<count>", "<!doctype x SYSTEM 'file:///etc/passwd'><count>"),
			"line 6: a document type (<!DOCTYPE>) is refused: no report has one",
		},
		"no domain": {changed(t, "<domain>example.org</domain><p>", "<p>"), "line 10: no <domain> in <policy_published>"},
		"no dates": {
			changed(t, "1794441600", "", "1794527999", "tomorrow"),
			"line 10: no date in <begin> and <end> of <date_range>",
		},
		"no usable record": {
			changed(t, "192.0.2.10", ""), "no record that makes sense: line 6: no source_ip",
		},
		"breaks off behind a row": {
			strings.Replace(plainReport, "</auth_results></record>\n</feedback>", "", 1),
			"line 9: the report breaks off in <auth_results>",
		},
		"breaks off behind a record": {
			changed(t, "</feedback>", "<record>"), "line 10: the report breaks off in <record>",
		},
		"hides the rest": {
			changed(t, "<selector>s", "<selector><!--"), "line 10: the report breaks off in <selector>",
		},
		"breaks off": {plainReport[:strings.Index(plainReport, "192.")+3], "line 6: the report breaks off in <source_ip>"},
		"nested":     {changed(t, "<count>", strings.Repeat("<a>", 100)), "line 6: elements are nested more than 32 deep"},
		"long tag": {
			changed(t, "<count>", "<a "+strings.Repeat("x", window)+">"), "line 6: a tag of more than 65536 bytes",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := Parse(strings.NewReader(test.report))
			if err == nil || err.Error() != test.want {
				t.Errorf("got %+v, %v, want %s", r, err, test.want)
			}
		})
	}
}

// TestParseEncodings reads a name that is not ASCII in other encodings.
func TestParseEncodings(t *testing.T) {
	t.Parallel()
	declared := func(encoding string) []byte {
		return []byte(changed(t, `"1.0"`, `"1.0" encoding="`+encoding+`"`, "r.example</org", "Empfänger</org"))
	}
	latin, _ := charmap.Windows1252.NewEncoder().Bytes(declared("windows-1252"))
	little, _ := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().Bytes(declared("utf-16"))
	big, _ := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewEncoder().Bytes(declared("utf-16"))
	tests := map[string]struct {
		report []byte
		want   string
	}{
		"UTF-8":                {declared("UTF-8"), "Empfänger"},
		"windows-1252":         {latin, "Empfänger"},
		"iso-8859-1":           {bytes.Replace(latin, []byte("windows-1252"), []byte("ISO-8859-1"), 1), "Empfänger"},
		"UTF-16LE with a mark": {little, "Empfänger"},
		"UTF-16BE without":     {big, "Empfänger"},
		"invalid UTF-8":        {bytes.Replace(latin, []byte("windows-1252"), []byte("utf-8"), 1), "Empf\ufffdnger"},
	}
	for name, test := range tests {
		r, err := Parse(bytes.NewReader(test.report))
		if err != nil || r.Reporter != test.want || summary(r) != "2 of 192.0.2.10 pass none" {
			t.Errorf("%s: got %+v, %v", name, r, err)
		}
		if Sniff(test.report[:200]) != Aggregate {
			t.Errorf("%s: not sniffed", name)
		}
	}
}

// TestParseReporter falls back on the address of a reporter without a name.
func TestParseReporter(t *testing.T) {
	t.Parallel()
	for changes, want := range map[[2]string]string{
		{"<org_name>r.example</org_name>", ""}:                                          "r.example",
		{"<org_name>r.example</org_name>", "<org_name/>"}:                               "r.example",
		{"<org_name>r.example</org_name><email>d@r.example</email>", "<email></email>"}: "unknown",
	} {
		r, err := Parse(strings.NewReader(changed(t, changes[0], changes[1])))
		if err != nil || r.Reporter != want {
			t.Errorf("%q: got %+v, %v, want %s", changes, r, err, want)
		}
	}
}

// TestParseBounds sees that what one record can hold is bounded.
func TestParseBounds(t *testing.T) {
	t.Parallel()
	var many, reasons strings.Builder
	for i := range 500 {
		fmt.Fprintf(&many, "<dkim><domain>d%d.example</domain><result>pass</result></dkim>", i)
		fmt.Fprintf(&many, "<spf><domain>d%d.example</domain><result>pass</result></spf>", i)
		fmt.Fprintf(&reasons, "<reason><type>t%d</type></reason>", i)
	}
	r, err := Parse(strings.NewReader(changed(t, "<auth_results>", "<auth_results>"+many.String(),
		"<dkim>pass", reasons.String()+"<dkim>pass")))
	if err != nil {
		t.Fatal(err)
	}
	row := r.Rows[0]
	if len(row.Signatures) != maxSignatures || len(row.Senders) != maxSenders || len(row.Reasons) != maxReasons {
		t.Errorf("%d signatures, %d senders, %d reasons", len(row.Signatures), len(row.Senders), len(row.Reasons))
	}
	if len(r.Notes) != 3 {
		t.Errorf("notes %q", r.Notes)
	}
	var errs strings.Builder
	for i := range 500 {
		fmt.Fprintf(&errs, "<error>%d</error>", i)
	}
	if r, err = Parse(strings.NewReader(changed(t, "<report_id>", errs.String()+"<report_id>"))); err != nil {
		t.Fatal(err)
	}
	if n := len(r.Notes); n != maxNotes+1 || r.Notes[n-1] != "and 480 more" {
		t.Errorf("%d notes, the last %q", n, r.Notes[n-1])
	}
}

// TestParseRepeated keeps equal results once, and rows share them.
func TestParseRepeated(t *testing.T) {
	t.Parallel()
	const dkim = "<dkim><domain>example.org</domain><selector>s</selector><result>pass</result></dkim>"
	_, record, _ := strings.Cut(plainReport, "<record>")
	record, _, _ = strings.Cut(record, "</feedback>")
	r, err := Parse(strings.NewReader(changed(t, dkim, dkim+dkim, "</feedback>", "<record>"+record+"</feedback>")))
	if err != nil {
		t.Fatal(err)
	}
	if want := []Signature{{"example.org", "s", "pass"}}; !reflect.DeepEqual(r.Rows[0].Signatures, want) {
		t.Errorf("got %v, want %v", r.Rows[0].Signatures, want)
	}
	if len(r.Rows) != 2 || &r.Rows[0].Signatures[0] != &r.Rows[1].Signatures[0] {
		t.Error("rows do not share their signatures")
	}
}

// TestParseResults reads raw results as the RFCs name them.
func TestParseResults(t *testing.T) {
	t.Parallel()
	for word, want := range map[string][2]string{ // of DKIM and of SPF
		"pass":                      {"pass", "pass"},
		"Fail (body hash)":          {"fail", "fail"},
		"hardfail":                  {"fail", "fail"},
		"SoftFail":                  {"softfail", "softfail"},
		"unknown":                   {"unknown", "temperror"},
		"error":                     {"error", "permerror"},
		"fail; reason=no key":       {"fail", "fail"},
		"":                          {"", ""},
		"\n  temperror\n          ": {"temperror", "temperror"},
	} {
		r, err := Parse(strings.NewReader(changed(t, "<result>pass</result></dkim>", "<result>"+word+"</result></dkim>"+
			"<spf><domain>example.org</domain><scope>MFROM</scope><result>"+word+"</result></spf>")))
		if err != nil {
			t.Fatal(err)
		}
		got := [2]string{r.Rows[0].Signatures[0].Result, r.Rows[0].Senders[0].Result}
		if got != want || r.Rows[0].Senders[0].Scope != "mfrom" {
			t.Errorf("%q: got %q, want %q", word, got, want)
		}
	}
}
