package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSniff(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		text string
		want Kind
	}{
		"report":            {plainReport, Aggregate},
		"bare":              {"<feedback/>", Aggregate},
		"namespace":         {"<?xml version='1.0'?>\n<ns1:feedback xmlns:ns1='x'>", Aggregate},
		"behind a schema":   {`<xs:schema targetNamespace="y"> <feedback>`, Aggregate},
		"behind a comment":  {"<!-- feedback of us -->\n<Feedback>", Aggregate},
		"only in a comment": {"<!-- feedback --><html>", Other},
		"no element":        {"<p>your feedback >", Other},
		"longer name":       {"<feedbacks>", Other},
		"attribute":         {"<a href=x:feedback >", Other},
		"cut off":           {"<feedback", Other},
		"text":              {"see <feedback>", Other},
		"nothing":           {"", Other},
		"TLS":               {`{"organization-name":"A","date-range":{}`, TLS},
		"TLS, spaced":       {"\ufeff\n {\n \"report-id\" : \"1\", \"policies\" : []", TLS},
		"other JSON":        {`{"policies":[]}`, Other},
		"list":              {`["organization-name","date-range"]`, Other},
	}
	for name, test := range tests {
		if got := Sniff([]byte(test.text)); got != test.want {
			t.Errorf("%s: got %v, want %v", name, got, test.want)
		}
	}
	files, _ := filepath.Glob("testdata/*.xml")
	for _, name := range files {
		report, err := os.ReadFile(name)
		if err != nil || Sniff(report[:min(len(report), SniffLen)]) != Aggregate {
			t.Errorf("%s is not sniffed, %v", name, err)
		}
	}
	if len(files) == 0 {
		t.Error("no files")
	}
}

func TestParseTLS(t *testing.T) {
	t.Parallel()
	const report = `{"organization-name": "Sender", "report-id": "7", "contact-info": null,
		"date-range": {"start-datetime": "2026-11-12T00:00:00Z", "end-datetime": "2026-11-12T23:59:59Z"},
		"policies": [
			{"policy": {"policy-type": "sts", "policy-domain": "Example.org"},
			 "summary": {"total-successful-session-count": 5, "total-failure-session-count": 2}},
			{"policy": {"policy-type": "tlsa", "policy-domain": "example.org"},
			 "summary": {"total-successful-session-count": 1, "total-failure-session-count": 0}},
			{"policy": {"policy-type": "no-policy-found", "policy-domain": "mx.example.org"}}]}`
	got, err := ParseTLS(strings.NewReader(report))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(got.Domains, " ") != "example.org mx.example.org" || got.Reporter != "Sender" || got.ID != "7" ||
		got.Sessions != 8 || got.Failures != 2 || !got.Begin.Equal(begin) || !got.End.Equal(last) {
		t.Errorf("got %+v", got)
	}
	for text, want := range map[string]string{
		"{":                  "not a TLS report: unexpected end of JSON input",
		"{}":                 "not a TLS report: no organization-name and no report-id",
		`{"report-id": [1]}`: "not a TLS report: json: cannot unmarshal array into Go struct field .report-id of type string",
		`{"report-id": "1", "policies": [{}` + strings.Repeat(",{}", maxPolicies) + `]}`: "TLS report with 1001 policies: 1000 is the most",
	} {
		if _, err := ParseTLS(strings.NewReader(text)); err == nil || err.Error() != want {
			t.Errorf("%.40q: got %v, want %s", text, err, want)
		}
	}
}
