package status

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status/view"
)

//go:embed page.html page.css page.js
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
	p := &page{css: read("page.css"), js: read("page.js")}
	p.csp = fmt.Sprintf("default-src 'none'; style-src '%s'; script-src '%s'; img-src data:; "+
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'", hash(p.css), hash(p.js))
	p.template = template.Must(template.New("page").Funcs(template.FuncMap{
		"plain":   plain,
		"grouped": grouped,
		"symbol":  symbol,
		"reason":  reasonMeaning,
		"stages":  rotation.Stages,
		"hour":    func(v shown, h view.Hour, all bool) hourShown { return hourShown{v, h, all} },
		"within":  func(v shown, d view.Domain) domainShown { return domainShown{v, d} },
	}).Parse(read("page.html")))
	return p
}

// hash is that of a part of the page as CSP wants it.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256-" + base64.StdEncoding.EncodeToString(sum[:])
}

// shown is what the template works on.
type shown struct {
	*view.View
	Style   template.CSS
	Script  template.JS
	Refresh bool
}

// hourShown and domainShown are what the parts of the template work on.
type hourShown struct {
	View shown
	Hour view.Hour
	All  bool // of all domains, so an author is worth naming
}

type domainShown struct {
	View   shown
	Domain view.Domain
}

func (p *page) write(w io.Writer, v *view.View, refresh bool) {
	var b bytes.Buffer // so that an error does not leave half a page
	if err := p.template.Execute(&b, shown{v, template.CSS(p.css), template.JS(p.js), refresh}); err != nil {
		fmt.Fprintf(w, "the page cannot be made: %v", err)
		return
	}
	_, _ = w.Write(b.Bytes()) // an error is that of the connection
}

// Link is the page with one of its parameters changed: page or refresh.
func (s shown) Link(name string, value any) string {
	q := url.Values{}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	set("q", s.Query)
	set("domain", s.Domain)
	if s.Page > 1 {
		q.Set("page", strconv.Itoa(s.Page))
	}
	if s.Refresh {
		q.Set("refresh", "1")
	}
	q.Del(name)
	set(name, fmt.Sprint(value))
	return "?" + q.Encode()
}

// Next and Previous are the numbers of the pages beside this one, 0 for none.
func (s shown) Next() int {
	if s.Page < s.Pages {
		return s.Page + 1
	}
	return 0
}

// Previous is the number of the page before, 0 for none.
func (s shown) Previous() int { return s.Page - 1 }

// When says a time relative to the view.
func (s shown) When(t time.Time) string { return relative(t, s.Now) }

// Age is how long the daemon has been signing.
func (s shown) Age() string { return span(s.Now.Sub(s.Started)) }

// Span says how long ago a time is.
func (s shown) Span(t time.Time) string { return span(s.Now.Sub(t)) }

// Stamp writes a time for machines and for those who want it exactly.
func (s shown) Stamp(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

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

// reasonMeaning says in words why a message was or was not signed.
func reasonMeaning(r milter.Reason, result view.Result) string {
	switch r {
	case milter.Signed:
		return "signed"
	case milter.UntrustedClient:
		return "the client is neither logged in nor in the trusted networks"
	case milter.HeaderTooLarge:
		return "the header is larger than --max-header-bytes"
	case milter.FromMissing:
		return "there is no From field"
	case milter.FromMultiple:
		return "the From fields name several domains"
	case milter.FromInvalid:
		return "the From field cannot be read"
	case milter.NoKey:
		if result == view.TempFail {
			return "the domain must be signed and has no key"
		}
		return "the author domain has no key here"
	case milter.KeyBroken:
		return "the domain's key cannot be used"
	case milter.SignFailed:
		return "making the signature failed"
	}
	return ""
}
