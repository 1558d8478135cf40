package status

import (
	"net/http"
	"strconv"
	"time"

	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

// question is what a request asks for.
type question struct {
	query  string // part of a name
	domain string // or a whole one
	page   int
	size   int
}

// asked reads the parameters q, domain, page and limit of a request.
func asked(r *http.Request, most int) question {
	values := r.URL.Query()
	page, _ := strconv.Atoi(values.Get("page"))
	size, err := strconv.Atoi(values.Get("limit"))
	if err != nil || size < 1 {
		size = min(50, most)
	}
	return question{clean(values.Get("q")), clean(values.Get("domain")), page, min(size, most)}
}

// viewer puts together what there is to see.
type viewer struct {
	source   *Source
	recorder *Recorder
}

func (v *viewer) view(q question) *view.View {
	reasons, _ := v.source.NotReady()
	index := v.source.Index()
	whole := &view.View{
		Version:   v.source.Version,
		Started:   v.source.Started.UTC(),
		Now:       v.recorder.now().UTC().Truncate(time.Second),
		Ready:     len(reasons) == 0,
		NotReady:  few(reasons),
		Invalid:   few(v.source.Invalid()),
		Listen:    v.source.Listen,
		Keys:      make(map[rotation.Stage]int),
		Hour:      v.recorder.Hour(),
		Query:     q.query,
		Domain:    q.domain,
		Total:     len(index.names),
		Attention: index.attention,
		Domains:   []view.Domain{},
	}
	for _, stage := range rotation.Stages() {
		whole.Keys[stage] = index.stages[stage]
	}
	var names []string
	if q.domain != "" {
		whole.Page, whole.Pages = 1, 1
		names = []string{q.domain}
	} else {
		names, whole.Page, whole.Pages, whole.Matching = index.page(q.query, q.page, q.size)
	}
	for _, name := range names {
		domain, ok := v.source.Domain(name)
		if !ok {
			continue // it has gone in this moment, or was never there
		}
		var apart bool
		domain.Hour, apart = v.recorder.DomainHour(name)
		domain.Together = !apart
		whole.Domains = append(whole.Domains, domain)
	}
	if q.domain != "" {
		whole.Matching = len(whole.Domains)
	}
	return whole
}
