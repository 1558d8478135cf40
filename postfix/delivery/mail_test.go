package delivery

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/postfix"
)

// mailOf reads a message that is signed with the names in h= of a default
// signature.
func mailOf(text string) Mail {
	header, body, _ := strings.Cut(text, "\r\n\r\n")
	m := Mail{Body: []byte(body), Domains: []string{"example.org"}, Signatures: []string{" v=1; d=example.org"},
		Signed: []string{"from", "from", "to", "to", "subject", "subject", "date", "date", "cc", "message-id", "references", "content-type", "content-transfer-encoding"}}
	number := 1
	for _, field := range strings.Split(strings.ReplaceAll(header, "\r\n\t", "\x01"), "\r\n") {
		name, value, _ := strings.Cut(field, ":")
		m.Header = append(m.Header, Field{Name: name, Value: strings.ReplaceAll(value, "\x01", "\r\n\t"), Line: number})
		number += 1 + strings.Count(field, "\x01")
	}
	m.BodyLine = number + 1
	return m
}

const plainHeader = "From: A <a@example.org>\r\nTo: b@example.net\r\nSubject: S\r\nDate: Mon, 02 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"

func TestPredict(t *testing.T) {
	dir := t.TempDir()
	table := func(name, rules string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(rules), 0o600); err != nil {
			t.Fatal(err)
		}
		return "regexp:" + path
	}
	subject := table("subject", "/^Subject:/ REPLACE Subject: changed\n")
	prepend := table("prepend", "/^Subject:/ PREPEND X-Note: seen\n/^X-/ IGNORE\n")
	prependTo := table("prependTo", "/^Subject:/ PREPEND Cc: archive@example.org\n")
	signature := table("signature", "/^DKIM-Signature:/ IGNORE\n")
	hello := table("hello", "/^hello/ REPLACE changed\n")
	eight := plainHeader + "Content-Type: text/plain; charset=utf-8\r\n"
	multipart := plainHeader + "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n\r\nx\r\n--b--\r\n"
	without := func(name string) string {
		header, rest, _ := strings.Cut(plainHeader, name+":")
		_, rest, _ = strings.Cut(rest, "\r\n")
		return header + rest
	}
	for _, test := range []struct {
		name     string
		message  string
		settings string
		change   func(*Mail)
		want     string // "code/level name", commas between
	}{
		{"plain", plainHeader + "\r\nhello\r\n", "", nil, ""},
		{"998", plainHeader + "\r\n" + strings.Repeat("x", 998) + "\r\n", "", nil, ""},
		{"999", plainHeader + "\r\nx\r\n" + strings.Repeat("x", 999) + "\r\n", "", nil, "path-line-length/fault body"},
		{"999 and no limit", plainHeader + "\r\n" + strings.Repeat("x", 999) + "\r\n", "smtp_line_length_limit = 0", nil, "path-line-length/warning body"},
		{"other limit", plainHeader + "\r\n" + strings.Repeat("x", 101) + "\r\n", "smtp_line_length_limit = 100", nil, "path-line-length/fault body"},
		{"long field", plainHeader + "References: " + strings.Repeat("x", 990) + "\r\n\r\n", "", nil, "path-line-length/fault References"},
		{"folded field", plainHeader + "References: " + strings.Repeat("x", 900) + "\r\n\t" + strings.Repeat("x", 900) + "\r\n\r\n", "", nil, ""},
		{"long unsigned field", plainHeader + "X-Other: " + strings.Repeat("x", 990) + "\r\n\r\n", "", nil, "path-line-length/note X-Other"},
		{"folded at blanks, relaxed", plainHeader + "References: " + strings.Repeat("x ", 600) + "\r\n\r\n", "", func(m *Mail) { m.RelaxedHeader = true }, "path-line-length/note References"},
		{"long field, blank before the colon", plainHeader + "References : " + strings.Repeat("x", 990) + "\r\n\r\n", "", nil, "path-line-length/fault References "},
		{"long addresses", strings.Replace(plainHeader, "To: ", "To: "+strings.Repeat("a@example.org,", 90), 1) + "\r\n", "", nil, "path-line-length/fault To"},
		{"long addresses to complete", strings.Replace(plainHeader, "To: ", "To: root,"+strings.Repeat("a@example.org,", 90), 1) + "\r\n", "", nil, "path-line-length/warning To"},
		{"blanks at the end, relaxed", plainHeader + "\r\nx" + strings.Repeat(" ", 998) + "\r\n\r\n", "", func(m *Mail) { m.RelaxedBody = true }, "path-line-length/note body"},
		{"blanks before text, relaxed", plainHeader + "\r\nx" + strings.Repeat(" ", 998) + "\r\n\r\nx\r\n", "", func(m *Mail) { m.RelaxedBody = true }, "path-line-length/fault body"},
		{"998 without an end", plainHeader + "\r\n" + strings.Repeat("x", 998), "", nil, ""},
		{"998 without an end from sendmail", plainHeader + "\r\n" + strings.Repeat("x", 998), "", func(m *Mail) { m.Local = true }, "path-line-length/fault body"},
		{"8bit", eight + "Content-Transfer-Encoding: 8bit\r\n\r\nü\r\n", "", nil, "path-8bit/note Content-Transfer-Encoding"},
		{"8bit to 7 bits", eight + "Content-Transfer-Encoding: 8BIT\r\n\r\nü\r\n", "", func(m *Mail) { m.SevenBit = true }, "path-8bit/fault Content-Transfer-Encoding"},
		{"8bit with a comment", eight + "Content-Transfer-Encoding: (c) 8bit (d)\r\n\r\nü\r\n", "", func(m *Mail) { m.SevenBit = true }, "path-8bit/fault Content-Transfer-Encoding"},
		{"8bit and a dot", eight + "Content-Transfer-Encoding: 8bit.x\r\n\r\nx\r\n", "", func(m *Mail) { m.SevenBit = true }, "path-8bit/fault Content-Transfer-Encoding"},
		{"8bit and a slash", eight + "Content-Transfer-Encoding: 8bit/x\r\n\r\nx\r\n", "", func(m *Mail) { m.SevenBit = true }, ""},
		{"a limit that breaks the signature field", plainHeader + "\r\n", "smtp_line_length_limit = 60", func(m *Mail) {
			m.Signatures = []string{" v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=mail; t=1793000000;\r\n\tb=" + strings.Repeat("x", 70)}
		}, "path-line-length/fault DKIM-Signature"},
		{"quoted 8bit", eight + "Content-Transfer-Encoding: \"8bit\"\r\n\r\nx\r\n", "", func(m *Mail) { m.SevenBit = true }, ""},
		{"8bit in the text of a part", strings.Replace(multipart, "8bit", "7bit\r\n\r\nContent-Transfer-Encoding: 8bit", 1), "", func(m *Mail) { m.SevenBit = true }, ""},
		{"8bit part to 7 bits", multipart, "", func(m *Mail) { m.SevenBit = true }, "path-8bit/fault part at line 9"},
		{"8bit not converted", eight + "Content-Transfer-Encoding: 8bit\r\n\r\nü\r\n", "disable_mime_output_conversion = yes", func(m *Mail) { m.SevenBit = true }, "path-8bit/note Content-Transfer-Encoding"},
		{"8BITMIME discarded", eight + "Content-Transfer-Encoding: 8bit\r\n\r\nü\r\n", "smtp_discard_ehlo_keywords = 8bitmime, smtputf8", nil, "path-8bit/fault Content-Transfer-Encoding"},
		{"8BITMIME alone discarded", eight + "Content-Transfer-Encoding: 8bit\r\n\r\nü\r\n", "smtp_discard_ehlo_keywords = 8bitmime", nil, "path-8bit/warning Content-Transfer-Encoding"},
		{"8bit undeclared", eight + "\r\nü\r\n", "", func(m *Mail) { m.SevenBit = true }, "path-8bit-undeclared/warning body"},
		{"8bit header", strings.Replace(plainHeader, "Subject: S", "Subject: ü", 1) + "\r\n", "", nil, "path-8bit-header/warning Subject"},
		{"latin-1 header", strings.Replace(plainHeader, "Subject: S", "Subject: \xfc", 1) + "\r\n", "", nil, "path-8bit-header/warning Subject"},
		{"bare CR", plainHeader + "\r\na\rb\r\n", "", nil, "path-bare-cr/warning line 7"},
		{"bare CR at the end", plainHeader + "\r\na\r", "", nil, "path-bare-cr/warning line 7"},
		{"bare LF", plainHeader + "\r\na\nb\r\n", "", nil, "path-bare-lf/warning line 7"},
		{"NUL", plainHeader + "\r\na\x00b\r\n", "", nil, "path-nul/warning line 7"},
		{"NUL in the header", plainHeader + "Cc: \x00\r\n\r\n", "", nil, "path-nul/warning line 6"},
		{"no Date", without("Date") + "\r\n", "", nil, "path-field-missing/warning Date"},
		{"no Date from sendmail", without("Date") + "\r\n", "", func(m *Mail) { m.Local = true }, ""},
		{"no Date, always added", without("Date") + "\r\n", "always_add_missing_headers = yes", nil, ""},
		{"no Message-ID", without("Message-ID") + "\r\n", "", func(m *Mail) { m.Signed = []string{"from"} }, "path-field-missing/note Message-ID"},
		{"no recipient", without("To") + "\r\n", "", nil, "path-field-missing/note To"},
		{"no From", without("From") + "\r\n", "", func(m *Mail) { m.Signed = nil }, "path-from-added/note From"},
		{"From without domain", strings.Replace(plainHeader, "A <a@example.org>", "Root <root>", 1) + "\r\n", "", func(m *Mail) { m.Signed = nil }, "path-from-without-domain/note From"},
		{"From without address", strings.Replace(plainHeader, "A <a@example.org>", "Root <>", 1) + "\r\n", "", func(m *Mail) { m.Signed = nil }, ""},
		{"dropped", plainHeader + "Bcc: x@example.net\r\nReturn-Path: <a@example.org>\r\nContent-Length: 3\r\n\r\n", "", nil,
			"path-field-dropped/note Bcc, path-field-dropped/note Return-Path, path-field-dropped/note Content-Length"},
		{"cut", plainHeader + "References: " + strings.Repeat("<x@y>\r\n\t", 9000) + "\r\n\r\n", "", nil, "path-field-cut/warning References"},
		{"twice", plainHeader + "subject: T\r\n\r\n", "", nil, "path-field-twice/warning Subject"},
		{"signed before", plainHeader + "DKIM-Signature: v=1; d=Example.org; s=x\r\nDKIM-Signature: v=1; d=example.net\r\n\r\n", "", nil, "path-signed-before/warning DKIM-Signature"},
		{"header check", plainHeader + "\r\nhello\r\n", "smtp_header_checks = " + subject, nil, "path-rewriting/fault smtp_header_checks"},
		{"harmless header check", plainHeader + "X-Mine: 1\r\n\r\nhello\r\n", "smtp_header_checks = " + prepend, nil, ""},
		{"header check that adds an oversigned field", plainHeader + "\r\nhello\r\n", "smtp_header_checks = " + prependTo, nil, "path-rewriting/fault smtp_header_checks"},
		{"header check that cannot be asked", plainHeader + "\r\nhello\r\n", "smtp_header_checks = regexp:/nowhere/at/all", nil, "path-rewriting/warning smtp_header_checks"},
		{"header check before signing", plainHeader + "\r\nhello\r\n", "header_checks = " + subject, nil, ""},
		{"body check", plainHeader + "\r\nx\r\nhello\r\n", "smtp_body_checks = " + hello, nil, "path-rewriting/fault smtp_body_checks"},
		{"body check without a hit", plainHeader + "\r\nx\r\n", "smtp_body_checks = " + hello, nil, ""},
		{"generic", plainHeader + "\r\n", "smtp_generic_maps = inline:{ a@example.org=b@example.org }", nil, "path-rewriting/fault smtp_generic_maps"},
		{"generic for others", plainHeader + "\r\n", "smtp_generic_maps = inline:{ c@example.org=b@example.org }", nil, ""},
		{"milter check", plainHeader + "\r\n", "milter_header_checks = " + signature, nil, "path-rewriting/fault milter_header_checks"},
		{"milter check for others", plainHeader + "\r\n", "milter_header_checks = " + subject, nil, ""},
		{"content filter", plainHeader + "\r\n", "smtpd_milters = inet:localhost:8891\ncontent_filter = smtp:127.0.0.1:10024", nil, "path-field-missing/warning Content-Type, path-content-filter/warning content_filter"},
		{"Amazon SES", plainHeader + "\r\n", "relayhost = [email-smtp.eu-west-1.amazonaws.com]:587", nil, "path-field-missing/warning Content-Type, path-relay-replaces/fault relayhost"},
		{"Amazon SES by a map", plainHeader + "\r\n", "transport_maps = inline:{ example.net=smtp:[vpce-0a.email-smtp.us-east-1.vpce.amazonaws.com]:587 }", nil, "path-relay-replaces/fault transport_maps"},
		{"Amazon SES, and its fields are not signed", plainHeader + "\r\n", "default_transport = smtp:[email-smtp-fips.us-east-1.amazonaws.com]:2587", func(m *Mail) { m.Signed = []string{"from", "to"} }, ""},
		{"two signatures to Amazon SES", plainHeader + "\r\n", "relayhost = [email-smtp.eu-west-1.amazonaws.com]:587", func(m *Mail) { m.Signed, m.Signatures = []string{"from"}, []string{"a", "b"} }, "path-relay-refuses/fault relayhost"},
		{"one beside another's to Amazon SES", plainHeader + "dkim-signature: v=1; d=example.net\r\n\r\n", "relayhost = [email-smtp.eu-west-1.amazonaws.com]:587", func(m *Mail) { m.Signed, m.Signatures = []string{"from"}, []string{"a"} }, "path-relay-refuses/fault relayhost"},
		{"two signatures to another relay", plainHeader + "\r\n", "relayhost = [relay.example.org]", func(m *Mail) { m.Signed, m.Signatures = []string{"from"}, []string{"a", "b"} }, ""},
		{"a relay like Amazon SES", plainHeader + "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n", "relayhost = [email-smtp.amazonaws.com.example.org]", nil, ""},
		{"a relay that may add MIME fields", plainHeader + "MIME-Version: 1.0\r\n\r\n", "relayhost = [relay.example.org]", nil, "path-field-missing/warning Content-Type"},
		{"a relay that may add MIME fields, not oversigned", plainHeader + "\r\n", "relayhost = [relay.example.org]", func(m *Mail) { m.Signed = []string{"from"} }, ""},
		{"unsigned", plainHeader + "DKIM-Signature: v=1; d=example.org\r\n\r\nü\r\n", "smtp_header_checks = " + subject, func(m *Mail) { m.Signed, m.Domains, m.Signatures = nil, nil, nil }, ""},
	} {
		config := filepath.Join(t.TempDir(), "main.cf")
		if err := os.WriteFile(config, []byte(test.settings+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		// postmap waits for a fresh main.cf to cool down.
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(config, past, past); err != nil {
			t.Fatal(err)
		}
		c, err := postfix.ReadConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		m := mailOf(test.message)
		if test.change != nil {
			test.change(&m)
		}
		var got []string
		for _, f := range Predict(t.Context(), c, m) {
			got = append(got, fmt.Sprintf("%s/%s %s", f.Code, f.Level, f.Name))
			if f.What == "" || f.Effect == "" || strings.HasSuffix(f.What, ".") {
				t.Errorf("%s: %+v", test.name, f)
			}
		}
		if strings.Join(got, ", ") != test.want {
			t.Errorf("%s: %q, want %q", test.name, strings.Join(got, ", "), test.want)
		}
	}
}

// The numbers of long lines are those of the file, and not all of many.
func TestPredictNumbersLines(t *testing.T) {
	long := strings.Repeat("x", 1000) + "\r\n"
	c, err := postfix.ParseConfig("", nil)
	if err != nil {
		t.Fatal(err)
	}
	m := mailOf(plainHeader + "\r\nshort\r\n" + long + "short\r\n" + long)
	findings := Predict(t.Context(), c, m)
	if len(findings) != 1 || !strings.HasPrefix(findings[0].What, "lines 8, 10 have up to 1000 bytes; ") {
		t.Errorf("got %+v", findings)
	}
	m.Body = bytes.Repeat([]byte(long), 20)
	findings = Predict(t.Context(), c, m)
	if len(findings) != 1 || !strings.HasPrefix(findings[0].What, "lines 7, 8, 9, 10, 11, 12, 13, 14 and 12 more have ") {
		t.Errorf("got %+v", findings)
	}
}

func FuzzPredict(f *testing.F) {
	f.Add("From", " a@example.org", []byte("x\r\n"))
	f.Add("Content-Type", " multipart/mixed", []byte("Content-Transfer-Encoding: 8bit\r\n\xff\x00\r"))
	f.Add("DKIM-Signature", " d=example.org", []byte(strings.Repeat("x", 2000)))
	c, err := postfix.ParseConfig("", nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, value string, body []byte) {
		m := Mail{Header: []Field{{name, value, 1}}, Body: body, BodyLine: 3, Signed: []string{strings.ToLower(name)}, Domains: []string{"example.org"}, SevenBit: true}
		findings := Predict(t.Context(), c, m)
		again := Predict(t.Context(), c, m)
		if !slices.Equal(findings, again) {
			t.Fatalf("%v, then %v", findings, again)
		}
	})
}
