package status

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"
	"time"

	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status/look"
	"signpost/milter/status/view"
)

//go:embed page.html page.js
var files embed.FS

// page is the status page: one file, with nothing to load.
type page struct {
	template *template.Template
	csp      string // allows the style and the script in it, by their hashes
	css, js  string
}

// newPage reads the parts. They are in the binary, so an error is a fault of
// ours that each test finds.
func newPage() *page {
	read := func(name string) string {
		data, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		return strings.TrimSpace(string(data))
	}
	p := &page{css: look.CSS(), js: read("page.js")}
	p.csp = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", look.Hash(p.css), look.Hash(p.js))
	p.template = template.Must(template.New("page").Funcs(template.FuncMap{
		"plain": plain, "grouped": grouped, "symbol": symbol, "mark": mark, "reason": reasonMeaning,
		"verdictClass": look.VerdictClass, "verdictMark": look.VerdictMark,
		"stages": rotation.Stages, "stagesOf": stagesOf, "results": view.Results,
		"relative": relative, "stamp": stamp,
		"span":  func(from, to time.Time) string { return span(to.Sub(from)) },
		"lasts": span,
		"full":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") },
		"date":  func(t time.Time) string { return t.UTC().Format("2 January 2006") },
		"hour":  func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04") },
		"clock": func(t time.Time) string { return t.UTC().Format("15:04") },
		"of":    func(s view.Step, result view.Result) uint64 { return *s.Of(result) },
		"add":   func(a, b int) int { return a + b },
		"both":  func(v shown, part any) within { return within{v, part} },
	}).Parse(read("page.html")))
	return p
}

// shown is what the template works on.
type shown struct {
	*view.View
	Style    template.CSS
	Script   template.JS
	Plot     *plot
	question question
}

// within is a part of the page, with the whole.
type within struct {
	View shown
	Part any
}

func (p *page) write(w io.Writer, v *view.View, day view.Day, q question) {
	q.page = v.Page
	var b bytes.Buffer // so that an error does not leave half a page
	err := p.template.Execute(&b, shown{v, template.CSS(p.css), template.JS(p.js), newPlot(day), q})
	if err != nil {
		fmt.Fprintf(w, "the page cannot be made: %v", err)
		return
	}
	_, _ = w.Write(b.Bytes()) // an error is that of the connection
}

// Links to the same page with something else, each by its name.

func (s shown) Here() string { return s.question.link() }

func (s shown) Everything() string {
	return question{page: 1, size: usualSize, again: s.question.again}.link()
}

func (s shown) OfDomain(name string) string {
	return question{domain: name, page: 1, size: usualSize, again: s.question.again}.link()
}

func (s shown) Showing(what any) string {
	q := s.question
	q.query, q.show, q.page = "", fmt.Sprint(what), 1 // of all domains, as its number is
	return q.link()
}

func (s shown) AtPage(page int) string {
	q := s.question
	q.page = page
	return q.link()
}

func (s shown) Refreshing(again bool) string {
	q := s.question
	q.again = again
	return q.link()
}

// Data is what follows the name of a file with the same, of as many domains as it can.
func (s shown) Data() string {
	q := s.question
	q.page, q.size, q.again = 1, mostDomains, false
	if q.domain != "" {
		q.size = usualSize
	}
	return q.link()
}

// Refresh and Size are of the question.

func (s shown) Refresh() bool { return s.question.again }

func (s shown) Size() string {
	if s.question.size == usualSize {
		return ""
	}
	return fmt.Sprint(s.question.size)
}

// Records is how many records on this page are to be published.
func (s shown) Records() (n int) {
	for _, d := range s.Domains {
		for _, k := range d.Keys {
			if k.Publish {
				n++
			}
		}
	}
	return n
}

// Unanswered are the keys on this page of which the DNS gave no clear answer.
func (s shown) Unanswered() (keys []view.Key) {
	for _, d := range s.Domains {
		for _, k := range d.Keys {
			if k.Stage != rotation.Broken && k.Failure != "" {
				keys = append(keys, k)
			}
		}
	}
	return keys
}

// symbol stands beside the word of a stage, so that colour is not all there is.
func symbol(s rotation.Stage) string {
	switch s {
	case rotation.Pending:
		return "◔"
	case rotation.Published:
		return "◑"
	case rotation.Active:
		return "●"
	case rotation.Retiring:
		return "◌"
	case rotation.Retired:
		return "○"
	}
	return "✕"
}

// mark stands beside the word of a result in the same way.
func mark(r view.Result) string {
	switch r {
	case view.Signed:
		return "✓"
	case view.Unsigned:
		return "–"
	case view.Rejected:
		return "✕"
	}
	return "▲"
}

// stagesOf returns the stages of a domain's keys, once each, that of the domain first.
func stagesOf(d view.Domain) (all []rotation.Stage) {
	for _, stage := range append([]rotation.Stage{d.Stage}, rotation.Stages()...) {
		has := slices.ContainsFunc(d.Keys, func(k view.Key) bool { return k.Stage == stage })
		if has && !slices.Contains(all, stage) {
			all = append(all, stage)
		}
	}
	return all
}

// reasonMeaning says in words why a message was or was not signed.
func reasonMeaning(r milter.Reason, result view.Result) string {
	switch r {
	case milter.Signed:
		return "signed"
	case milter.UntrustedClient:
		return "the client is neither logged in nor in the trusted networks"
	case milter.HeaderTooLarge:
		return "the header is larger than --max-header-bytes"
	case milter.MemoryLimit:
		return "the headers of all messages together take more than --max-memory"
	case milter.FromMissing:
		return "there is no From field"
	case milter.LoginMismatch:
		return "the login does not own the address in From (--sender-login-maps)"
	case milter.FromMultiple:
		return "the From fields name several domains"
	case milter.FromInvalid:
		return "the From field cannot be read"
	case milter.FromAmbiguous:
		return "programs read different author domains in the From field"
	case milter.NoKey:
		if result == view.TempFail {
			return "the domain must be signed and has no key"
		}
		return "the author domain has no key here"
	case milter.KeyUnknown:
		return "the key store does not answer, so whether the domain has a key is not known"
	case milter.KeyBroken:
		return "the domain's key cannot be used"
	case milter.RelayKey:
		return "the author domain has no key, and the relay's own, which signs in its place, cannot be used"
	case milter.LineTooLong:
		return "a line is over 998 octets, which breaks the signature on delivery (--on-broken-later)"
	case milter.SignFailed:
		return "making the signature failed"
	}
	return ""
}
