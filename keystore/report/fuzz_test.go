package report

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzParse reads anything. What it gives keeps its promises, and written as a plain report it is
// read as the same.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no reports", err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(plainReport))
	f.Add([]byte(`<!DOCTYPE feedback [<!ENTITY a "aaaa">]><feedback>&a;</feedback>`))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(bytes.NewReader(text))
		if err != nil {
			if !utf8.ValidString(err.Error()) {
				t.Errorf("error %q is not UTF-8", err)
			}
			return
		}
		checkReport(t, r)
		plain := write(r)
		again, err := Parse(strings.NewReader(plain))
		if err != nil {
			t.Fatalf("%v of %s", err, plain)
		}
		r.Notes, again.Notes = nil, nil
		if !reflect.DeepEqual(r, again) {
			t.Errorf("got  %+v\nthen %+v", r, again)
		}
	})
}

// checkReport checks what the fields of a report promise.
func checkReport(t *testing.T, r *Report) {
	t.Helper()
	if r.Reporter == "" || r.Domain == "" || r.Begin.IsZero() || r.End.Before(r.Begin) {
		t.Errorf("not a whole report: %+v", r)
	}
	if len(r.Notes) > maxNotes+1 || !utf8.ValidString(strings.Join(r.Notes, "")) {
		t.Errorf("notes %q", r.Notes)
	}
	if r.Policy.Percent < 0 || r.Policy.Percent > 100 {
		t.Errorf("percent %d", r.Policy.Percent)
	}
	for _, row := range r.Rows {
		if row.Count < 1 || row.Count > maxCount || !row.Source.IsValid() || row.Source.Zone() != "" || row.Source.Is4In6() {
			t.Errorf("row %+v", row)
		}
		for _, s := range row.Signatures {
			if s.Domain == "" || !utf8.ValidString(s.Domain+s.Selector+s.Result) {
				t.Errorf("signature %+v", s)
			}
		}
	}
}

// write writes a report as the schema has it.
func write(r *Report) string {
	var b strings.Builder
	element := func(name, text string) {
		text = strings.NewReplacer("&", "&amp;", "<", "&lt;").Replace(text)
		fmt.Fprintf(&b, "<%s>%s</%[1]s>", name, text)
	}
	within := func(name string, write func()) {
		fmt.Fprintf(&b, "<%s>", name)
		write()
		fmt.Fprintf(&b, "</%s>\n", name)
	}
	result := map[bool]string{true: "pass", false: "fail"}
	b.WriteString("<feedback>")
	within("report_metadata", func() {
		element("org_name", r.Reporter)
		element("email", r.Email)
		element("report_id", r.ID)
		fmt.Fprintf(&b, "<date_range><begin>%d</begin><end>%d</end></date_range>", r.Begin.Unix(), r.End.Unix())
	})
	within("policy_published", func() {
		p := r.Policy
		for i, text := range []string{r.Domain, p.P, p.SP, p.NP, p.ADKIM, p.ASPF, fmt.Sprint(p.Percent)} {
			element([]string{"domain", "p", "sp", "np", "adkim", "aspf", "pct"}[i], text)
		}
		element("testing", map[bool]string{true: "y", false: "n"}[p.Testing])
	})
	for i := range r.Rows {
		row := &r.Rows[i]
		within("record", func() {
			within("row", func() {
				element("source_ip", row.Source.String())
				element("count", fmt.Sprint(row.Count))
				within("policy_evaluated", func() {
					element("disposition", row.Disposition)
					element("dkim", result[row.DKIM])
					element("spf", result[row.SPF])
					for _, reason := range row.Reasons {
						within("reason", func() { element("type", reason.Type); element("comment", reason.Comment) })
					}
				})
			})
			within("identifiers", func() {
				element("header_from", row.From)
				element("envelope_from", row.EnvelopeFrom)
				element("envelope_to", row.EnvelopeTo)
			})
			within("auth_results", func() {
				for _, s := range row.Signatures {
					within("dkim", func() {
						element("domain", s.Domain)
						element("selector", s.Selector)
						element("result", s.Result)
					})
				}
				for _, s := range row.Senders {
					within("spf", func() { element("domain", s.Domain); element("scope", s.Scope); element("result", s.Result) })
				}
			})
		})
	}
	b.WriteString("</feedback>")
	return b.String()
}
