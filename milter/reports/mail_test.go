package reports

import (
	"strings"
	"testing"
)

// However a reporter attaches a report, it is found.
func TestMail(t *testing.T) {
	t.Parallel()
	xml := testReport("1")
	packed := inBase64(gzipped(xml))
	inner := strings.ReplaceAll(mail(attached, packed), "b=_1", "c=_2")
	for name, test := range map[string]struct{ in, want string }{
		"base64":                {mail(attached, packed), "r.zip: report 1"},
		"octet-stream":          {mail("Content-Type: application/octet-stream\nContent-Transfer-Encoding: BASE64\nContent-Disposition: attachment; filename=x.gz", packed), "x.gz: report 1"},
		"no type":               {mail("Content-Transfer-Encoding: base64", packed), "part 2: report 1"},
		"no header":             {mail("", xml), "part 2: report 1"},
		"text/xml, 7bit":        {mail("Content-Type: text/xml; charset=us-ascii\nContent-Transfer-Encoding: 7bit", xml), "part 2: report 1"},
		"quoted-printable":      {mail("Content-Type: text/xml; name=\"r.xml\"\nContent-Transfer-Encoding: quoted-printable", inQuotedPrintable(xml)), "r.xml: report 1"},
		"quoted-printable, not": {mail("Content-Type: text/xml\nContent-Transfer-Encoding: quoted-printable", xml), "part 2: report 1"},
		"base64, not":           {mail("Content-Type: text/xml\nContent-Transfer-Encoding: base64", xml), "part 2: report 1"},
		"base64 of XML, unsaid": {mail("Content-Type: text/xml", inBase64(xml)), "part 2: report 1"},
		"base64, unsaid":        {mail("Content-Type: application/gzip", packed), "part 2: report 1"},
		"binary":                {mail("Content-Type: application/gzip\nContent-Transfer-Encoding: binary", gzipped(xml)), "part 2: report 1"},
		"base64 with a footer":  {mail(attached, inBase64(gzipped(xml+" "))+"\r\n_______\r\nlist mailing list\r\n"), "r.zip: report 1"},
		"folded file name": {mail("Content-Type: application/gzip;\n\tname=\n\t\"mail.example!example.org!1!2.xml.gz\"\nContent-Transfer-Encoding: base64", packed),
			"mail.example!example.org!1!2.xml.gz: report 1"},
		"RFC 2231": {mail("Content-Disposition: attachment; filename*0*=utf-8''mail.; filename*1*=ex%61mple.gz\nContent-Transfer-Encoding: base64", packed),
			"mail.example.gz: report 1"},
		"RFC 2047": {mail("Content-Disposition: attachment; filename=\"=?utf-8?Q?r=2Egz?=\"\nContent-Transfer-Encoding: base64", packed), "r.gz: report 1"},
		"8-bit file name, no quotes": {mail("Content-Disposition: attachment; filename=b\xe9richt 1.gz; x\nContent-Transfer-Encoding: base64", packed),
			"b\ufffdricht 1.gz: report 1"},
		"a path as file name":     {mail("Content-Disposition: attachment; filename=\"C:\\a/b\\..\\r.gz\"\nContent-Transfer-Encoding: base64", packed), "r.gz: report 1"},
		"malformed part header":   {mail("Content-Type: application/gzip\nContent-Transfer-Encoding: base64\nX\xff-y: 1", packed), "part 2: report 1"},
		"parameter, not indented": {mail("Content-Type: application/gzip;\nname=\"r.gz\"\nContent-Transfer-Encoding: base64", packed), "part 2: report 1"},
		"blank before colon":      {mail("Content-Type : application/gzip\nContent-Transfer-Encoding : base64", packed), "part 2: report 1"},
		"encoding and comment":    {mail("Content-Type: application/gzip\nContent-Transfer-Encoding: base64;", packed), "part 2: report 1"},
		"no end":                  {strings.Replace(mail(attached, packed), "\r\n--b=_1--\r\n", "", 1), "r.zip: report 1"},
		"another boundary":        {strings.Replace(mail(attached, packed), "boundary=\"b=_1\"", "boundary=\"b\"", 1), "r.zip: report 1"},
		"no boundary":             {strings.Replace(mail(attached, packed), "boundary=\"b=_1\"", "", 1), "r.zip: report 1"},
		"boundary, no quotes":     {strings.Replace(mail(attached, packed), "boundary=\"b=_1\"", "boundary=b=_1", 1), "r.zip: report 1"},
		"LF":                      {strings.ReplaceAll(mail(attached, packed), "\r\n", "\n"), "r.zip: report 1"},
		"nested": {mail("Content-Type: multipart/report; boundary=c", "--c\r\n\r\nx\r\n--c\r\n"+strings.ReplaceAll(attached, "\n", "\r\n")+"\r\n\r\n"+packed+"\r\n--c--"),
			"r.zip: report 1"},
		"forwarded":           {mail("Content-Type: message/rfc822", inner), "part 2: r.zip: report 1"},
		"forwarded in base64": {mail("Content-Type: message/rfc822; name=f.eml\nContent-Transfer-Encoding: base64", inBase64(inner)), "f.eml: r.zip: report 1"},
		"forwarded, untold":   {mail("Content-Type: application/octet-stream; name=f.eml\nContent-Transfer-Encoding: base64", inBase64(inner)), "f.eml: r.zip: report 1"},
		"by itself": {"From: a@b.example\r\nContent-Type: application/zip; name=a b.zip\r\nContent-Transfer-Encoding: base64\r\n\r\n" + inBase64(zipped("r.xml", xml)),
			"a b.zip: r.xml: report 1"},
		"TLS": {mail("Content-Type: application/tlsrpt+gzip; name=t.json.gz\nContent-Transfer-Encoding: base64", inBase64(gzipped(testTLS))), "t.json.gz: tls tls.example"},
		"TLS in a report": {strings.Replace(mail("Content-Type: application/tlsrpt+json", testTLS), "multipart/mixed", "multipart/report; report-type=\"tlsrpt\"", 1),
			"part 2: tls tls.example"},
		"both":    {mail(attached, packed+"\r\n--b=_1\r\nContent-Type: text/xml\r\n\r\n"+testReport("2")), "r.zip: report 1|part 3: report 2"},
		"cut off": {mail(attached, packed[:200]), "r.zip: error damaged: unexpected EOF"},
		"none":    {mail("Content-Type: text/html", "<html><p>feedback</p></html>"), "no report: message"},
	} {
		got := read(t, test.in, DefaultLimits(), "-")
		for i := range got {
			got[i] = strings.TrimPrefix(got[i], "stdin: ")
		}
		if got := strings.Join(got, "|"); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}
