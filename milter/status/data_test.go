package status

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"signpost/milter"
	"signpost/milter/status/view"
)

// rowsOf reads a CSV file as a spreadsheet does, by the names of its columns.
func rowsOf(t *testing.T, url string) (rows []map[string]string) {
	t.Helper()
	resp, body := get(t, url)
	if kind := resp.Header.Get("Content-Type"); resp.StatusCode != http.StatusOK || kind != "text/csv; charset=utf-8; header=present" {
		t.Fatal(resp.Status, kind)
	}
	all, err := csv.NewReader(strings.NewReader(body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range all[1:] {
		named := make(map[string]string)
		for i, name := range all[0] {
			named[name] = row[i]
		}
		rows = append(rows, named)
	}
	return rows
}

func read[T any](t *testing.T, url string) (value T) {
	t.Helper()
	if _, body := get(t, url); json.Unmarshal([]byte(body), &value) != nil {
		t.Fatal(body)
	}
	return value
}

// The page, JSON and CSV have the same numbers.
func TestSameNumbers(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	recorder := recorderOf(source, 0)
	someMail(recorder)
	recorder.now = func() time.Time { return noon.Add(-5 * time.Hour) }
	recorder.Observe(&milter.Outcome{Verdict: milter.Verdict{Reason: milter.FromMultiple, Action: milter.Reject, Author: "example.org"}})
	recorder.now = func() time.Time { return noon }
	url := serve(t, source, recorder).URL

	shown := read[view.View](t, url+"/status.json")
	_, page := get(t, url)
	text := regexp.MustCompile(`(?s)<style>.*</style>|<[^>]*>|\s+`).ReplaceAllString(page, " ")
	text = strings.Join(strings.Fields(strings.ReplaceAll(text, "\u202f", "")), " ")
	contains(t, text, "1234 signed 18 unsigned 1 deferred 1 refused")
	rows := rowsOf(t, url+"/domains.csv")
	if len(rows) != len(shown.Domains) {
		t.Fatalf("%d rows of %d domains", len(rows), len(shown.Domains))
	}
	for i, d := range shown.Domains {
		row, cells := rows[i], d.Name
		if d.Must {
			cells += " must be signed"
		}
		if row["domain"] != d.Name || row["stage"] != string(d.Stage) || row["must_be_signed"] != fmt.Sprint(d.Must) {
			t.Errorf("%v of %+v", row, d)
		}
		numbers := ""
		for _, result := range view.Results() {
			n := fmt.Sprint(d.Day.Messages(result))
			if row[result.Word()] != n {
				t.Errorf("%s: %s %s, want %s", d.Name, row[result.Word()], result.Word(), n)
			}
			numbers += n + " "
		}
		if !regexp.MustCompile(regexp.QuoteMeta(cells) + `( . \w+)+ ` + numbers).MatchString(strings.Replace(text, "no key", "- key", 1)) {
			t.Errorf("the table does not say %s %s in\n%s", cells, numbers, text)
		}
		for _, task := range d.Tasks {
			contains(t, row["attention"], task.Text)
			contains(t, text, task.Text)
		}
	}

	for _, domain := range []string{"", "?domain=example.org"} {
		day := read[view.Day](t, url+"/messages.json"+domain)
		rows := rowsOf(t, url+"/messages.csv"+domain)
		if len(rows) != steps || len(day.Steps) != steps {
			t.Fatalf("%d rows, %d steps", len(rows), len(day.Steps))
		}
		var sum view.Step
		for i, s := range day.Steps {
			want := map[string]string{"time": s.Time.Format(time.RFC3339), "signed": count(s.Signed), "unsigned": count(s.Unsigned),
				"deferred": count(s.Deferred), "refused": count(s.Refused)}
			if fmt.Sprint(rows[i]) != fmt.Sprint(want) {
				t.Errorf("row %d is %v, want %v", i, rows[i], want)
			}
			add(&sum, s)
		}
		counts := shown.Day
		if domain != "" {
			counts = read[view.View](t, url+"/status.json"+domain).Domains[0].Day
		}
		for _, result := range view.Results() {
			if *sum.Of(result) != counts.Messages(result) {
				t.Errorf("%q: %d %s in steps, %d in all", domain, *sum.Of(result), result.Word(), counts.Messages(result))
			}
		}
		if sum.Refused != 1 || day.Steps[steps-1-30].Refused != 1 {
			t.Errorf("%q: %+v", domain, sum)
		}
	}

	keys := rowsOf(t, url+"/keys.csv?domain=example.org")
	if len(keys) != 2 || keys[0]["record_value"] != recordValue || keys[0]["publish"] != "true" || keys[0]["checked"] != "2026-11-25T12:00:10Z" ||
		keys[1]["stage"] != "active" || keys[1]["selector"] != "mail" {
		t.Errorf("%v", keys)
	}
	if all := rowsOf(t, url+"/keys.csv"); len(all) != 4 {
		t.Errorf("%d keys", len(all))
	}
}

// A thousand rows are the most, and pages go on from there.
func TestFilesArePaged(t *testing.T) {
	t.Parallel()
	source := sourceOf(manyDomains(2500))
	url := serve(t, source, recorderOf(source, 10)).URL
	seen := make(map[string]bool)
	for page, rows := range map[int]int{1: 1000, 2: 1000, 3: 500} {
		all := rowsOf(t, fmt.Sprintf("%s/domains.csv?limit=5000&page=%d", url, page))
		if len(all) != rows {
			t.Errorf("page %d has %d rows", page, len(all))
		}
		for _, row := range all {
			seen[row["domain"]] = true
		}
	}
	if len(seen) != 2500 {
		t.Errorf("%d domains in all", len(seen))
	}
	_, page := get(t, url)
	contains(t, page, "The first 1\u202f000 as CSV", `href="domains.csv?limit=1000"`)
}

// No cell is a formula to a spreadsheet, and none breaks a row.
func TestHostileCells(t *testing.T) {
	t.Parallel()
	domains := hostile()
	for _, name := range []string{`=HYPERLINK("http://evil.example","x")`, "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1", "a,\"b\r\nc"} {
		domains = append(domains, view.Domain{Name: name, Problems: []string{name}, Keys: []view.Key{{Selector: name, File: name, Failure: name,
			Evidence: name, Advice: name, Algorithm: name, RecordName: name, RecordValue: name, Publish: true}}})
	}
	source := sourceOf(domains)
	url := serve(t, source, recorderOf(source, 0)).URL
	for _, path := range []string{"/domains.csv", "/keys.csv"} {
		rows := rowsOf(t, url+path)
		if len(rows) != len(domains) {
			t.Errorf("%s: %d rows", path, len(rows))
		}
		for _, row := range rows {
			for name, value := range row {
				if value != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", []rune(value)[0]) {
					t.Errorf("%s: %s is %q", path, name, value)
				}
			}
		}
	}
}
