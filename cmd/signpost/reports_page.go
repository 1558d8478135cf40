package main

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
	"signpost/milter/status/look"
)

//go:embed reports_page.html
var reportsPage string

// reportsStyle is what the page has besides the look of all pages.
const reportsStyle = `
.card > * + h2 { margin-top: 1.25rem; }
.card > h2 + table { margin-top: .35rem; }
@media (max-width: 46rem) { table { display: block; overflow-x: auto; } }
`

// shownReports is what the page is made of.
type shownReports struct {
	*reportsAnswer
	Now   time.Time
	Style template.CSS
	CSP   string
}

// writePage writes the answer as one page, in one go: who looks at it meanwhile sees the
// old one or the new one. What is not a file, as /dev/stdout, is not replaced by one.
func writePage(file string, answer *reportsAnswer, now time.Time) error {
	page, err := reportsHTML(answer, now)
	if err != nil {
		return err
	}
	if info, statErr := os.Stat(file); statErr == nil && !info.Mode().IsRegular() {
		err = os.WriteFile(file, page, 0o644)
	} else {
		err = atomicfile.Replace(file, 0o644, nil, func(w *bufio.Writer) { w.Write(page) })
	}
	if err != nil {
		return fmt.Errorf("--html: writing %s: %w", file, err)
	}
	return nil
}

// reportsHTML returns the page. What reports say is hostile: the template escapes it, the
// policy in the page allows no script, and nothing is loaded.
func reportsHTML(answer *reportsAnswer, now time.Time) ([]byte, error) {
	t, err := template.New("page").Funcs(template.FuncMap{
		"plain": plainText, "selector": func(s string) string { return plainText(selectorName(s)) },
		"thousands": finding.Number, "count": counted, "day": day,
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"full":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
		"class": look.VerdictClass, "mark": look.VerdictMark, "plot": newReportsPlot,
		"first":  func(most int, list any) any { return firstOf(list, most) },
		"beyond": func(most int, list any) int { return max(0, reflect.ValueOf(list).Len()-most) },
	}).Parse(reportsPage)
	if err != nil {
		return nil, err
	}
	css := look.CSS() + reportsStyle
	var page bytes.Buffer
	err = t.Execute(&page, shownReports{answer, now, template.CSS(css), fmt.Sprintf(
		"default-src 'none'; style-src '%s'; base-uri 'none'; form-action 'none'", look.Hash(css))})
	return page.Bytes(), err
}

// plainText makes foreign text safe to look at, and cuts it.
func plainText(text string) string {
	const most = 500
	return finding.Visible(text, most)
}

func firstOf(list any, most int) any {
	v := reflect.ValueOf(list)
	return v.Slice(0, min(v.Len(), most)).Interface()
}

// reportsPlot is a picture of days: bars of what passed and failed upon each other.
type reportsPlot struct {
	D              *reportsDomain
	Columns        []tally.Day
	Each           int // days in a column
	Width, Height  int
	Passed, Failed string // data of SVG paths
	Top            string
	Ticks          []dayTick
}

type dayTick struct {
	At  float64 // percent of the width
	Day string
}

func newReportsPlot(d *reportsDomain) *reportsPlot {
	p := &reportsPlot{D: d, Height: 120}
	p.Columns, p.Each = columns(d.Answer.Days, 60)
	p.Width = max(1, len(p.Columns))
	top := 1
	for _, column := range p.Columns {
		top = max(top, column.Total())
	}
	p.Top = finding.Number(top)
	var passed, failed strings.Builder
	for x, column := range p.Columns {
		down := p.bar(&failed, x, 0, column.Failed, top)
		p.bar(&passed, x, down, column.Passed, top)
	}
	p.Passed, p.Failed = passed.String(), failed.String()
	const most = 6
	step := max(1, (len(p.Columns)+most-1)/most)
	for x := step / 2; x < len(p.Columns); x += step {
		at := math.Round((float64(x)+.5)/float64(p.Width)*1000) / 10
		if at >= 5 && at <= 95 {
			p.Ticks = append(p.Ticks, dayTick{at, p.Columns[x].Day.UTC().Format("2 Jan")})
		}
	}
	return p
}

// bar draws one bar upon another that is base high, and returns how high both are. One
// message among thousands is seen: what there is is two pixels high.
func (p *reportsPlot) bar(b *strings.Builder, x int, base float64, n, top int) float64 {
	if n == 0 {
		return base
	}
	height := min(max(2, float64(n)/float64(top)*float64(p.Height)), float64(p.Height)-base)
	number := func(f float64) string { return strconv.FormatFloat(math.Round(f*10)/10, 'f', -1, 64) }
	fmt.Fprintf(b, "M%d %sh.86v%sh-.86z", x, number(float64(p.Height)-base-height), number(height))
	return base + height
}
