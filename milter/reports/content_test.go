package reports

import (
	"strings"
	"testing"
)

func TestContent(t *testing.T) {
	t.Parallel()
	xml := testReport("1")
	for name, test := range map[string]struct{ in, want string }{
		"XML":                      {xml, "stdin: report 1"},
		"XML after blank lines":    {"\r\n\n  " + xml, "stdin: report 1"},
		"XML with a mark":          {"\ufeff" + xml, "stdin: report 1"},
		"gzip":                     {gzipped(xml), "stdin: report 1"},
		"gzip with a line end":     {gzipped(xml) + "\r\n", "stdin: report 1"},
		"gzip of two members":      {gzipped(xml[:300]) + gzipped(xml[300:]), "stdin: report 1"},
		"several XML":              {xml + testReport("2") + xml, "stdin: report 1|stdin: report 2: report 2|stdin: report 3: report 1"},
		"several in gzip":          {gzipped(xml) + gzipped(testReport("2")), "stdin: report 1|stdin: report 2: report 2"},
		"several in a part":        {mail("", xml+testReport("2")), "stdin: part 2: report 1"},
		"TLS and XML":              {testTLS + xml, "stdin: error "},
		"zip":                      {zipped("a.xml", xml), "stdin: a.xml: report 1"},
		"zip of many":              {zipped("a", xml, "d/", "", "d/b.txt", "x", "d/c", testReport("2")), "stdin: a: report 1|stdin: d/c: report 2"},
		"zip with what follows":    {zipped("a.xml", xml) + "\r\n", "stdin: a.xml: report 1"},
		"several zips":             {zipped("a.xml", xml) + zipped("b.xml", testReport("2")), "stdin: error several archives in one, of which only one is read|stdin: a.xml: report 1"},
		"gzip in zip":              {zipped("a.xml.gz", gzipped(xml)), "stdin: a.xml.gz: report 1"},
		"zip in gzip":              {gzipped(zipped("a.xml", xml)), "stdin: a.xml: report 1"},
		"zip in zip":               {zipped("a.zip", zipped("a.xml", xml)), "stdin: a.zip: a.xml: report 1"},
		"zip slip":                 {zipped("../../etc/passwd", xml), "stdin: ../../etc/passwd: report 1"},
		"TLS":                      {testTLS, "stdin: tls tls.example"},
		"TLS in gzip":              {gzipped(testTLS), "stdin: tls tls.example"},
		"message":                  {mail(attached, inBase64(zipped("a.xml", xml))), "stdin: r.zip: a.xml: report 1"},
		"message in gzip":          {gzipped(mail(attached, inBase64(gzipped(xml)))), "stdin: r.zip: report 1"},
		"message, long field":      {"X-Long: " + strings.Repeat("x", 9000) + "\r\n" + mail("", xml), "stdin: part 2: report 1"},
		"message with a mark":      {"\ufeff" + ordinary, "stdin: no report: message"},
		"links":                    {"https://example.org: see\n", "stdin: no report: file"},
		"mailbox":                  {mailbox(ordinary, mail(attached, inBase64(gzipped(xml)))), "stdin: message 1: no report: message|stdin: message 2: r.zip: report 1"},
		"mailbox in gzip":          {gzipped(mailbox(ordinary, ordinary)), "stdin: message 1: no report: message|stdin: message 2: no report: message"},
		"empty":                    {"", "stdin: no report: file"},
		"text":                     {"hello\n", "stdin: no report: file"},
		"other XML":                {"<?xml version='1.0'?><invoice/>", "stdin: no report: file"},
		"other JSON":               {`{"a": 1}`, "stdin: no report: file"},
		"other zip":                {zipped("a.txt", "x"), "stdin: no report: file"},
		"empty zip":                {zipped(), "stdin: no report: file"},
		"zip of messages":          {zipped("1.eml", ordinary, "2.eml", ordinary), "stdin: 1.eml: no report: message|stdin: 2.eml: no report: message"},
		"XML that is cut off":      {xml[:400], "stdin: error "},
		"gzip that is cut off":     {gzipped(xml)[:300], "stdin: error damaged: unexpected EOF"},
		"gzip, header only":        {"\x1f\x8b\x08", "stdin: error damaged: unexpected EOF"},
		"gzip of another method":   {"\x1f\x8b\x07\x00\x00\x00\x00\x00\x00\x00", "stdin: error damaged: gzip: invalid header"},
		"zip that is cut off":      {zipped("a.xml", xml)[:300], "stdin: error damaged: zip: not a valid zip file"},
		"zip of another method":    {strings.ReplaceAll(zipped("a.xml", xml), "\x14\x00\x08\x00\x08\x00", "\x14\x00\x08\x00\x0e\x00"), "stdin: a.xml: error damaged: zip: unsupported compression algorithm"},
		"encrypted zip":            {strings.ReplaceAll(zipped("a.xml", xml), "\x14\x00\x08\x00", "\x14\x00\x09\x00"), "stdin: a.xml: error encrypted"},
		"one of two is damaged":    {zipped("a", gzipped(xml)[:250], "b", testReport("2")), "stdin: a: error damaged: unexpected EOF|stdin: b: report 2"},
		"text that names a report": {"see <feedback>", "stdin: no report: file"},
	} {
		got := strings.Join(read(t, test.in, DefaultLimits(), "-"), "|")
		if got != test.want && !(strings.HasSuffix(test.want, "error ") && strings.HasPrefix(got, test.want)) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

// What is hostile ends at a limit, which is named.
func TestLimits(t *testing.T) {
	t.Parallel()
	limits := Limits{Unpacked: 100_000, Total: 300_000, Message: 50_000, Members: 5, Depth: 2}
	long := strings.Replace(testReport("long"), "  <record>", strings.Repeat(" ", 100_000)+"<record>", 1)
	half := strings.Replace(testReport("half"), "  <record>", strings.Repeat(" ", 70_000)+"<record>", 1)
	var five []string
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		five = append(five, name, testReport(name))
	}
	for name, test := range map[string]struct{ in, want string }{
		"bare":           {long, "stdin: error larger than 100000 bytes unpacked"},
		"gzip":           {gzipped(long), "stdin: error larger than 100000 bytes unpacked"},
		"zip":            {zipped("a", long, "b", testReport("2")), "stdin: a: error larger than 100000 bytes unpacked|stdin: b: report 2"},
		"total":          {zipped("a", half, "b", half, "c", half, "d", half, "e", half), "stdin: a: report half|stdin: b: report half|stdin: c: report half|stdin: d: report half|stdin: e: error larger than 300000 bytes unpacked"},
		"zip in zip":     {zipped("a", zipped("b", zipped("c", testReport("1")))), "stdin: a: b: error more than 2 archives or messages in each other"},
		"two in another": {zipped("a", zipped("b", testReport("1"))), "stdin: a: b: report 1"},
		"five members":   {zipped(five...), "stdin: a: report a|stdin: b: report b|stdin: c: report c|stdin: d: report d|stdin: e: report e"},
		"six members": {zipped(append(five, "f", "x", "g", "x")...),
			"stdin: a: report a|stdin: b: report b|stdin: c: report c|stdin: d: report d|stdin: e: report e|stdin: error more than 5 parts"},
		"directory": {zipped(many(7_000)...), "stdin: error damaged: an archive of more than 5 members"},
		"message in message": {mail("Content-Type: message/rfc822", strings.ReplaceAll(mail("Content-Type: message/rfc822", "From: a@b.example\r\n\r\n"+testReport("1")), "b=_1", "c=_2")),
			"stdin: part 2: part 2: error more than 2 archives or messages in each other"},
		"long message": {mail(attached, inBase64(strings.Repeat("x", 40_000))+inBase64("x")), "stdin: no report: message"},
		"long report in a message": {mail("Content-Type: text/xml", half),
			"stdin: part 2: error"},
	} {
		got := strings.Join(read(t, test.in, limits, "-"), "|")
		if got != test.want && !(strings.HasSuffix(test.want, "error") && strings.HasPrefix(got, test.want) &&
			strings.HasSuffix(got, "only the first 50000 bytes of the message were read")) {
			t.Errorf("%s:\n got %.300s\nwant %s", name, got, test.want)
		}
	}
}

func many(count int) (members []string) {
	for range count {
		members = append(members, "a", "")
	}
	return members
}
