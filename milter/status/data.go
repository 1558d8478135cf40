package status

import (
	"encoding/csv"
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"signpost/milter/status/view"
)

// jsonOf answers with what there is of a request. Errors are those of the connection.
func jsonOf[T any](of func(*http.Request) T) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		_ = encoder.Encode(of(r))
	}
}

// csvOf answers with a table of it (RFC 4180), the first row of which has the names.
func csvOf[T any](name string, of func(*http.Request) T, rows func(T) [][]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
		w.Header().Set("Content-Disposition", `attachment; filename="signpost-`+name+`.csv"`)
		out := csv.NewWriter(w)
		out.UseCRLF = true
		_ = out.WriteAll(rows(of(r)))
	}
}

// cell makes a text safe for a spreadsheet, which takes one that begins like this for
// a formula, and runs it.
func cell(text string) string {
	first, _ := utf8.DecodeRuneInString(text)
	if text != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", first) {
		return "'" + text
	}
	return text
}

func count(n uint64) string { return strconv.FormatUint(n, 10) }

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// domainRows are the rows of the table of domains.
func domainRows(v *view.View) [][]string {
	rows := [][]string{{"domain", "must_be_signed", "stage",
		"signed", "unsigned", "deferred", "refused", "attention",
		"dmarc_verdict", "dmarc_last_report", "dmarc_passed", "dmarc_failed", "dmarc_says"}}
	for _, d := range v.Domains {
		row := []string{cell(plain(d.Name)), strconv.FormatBool(d.Must), string(d.Stage)}
		for _, result := range view.Results() {
			if d.Together {
				row = append(row, "") // not known
				continue
			}
			row = append(row, count(d.Day.Messages(result)))
		}
		var texts []string
		for _, task := range d.Tasks {
			texts = append(texts, strings.TrimPrefix(plain(task.Selector)+": ", ": ")+plain(task.Text))
		}
		rows = append(rows, slices.Concat(row, []string{cell(strings.Join(texts, "; "))}, dmarcCells(d.DMARC)))
	}
	return rows
}

// dmarcCells are what the reports say of a domain.
func dmarcCells(d *view.DMARC) []string {
	if d == nil {
		return make([]string, 5)
	}
	return []string{string(d.Verdict.Safe), d.Last.UTC().Format(time.DateOnly), strconv.Itoa(d.Messages.Passed),
		strconv.Itoa(d.Messages.Failed), cell(plain(d.Verdict.Text))}
}

// keyRows are the keys of the domains, with their records in one piece.
func keyRows(v *view.View) [][]string {
	rows := [][]string{{"domain", "selector", "algorithm", "bits", "file",
		"stage", "since", "made", "evidence", "checked",
		"next_check", "failure", "publish", "record_name", "record_value", "advice", "reports"}}
	text := func(s string) string { return cell(plain(s)) }
	for _, d := range v.Domains {
		for _, k := range d.Keys {
			reported := ""
			if k.Reports != nil {
				reported = k.Reports.Text
			}
			rows = append(rows, []string{
				text(d.Name), text(k.Selector), text(k.Algorithm), strconv.Itoa(k.Bits), text(k.File),
				string(k.Stage), stamp(k.Since), stamp(k.Made), text(k.Evidence), stamp(k.Checked),
				stamp(k.Next), text(k.Failure), strconv.FormatBool(k.Publish), text(k.RecordName),
				cell(k.RecordValue), text(k.Advice), text(reported)})
		}
	}
	return rows
}

// dayRows are the messages of a day, step by step.
func dayRows(day *view.Day) [][]string {
	rows := [][]string{{"time", "signed", "unsigned", "deferred", "refused"}}
	for _, s := range day.Steps {
		row := []string{stamp(s.Time)}
		for _, result := range view.Results() {
			row = append(row, count(*s.Of(result)))
		}
		rows = append(rows, row)
	}
	return rows
}
