package report

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// maxRows bounds how many rows of one report are read.
const maxRows = 200_000

// parser reads one report.
type parser struct {
	*markup
	words  *words
	notes  notes
	report *Report

	begin, end time.Time
	skipped    error // why the first record that was left out was

	// Of the record that is read.
	row        Row
	rowLine    int // 0 for no row yet
	sourceErr  error
	evaluated  bool
	signatures []Signature
	senders    []Sender
	buf        []byte
}

// Parse reads an aggregate report: by the schema of RFC 9990, that of RFC 7489, appendix C, or
// a draft before it, in any namespace. What reporters get wrong is read as well as it can be,
// with a note in the report; records that make no sense are left out with a note. The error says
// what is wrong in which line where none of the records makes sense, or it is not known what the
// report is about. A report without any messages is one, though; some reporters send them.
//
// Rows share their signatures and senders, so these must not be changed. The caller bounds the
// size of the report; memory is at most some three times that, and 200 bytes a row.
func Parse(r io.Reader) (*Report, error) {
	in, unknown := utf8Reader(r)
	return parseReport(newMarkup(in), unknown)
}

// parseReport reads the report that comes next.
func parseReport(m *markup, unknownEncoding string) (*Report, error) {
	p := &parser{markup: m, words: newWords(), report: &Report{Policy: Policy{Percent: 100}}}
	if unknownEncoding != "" {
		p.notes.add(0, "encoding %q is not known: text may be garbled", brief(unknownEncoding))
	}
	if err := p.root(); err != nil {
		return nil, err
	}
	if err := p.each(p.feedback); err != nil {
		if err = p.truncated(err); err != nil {
			return nil, err
		}
	} else {
		p.behind()
	}
	if err := p.finish(); err != nil {
		return nil, err
	}
	return p.report, nil
}

// root reads up to the report. Other elements may stand around it.
func (p *parser) root() error {
	first := ""
	for {
		switch kind, err := p.next(); {
		case err == io.EOF && first == "":
			return errors.New("not an aggregate report: no XML in it")
		case err == io.EOF:
			return fmt.Errorf("not an aggregate report: it has a <%s> and no <feedback>", first)
		case err != nil:
			return fmt.Errorf("not an aggregate report: %w", err)
		case kind == start && p.name == "feedback":
			return nil
		case kind == start && first == "":
			first = p.name
		}
	}
}

// truncated tells whether a report that ends too early has all records. Who left out the last
// end tag wrote them all; one that breaks off in a record had more, and these could be the
// failures.
func (p *parser) truncated(err error) error {
	in := p.open[len(p.open)-1]
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return p.errorf("the report breaks off: %w", err)
	case err != io.EOF:
		return err
	case in == "feedback" && (len(p.report.Rows) > 0 || p.skipped != nil):
		p.notes.add(p.line, "no </feedback> at the end")
		return nil
	}
	return p.errorf("the report breaks off in <%s>", in)
}

// behind reads the records behind the end of the report. That may have been a value: some
// reporters put in what senders choose as it is, and nobody shall hide records so.
func (p *parser) behind() {
	for {
		switch kind, err := p.next(); {
		case err != nil:
			return // nothing that is part of the report
		case kind == start && p.name == "record":
			p.notes.add(p.line, "a record behind </feedback>")
			if p.feedback(p.name) != nil {
				return
			}
		}
	}
}

// each calls read for each element within the one that is open, up to its end. What read leaves
// of the element is passed over.
func (p *parser) each(read func(name string) error) error {
	depth := len(p.open)
	for {
		switch kind, err := p.next(); {
		case err != nil:
			return err
		case kind == end:
			return nil
		case kind == start:
			if err := read(p.name); err != nil {
				return err
			}
			if err := p.skip(depth); err != nil {
				return err
			}
		}
	}
}

// value reads the text of the element that is open, up to its end. It is valid until the next
// is read.
func (p *parser) value() ([]byte, error) {
	name, depth := p.name, len(p.open)
	p.buf = p.buf[:0]
	for {
		switch kind, err := p.next(); {
		case err != nil:
			return nil, err
		case kind == end && len(p.open) < depth:
			return p.buf, nil
		case kind == text:
			room := maxText - len(p.buf)
			p.buf = append(p.buf, p.text[:min(room, len(p.text))]...)
			if p.cut || len(p.text) > room {
				p.notes.add(p.line, "<%s> is cut off after %d bytes", name, maxText)
			}
		}
	}
}

// into reads the text of the element into a string.
func (p *parser) into(s *string, as func([]byte) string) error {
	b, err := p.value()
	if err == nil {
		*s = as(b)
	}
	return err
}

func (p *parser) feedback(name string) error {
	switch name {
	case "report_metadata":
		return p.each(p.metadata)
	case "policy_published":
		if p.report.Domain != "" {
			p.notes.add(p.line, "more than one policy_published, of which the first is read")
			return nil
		}
		return p.each(p.policy)
	case "record":
		if len(p.report.Rows) == maxRows {
			return p.errorf("more than %d records", maxRows)
		}
		return p.record()
	}
	return nil
}

func (p *parser) metadata(name string) error {
	switch name {
	case "org_name":
		return p.into(&p.report.Reporter, p.words.text)
	case "email":
		return p.into(&p.report.Email, p.words.text)
	case "report_id":
		return p.into(&p.report.ID, p.words.text)
	case "error":
		b, err := p.value()
		if s := p.words.text(b); s != "" {
			p.notes.add(p.line, "the reporter says: %s", s)
		}
		return err
	case "date_range":
		return p.each(p.dates)
	}
	return nil
}

func (p *parser) dates(name string) error {
	var to *time.Time
	switch name {
	case "begin":
		to = &p.begin
	case "end":
		to = &p.end
	default:
		return nil
	}
	b, err := p.value()
	if err != nil {
		return err
	}
	t, note, ok := moment(string(b))
	switch {
	case !ok:
		p.notes.add(p.line, "<%s> is %q, which is not a date", name, brief(p.words.text(b)))
	case note != "":
		p.notes.add(p.line, "%s", note)
	}
	if ok {
		*to = t
	}
	return nil
}

func (p *parser) policy(name string) error {
	policy := &p.report.Policy
	switch name {
	case "domain":
		return p.into(&p.report.Domain, p.words.domain)
	case "p":
		return p.disposition(&policy.P, name)
	case "sp":
		return p.disposition(&policy.SP, name)
	case "np":
		return p.disposition(&policy.NP, name)
	case "adkim":
		return p.into(&policy.ADKIM, p.alignment)
	case "aspf":
		return p.into(&policy.ASPF, p.alignment)
	case "testing", "t":
		b, err := p.value()
		word := p.words.lower(b)
		policy.Testing = word == "y" || word == "yes" || word == "true"
		return err
	case "pct":
		b, err := p.value()
		s := p.words.text(b)
		n, bad := strconv.Atoi(s)
		if s != "" && (bad != nil || n < 0 || n > 100) {
			p.notes.add(p.line, "pct is %q, read as 100", brief(s))
		} else if s != "" {
			policy.Percent = n
		}
		return err
	}
	return nil
}

// alignment reads a mode of alignment, r or s, that some spell out.
func (p *parser) alignment(b []byte) string {
	switch word := p.words.lower(b); word {
	case "r", "s":
		return word
	case "relaxed":
		return "r"
	case "strict":
		return "s"
	}
	return ""
}

// disposition reads what a policy asks for, or what became of messages.
func (p *parser) disposition(to *string, name string) error {
	b, err := p.value()
	switch word := p.words.lower(b); word {
	case "none", "quarantine", "reject", "":
		*to = word
	case "pass", "monitor":
		// RFC 9990 has pass for none where DMARC passed, the first drafts monitor for p=none.
		*to = "none"
	case "softfail":
		*to = "quarantine" // old rspamd
	default:
		*to = ""
		p.notes.add(p.line, "<%s> is %q, which is not a disposition", name, brief(word))
	}
	return err
}

// finish checks that the report says what it is about, and puts right what can be.
func (p *parser) finish() error {
	r := p.report
	if r.Domain == "" {
		return p.errorf("no <domain> in <policy_published>")
	}
	if err := p.period(); err != nil {
		return err
	}
	if len(r.Rows) == 0 {
		if p.skipped != nil {
			return fmt.Errorf("no record that makes sense: %w", p.skipped)
		}
		p.notes.add(0, "no messages: the report tells of none")
	}
	if r.Reporter == "" {
		r.Reporter = p.words.domain([]byte(r.Email))
		if r.Reporter == "" {
			r.Reporter = "unknown"
			p.notes.add(0, "neither org_name nor email: the reporter is unknown")
		}
	}
	if r.ID == "" {
		p.notes.add(0, "no report_id")
	}
	if r.Policy.P == "" {
		p.notes.add(0, "no policy (p) in policy_published")
	}
	if p.odd {
		p.notes.add(0, "not well-formed XML")
	}
	r.Notes = p.notes.list()
	return nil
}

// period sets the period from the dates that were read.
func (p *parser) period() error {
	begin, end := p.begin, p.end
	switch {
	case begin.IsZero() && end.IsZero():
		return p.errorf("no date in <begin> and <end> of <date_range>")
	case begin.IsZero():
		p.notes.add(0, "the period has no begin")
		begin = end
	case end.IsZero():
		p.notes.add(0, "the period has no end")
		end = begin
	case end.Before(begin):
		p.notes.add(0, "begin and end of the period are swapped")
		begin, end = end, begin
	}
	if days := int(end.Sub(begin).Hours() / 24); days > 8 {
		p.notes.add(0, "the period is %d days long", days)
	}
	p.report.Begin, p.report.End = begin, end
	return nil
}

// firstWord returns the first word of a result, in lower case: some add an explanation.
func (p *parser) firstWord(b []byte) string {
	fields := strings.Fields(p.words.lower(b))
	if len(fields) == 0 {
		return ""
	}
	return p.words.text([]byte(strings.TrimRight(fields[0], ",;(")))
}
