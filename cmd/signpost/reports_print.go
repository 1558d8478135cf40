package main

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"

	"signpost/keystore/finding"
	"signpost/keystore/report/tally"
)

// How much of each list is shown without --all.
const (
	usualSources = 10
	usualRows    = 8
)

// reportsPrinter writes the answer for a reader at a terminal.
type reportsPrinter struct {
	c   *cli.Context
	out io.Writer
	s   style
	all bool
	// width is how long a line of text may be; 0 where it is not for a terminal.
	width int
}

func printReports(c *cli.Context, answer *reportsAnswer) {
	p := &reportsPrinter{c, c.App.Writer, styleOf(c), c.Bool("all"), widthOf(c)}
	for i, d := range answer.Domains {
		if i > 0 {
			fmt.Fprintln(p.out)
		}
		p.domain(d)
	}
	if len(answer.Domains) > 0 {
		fmt.Fprintln(p.out)
	}
	p.read(answer)
}

// read tells what was in the files besides the reports that were counted.
func (p *reportsPrinter) read(answer *reportsAnswer) {
	r := &answer.Read
	line := counted(r.Reports, "report") + " read"
	if r.Twice > 0 {
		line += fmt.Sprintf(", and %s that came before", finding.Number(r.Twice))
	}
	if len(r.Failed) > 0 {
		line += fmt.Sprintf("; %s cannot be read", finding.Number(len(r.Failed)))
	}
	fmt.Fprintln(p.out, line)
	if r.TLS > 0 {
		fmt.Fprintf(p.out, "%s on TLS (TLS-RPT) of %s: recognised, and not counted\n", counted(r.TLS, "report"),
			p.few(r.TLSReporters, 5))
	}
	if r.WithoutMessages > 0 {
		fmt.Fprintf(p.out, "%s without a report\n", counted(r.WithoutMessages, "message"))
	}
	if r.WithoutFiles > 0 {
		fmt.Fprintf(p.out, "%s without a report\n", counted(r.WithoutFiles, "other file"))
	}
	if len(answer.Domains) == 0 {
		fmt.Fprintln(p.out, p.safety(tally.CannotSay)+": without reports nothing can be said")
	}
}

func (p *reportsPrinter) safety(verdict tally.Safety) string {
	return p.s.paint(map[tally.Safety]string{tally.Safe: "32", tally.NotYet: "31", tally.CannotSay: "35"}[verdict],
		string(verdict))
}

func (p *reportsPrinter) domain(d *reportsDomain) {
	fmt.Fprintln(p.out, p.s.bold(visible(d.Domain)))
	p.verdict(d)
	if d.Reports == 0 {
		return
	}
	p.summary(d)
	p.days(d)
	p.whatIf(d)
	p.sources(d)
	p.subdomains(d)
	p.overrides(d)
	p.selectors(d)
	p.broken(d)
}

func (p *reportsPrinter) verdict(d *reportsDomain) {
	v := &d.Verdict
	reasons := v.Against
	if v.Safe == tally.NotYet && len(reasons) > 0 { // the text says the first once more
		p.say(p.safety(v.Safe)+": ", reasons[0].What)
	} else {
		text := strings.TrimPrefix(strings.TrimPrefix(v.Text, string(v.Safe)), ":") // as in "cannot say whether"
		p.say(p.safety(v.Safe)+": ", strings.TrimSpace(text))
	}
	for i, against := range reasons {
		if i > 0 || v.Safe != tally.NotYet {
			p.say("and: ", against.What)
		}
		p.say("   hint: ", against.Do)
		if against.NotMine != "" {
			p.say("   if it does not send for you: ", "--not-mine "+shellWord(against.NotMine))
		}
	}
	if v.Safe != tally.CannotSay || len(reasons) > 0 { // else the text has them
		for _, lacking := range v.Lacking {
			p.say("   missing: ", lacking)
		}
	}
	for _, note := range v.Notes {
		p.say("   note: ", note)
	}
	if !d.Older.IsZero() {
		p.say("   hint: ", "the last report is of "+day(d.Older)+"; --report-days 0 counts all")
	}
	name := "_dmarc." + d.Domain
	switch {
	case d.Put != "" && p.c.Bool("dry-run"):
		fmt.Fprintf(p.out, "   would be published at %s:\n%s\n", visible(name), visible(d.Put))
	case d.Put != "":
		fmt.Fprintf(p.out, "   published at %s:\n%s\n", visible(name), visible(d.Put))
	case v.Record != "" && v.Next != "":
		when := "the record of the next step"
		if v.Safe != tally.Safe {
			when += ", once that is safe"
		}
		fmt.Fprintf(p.out, "   %s:\n%s\n%s\n", when, visible(name), visible(v.Record))
	case v.Next != "" && v.Safe == tally.Safe && d.Record == "" && !d.unknown:
		p.say("   hint: ", d.NoRecord+"; signpost dns "+d.Domain+" prints a first one")
	case v.Next != "" && v.Safe == tally.Safe:
		fmt.Fprintf(p.out, "   in the record at %s, set p=%s\n", visible(name), v.Next)
	}
	if d.Refused != "" {
		fmt.Fprintf(p.out, "   not published: %s\n", visible(d.Refused))
	}
}

// summary is what the answer stands on.
func (p *reportsPrinter) summary(d *reportsDomain) {
	fmt.Fprintln(p.out)
	policy := "p=" + cmp.Or(d.Policy.P, "none")
	for _, tag := range [][2]string{{"sp", d.Policy.SP}, {"np", d.Policy.NP}} {
		if tag[1] != "" {
			policy += "; " + tag[0] + "=" + tag[1]
		}
	}
	if d.Policy.Testing {
		policy += "; t=y"
	}
	if d.Policy.Percent != 0 && d.Policy.Percent != 100 {
		policy += fmt.Sprintf("; pct=%d", d.Policy.Percent)
	}
	fmt.Fprintf(p.out, "policy    %s, as last reported (%s)\n", visible(policy), day(d.Policy.Seen))
	switch {
	case d.Record != "":
		fmt.Fprintf(p.out, "          in the DNS now: %s\n", visible(d.Record))
	case d.unknown:
		p.say("          ", "in the DNS now: not known: "+d.NoRecord)
	case d.NoRecord != "":
		p.say("          ", "in the DNS now: "+d.NoRecord)
	}
	reporters := counted(len(d.Reporters), "reporter") + " (" + p.few(d.Reporters, 5) + ")"
	p.say("reports   ", finding.Number(d.Reports)+" from "+reporters)
	p.mail(&d.Mail)
	fmt.Fprintf(p.out, "          %s to %s, %s with reports\n", day(d.First), day(d.Last), counted(d.Covered, "day"))
	fmt.Fprintf(p.out, "messages  %s: %s passed, %s failed (%s)\n", finding.Number(d.Messages.Total()),
		finding.Number(d.Messages.Passed), finding.Number(d.Messages.Failed), share(d.Messages.Failed, d.Messages.Total()))
}

// mail tells how many of the reports are from whom they say.
func (p *reportsPrinter) mail(m *tally.Mail) {
	if m.Verified+m.Failed == 0 {
		return // a note says that none can be known
	}
	text := finding.Number(m.Verified) + " in mail whose signature verifies"
	if m.Verified > 0 {
		text += " (" + p.few(m.Signers, 5) + ")"
	}
	if m.Unknown > 0 {
		text += ", " + finding.Number(m.Unknown) + " cannot be known"
	}
	if m.Failed > 0 {
		text += ", " + finding.Number(m.Failed) + " not from whom they say"
	}
	p.say("          ", text)
}

func (p *reportsPrinter) days(d *reportsDomain) {
	const most = 34 // with what stands beside it a line of 80
	sums, each := columns(d.Answer.Days, most)
	per := "a day"
	if each > 1 {
		per = fmt.Sprintf("in %d days", each)
	}
	for _, line := range []struct {
		name, colour string
		of           func(tally.Day) int
	}{{"passed", "32", passedOf}, {"failed", "31", failedOf}} {
		if bars, most := sparkline(sums, line.of); most > 0 {
			fmt.Fprintf(p.out, "          %s  %s, at most %s %s\n",
				p.s.paint(line.colour, bars), line.name, finding.Number(most), per)
		}
	}
}

func (p *reportsPrinter) whatIf(d *reportsDomain) {
	if len(d.WhatIf) == 0 {
		return
	}
	p.heading("what would have become of them")
	table := p.table()
	fmt.Fprintln(table, "   POLICY\tDELIVERED\tTO SPAM\tREFUSED\tOF THOSE LEGITIMATE")
	for _, w := range d.WhatIf {
		fmt.Fprintf(table, "   %s\t%s\t%s\t%s\t%s\n", visible(w.Policy), finding.Number(w.Delivered),
			finding.Number(w.Quarantined), finding.Number(w.Rejected), finding.Number(w.Legitimate))
	}
	table.Flush()
}

// say writes a text of outside behind a mark, on several lines where it is too long for the
// terminal. It writes nothing without a text.
func (p *reportsPrinter) say(mark, text string) {
	if text == "" {
		return
	}
	indent := len(mark) - len(strings.TrimLeft(mark, " "))
	next := strings.Repeat(" ", max(3, indent+3))
	if strings.HasSuffix(mark, "  ") { // a column of its own
		next = strings.Repeat(" ", len(mark))
	}
	line, empty := mark, true
	for word := range strings.FieldsSeq(visible(text)) {
		if !empty && p.width > 0 && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) >= p.width {
			fmt.Fprintln(p.out, line)
			line, empty = next, true
		}
		if !empty {
			line += " "
		}
		line += word
		empty = false
	}
	fmt.Fprintln(p.out, line)
}

// widthOf is that of the terminal that standard output is.
func widthOf(c *cli.Context) int {
	out := c.App.Writer
	if answer, ok := out.(*answerWriter); ok {
		out = answer.Writer
	}
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

func (p *reportsPrinter) heading(text string) { fmt.Fprintf(p.out, "\n%s\n", p.s.bold(text)) }

func (p *reportsPrinter) table() *tabwriter.Writer {
	return tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
}

// first is how many of a list are shown.
func (p *reportsPrinter) first(n int) int {
	if p.all {
		return n
	}
	return min(n, usualRows)
}

func (p *reportsPrinter) more(n int) {
	if n > 0 {
		fmt.Fprintf(p.out, "   and %s more (--all shows them)\n", finding.Number(n))
	}
}

// few names some of several.
func (p *reportsPrinter) few(names []string, most int) string {
	if p.all {
		most = len(names)
	}
	shown := names[:min(len(names), most)]
	texts := make([]string, len(shown))
	for i, name := range shown {
		texts[i] = visible(name)
	}
	text := strings.Join(texts, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// selectorName is a selector for people: not all reporters name it.
func selectorName(selector string) string {
	if selector == "" {
		return "(no selector named)"
	}
	return visible(selector)
}

// day is a date as we write it.
func day(t time.Time) string {
	if t.IsZero() {
		return "no day"
	}
	return t.UTC().Format(time.DateOnly)
}
