package status

import (
	"cmp"
	"path/filepath"
	"slices"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

// viewer puts together what there is to see.
type viewer struct {
	source   *Source
	recorder *Recorder
}

// held returns nil when there is nothing to tell.
func (v *viewer) held() *view.Held {
	held := v.source.Held()
	if held.Why == nil {
		return nil
	}
	return &view.Held{Keys: held.Keys, Since: held.Since.UTC(), Why: finding.Text(held.Why)}
}

// stores returns the stores of keys over the network.
func (v *viewer) stores() (all []view.Store) {
	for _, a := range v.source.Answers() {
		store := view.Store{Name: a.Store, Answered: a.Last.UTC(), Listed: a.Listed, Watched: a.Watched}
		if a.Err != nil {
			store.Failing, store.Why = a.Since.UTC(), finding.Text(a.Err)
		}
		all = append(all, store)
	}
	return all
}

// round returns nil when the DNS is not asked.
func (v *viewer) round() *view.Round {
	if v.source.Round == nil {
		return nil
	}
	r := v.source.Round()
	return &view.Round{Seconds: int(r.Length / time.Second), Domains: r.Domains, Nodes: slices.Concat([]string{}, r.Nodes)}
}

func (v *viewer) view(q question) *view.View {
	state := v.source.Readiness()
	index := v.source.Index()
	whole := &view.View{
		Version:   v.source.Version,
		Started:   v.source.Started.UTC(),
		Now:       v.recorder.now().UTC().Truncate(time.Second),
		Ready:     len(state.Down) == 0,
		NotReady:  state.Down,
		Unsigned:  state.unsigned(),
		Invalid:   few(v.source.Invalid()),
		Held:      v.held(),
		Stores:    v.stores(),
		AlsoSign:  v.source.AlsoSign(),
		Round:     v.round(),
		Reports:   v.source.Reports(),
		Listen:    v.source.Listen,
		Keys:      make(map[rotation.Stage]int),
		Hour:      v.recorder.Hour(),
		Day:       v.recorder.Day(),
		Query:     q.query,
		Show:      q.show,
		Domain:    q.domain,
		Total:     len(index.names),
		Attention: index.attention,
		Stages:    make(map[rotation.Stage]int),
		Unread:    index.unread,
		Domains:   []view.Domain{},
	}
	for _, stage := range rotation.Stages() {
		whole.Keys[stage] = index.keys[stage]
		whole.Stages[stage] = index.domains[stage]
	}
	var names []string
	if q.domain != "" {
		whole.Page, whole.Pages = 1, 1
		names = []string{q.domain}
	} else {
		names, whole.Page, whole.Pages, whole.Matching = index.page(q)
	}
	for _, name := range names {
		domain, ok := v.source.Domain(name)
		if !ok {
			continue // it has gone in this moment, or was never there
		}
		var apart bool
		domain.Hour, domain.Day, apart = v.recorder.OfDomain(name)
		domain.Together = !apart
		domain.Stage, domain.Tasks = stageOf(domain.Keys), tasks(domain)
		whole.Domains = append(whole.Domains, domain)
	}
	if q.domain != "" {
		whole.Matching = len(whole.Domains)
	}
	return whole
}

// stageOf is the stage of the key that signs, if there is one, else of the one that
// comes next to it.
func stageOf(keys []view.Key) rotation.Stage {
	for _, stage := range []rotation.Stage{rotation.Active, rotation.Pending, rotation.Broken} {
		if slices.ContainsFunc(keys, func(k view.Key) bool { return k.Stage == stage }) {
			return stage
		}
	}
	return ""
}

// tasks says what to do for a domain.
func tasks(d view.Domain) (all []view.Task) {
	for _, problem := range d.Problems {
		all = append(all, view.Task{Urgent: true, Text: problem})
	}
	for _, k := range d.Keys {
		switch {
		case k.Stage == rotation.Broken:
			all = append(all, view.Task{Urgent: true, Text: filepath.Base(k.File) + ": " + k.Failure})
			continue
		case k.Publish, k.Stage == rotation.Retired:
			all = append(all, view.Task{Selector: k.Selector, Urgent: k.Stage == rotation.Active, Text: k.Advice})
		}
		if k.Reports != nil && k.Reports.Prolongs {
			all = append(all, view.Task{Selector: k.Selector, Text: k.Reports.Text})
		}
		if k.Failure != "" {
			all = append(all, view.Task{Selector: k.Selector, Text: "the DNS gives no clear answer"})
		}
	}
	slices.SortStableFunc(all, func(a, b view.Task) int { return cmp.Compare(weight(b), weight(a)) })
	return all
}

func weight(t view.Task) int {
	if t.Urgent {
		return 1
	}
	return 0
}
