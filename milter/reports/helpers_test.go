package reports

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"mime/quotedprintable"
	"slices"
	"strings"
	"testing"
)

// testReport is an aggregate report with an id.
func testReport(id string) string {
	return `<?xml version="1.0" encoding="UTF-8"?>
<feedback>
  <report_metadata>
    <org_name>mail.example</org_name><email>dmarc@mail.example</email><report_id>` + id + `</report_id>
    <date_range><begin>1764288000</begin><end>1764374399</end></date_range>
  </report_metadata>
  <policy_published><domain>example.org</domain><p>none</p><pct>100</pct></policy_published>
  <record>
    <row>
      <source_ip>192.0.2.1</source_ip><count>2</count>
      <policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated>
    </row>
    <identifiers><header_from>example.org</header_from></identifiers>
    <auth_results><dkim><domain>example.org</domain><selector>s1</selector><result>pass</result></dkim></auth_results>
  </record>
</feedback>
`
}

const testTLS = `{"organization-name": "tls.example", "date-range": {"start-datetime": "2026-11-28T00:00:00Z",
"end-datetime": "2026-11-28T23:59:59Z"}, "contact-info": "tls@tls.example", "report-id": "t1", "policies": []}`

func gzipped(content string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

// zipped packs names and contents, in turn.
func zipped(members ...string) string {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for pair := range slices.Chunk(members, 2) {
		header := &zip.FileHeader{Name: pair[0], Method: zip.Deflate}
		if pair[1] == "" {
			header.Method = zip.Store
		}
		m, err := w.CreateHeader(header)
		if err != nil {
			panic(err)
		}
		m.Write([]byte(pair[1]))
	}
	w.Close()
	return b.String()
}

func inBase64(content string) string {
	var b strings.Builder
	for line := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString([]byte(content))), 76) {
		b.Write(line)
		b.WriteString("\r\n")
	}
	return b.String()
}

func inQuotedPrintable(content string) string {
	var b strings.Builder
	w := quotedprintable.NewWriter(&b)
	w.Write([]byte(content))
	w.Close()
	return b.String()
}

// mail is a message with a part of plain text and one more.
func mail(header, body string) string {
	return "From: dmarc@mail.example\r\nSubject: Report Domain: example.org\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: multipart/mixed;\r\n\tboundary=\"b=_1\"\r\n\r\nThis is MIME.\r\n" +
		"--b=_1\r\nContent-Type: text/plain\r\n\r\nSee the attachment.\r\n" +
		"--b=_1\r\n" + strings.ReplaceAll(header, "\n", "\r\n") + "\r\n\r\n" + body + "\r\n--b=_1--\r\n"
}

const attached = "Content-Type: application/zip; name=\"r.zip\"\nContent-Transfer-Encoding: base64"

const ordinary = "From: a@example.org\r\nSubject: lunch\r\n\r\nHungry yet?\r\n"

// mailbox is an mbox of messages.
func mailbox(messages ...string) string {
	var b strings.Builder
	for _, m := range messages {
		text := strings.ReplaceAll("\n"+strings.ReplaceAll(m, "\r\n", "\n"), "\nFrom ", "\n>From ")
		fmt.Fprintf(&b, "From a@example.org Sat Nov 28 10:00:00 2026%s\n", text)
	}
	return b.String()
}

// line says in a line what was found.
func line(f Found) string {
	what := ""
	switch {
	case f.Err != nil:
		what = "error " + f.Err.Error()
	case f.Report != nil:
		what = "report " + f.Report.ID
	case f.TLS != "":
		what = "tls " + f.TLS
	default:
		what = "no report: " + string(f.Without)
	}
	return f.Where + ": " + what
}

// read reads paths, with the content of stdin, and returns what was found.
func read(t testing.TB, stdin string, limits Limits, paths ...string) []string {
	t.Helper()
	var all []string
	err := Read(context.Background(), paths, strings.NewReader(stdin), limits, func(f Found) bool {
		all = append(all, line(f))
		return true
	})
	if err != nil {
		t.Error(err)
	}
	return all
}
