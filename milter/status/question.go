package status

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"signpost/keystore"
	"signpost/keystore/rotation"
)

// question is what a request asks for.
type question struct {
	query  string // part of a name
	domain string // or a whole one
	show   string // showAttention or a stage that a key has
	page   int
	size   int  // of a page
	again  bool // every half a minute
}

const (
	showAttention = "attention"
	usualSize     = 50
	mostRows      = 500  // of the table
	mostDomains   = 1000 // for programs
)

// asked reads the parameters of a request: q, domain, show, page, limit and refresh.
// What is not understood counts as not said.
func asked(r *http.Request, most int) question {
	values := r.URL.Query()
	page, _ := strconv.Atoi(values.Get("page"))
	size, err := strconv.Atoi(values.Get("limit"))
	if err != nil || size < 1 {
		size = usualSize
	}
	show := values.Get("show")
	if show != showAttention && !slices.Contains(rotation.Stages(), rotation.Stage(show)) {
		show = ""
	}
	return question{
		query: clean(values.Get("q")), domain: clean(values.Get("domain")), show: show,
		page: max(page, 1), size: min(size, most), again: values.Get("refresh") != "",
	}
}

// link is the address of the answer to a question.
func (q question) link() string {
	values := url.Values{}
	set := func(name, value string, said bool) {
		if said {
			values.Set(name, value)
		}
	}
	set("q", q.query, q.query != "")
	set("domain", q.domain, q.domain != "")
	set("show", q.show, q.show != "")
	set("page", strconv.Itoa(q.page), q.page > 1)
	set("limit", strconv.Itoa(q.size), q.size != usualSize)
	set("refresh", "1", q.again)
	return "?" + values.Encode()
}

// clean returns a search text as names are written: in lower case, without white
// space around it, and as A-labels.
func clean(query string) string {
	query = strings.ToLower(strings.TrimSpace(query[:min(len(query), 255)]))
	if strings.IndexFunc(query, func(r rune) bool { return r >= utf8.RuneSelf }) < 0 {
		return query
	}
	if labels, err := keystore.Selector(query); err == nil {
		return labels
	}
	return query
}
