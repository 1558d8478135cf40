package status

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/reports/watch"
	"signpost/milter/status/view"
)

// Facts is what a running signpostd has to show.
type Facts struct {
	Version string
	RSA     string // which implementation makes RSA signatures
	Started time.Time
	Listen  []string // the milter sockets

	Domains []string // that must be signed
	Rules   milter.Rules

	Store   keystore.Source
	Book    *rotation.Book
	Checker *rotation.Checker // nil when the DNS is not asked
	Server  *milter.Server
	Serving atomic.Bool // between the start and the end of serving

	Reports  *watch.Watch      // nil when none are read
	Evidence rotation.Evidence // of them

	mu       sync.Mutex
	indexed  int64         // the revision that index and problems are of
	at       time.Time     // when they were made
	took     time.Duration // and how long that took
	index    *Index
	problems map[string][]keystore.Problem // by domain
}

// Source returns the facts as a handler and the metrics ask for them.
func (f *Facts) Source() *Source {
	source := &Source{
		Version:   f.Version,
		RSA:       f.RSA,
		Started:   f.Started,
		Listen:    f.Listen,
		Readiness: f.readiness,
		Signs:     f.signs,
		Index:     f.currentIndex,
		Domain:    f.domain,
		Invalid:   f.invalid,
		Sessions:  f.Server.Sessions,
		Refused:   f.Server.Counters().Refused,
		Memory:    f.Server.Memory,
		Reloads:   f.Store.Reloads,
		Held:      f.Store.Held,
		Answers:   f.Store.Answers,
		AlsoSign:  f.alsoSign,
		Reports:   f.reports,
		Verdicts:  f.verdicts,
	}
	if f.Checker != nil {
		source.Round, source.Findings = f.Checker.Round, f.Checker.WriteFindings
	}
	return source
}

// Known returns the domain whose keys or setting a message from an author
// domain falls under.
func (f *Facts) Known(author string) (string, bool) {
	return f.Rules.Covering(author, f.Book.Signing)
}

// currentIndex returns the index of the keys in force, a new one if they have
// changed.
func (f *Facts) currentIndex() *Index {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.indexKeys(f.Store.Snapshot())
	return f.index
}

func (f *Facts) problemsOf(name string, keys *keystore.Snapshot) []keystore.Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.indexKeys(keys)
	return f.problems[name]
}

// invalid says what is wrong with files that belong to no domain.
func (f *Facts) invalid() (texts []string) {
	for _, p := range f.problemsOf("", f.Store.Snapshot()) {
		texts = append(texts, finding.Text(p))
	}
	return texts
}

// indexPause is how many times longer an index is kept than it takes to make: while
// the records of a hundred thousand domains are queried, something changes all the time.
const indexPause = 50

// indexKeys makes the index of the keys, unless there is one that is new enough. The
// lock is held.
func (f *Facts) indexKeys(keys *keystore.Snapshot) {
	revision := f.Book.Revision()
	start := time.Now()
	if f.index != nil && (revision == f.indexed || start.Sub(f.at) < indexPause*f.took) {
		return
	}
	f.problems = make(map[string][]keystore.Problem)
	for _, p := range keys.Problems() {
		f.problems[p.Domain] = append(f.problems[p.Domain], p)
	}
	names := slices.Concat(keys.Domains(), f.Domains)
	slices.Sort(names)
	names = slices.Compact(names)
	f.index = NewIndex(func(yield func(Summary) bool) {
		var stages []rotation.Stage
		now := time.Now()
		for _, name := range names {
			if f.candidate(name) {
				continue // whoever sends mail chooses them
			}
			if !keys.Read(name) {
				// To read all at once would take minutes: what is wrong shows as they are read.
				if !yield(Summary{Name: name}) {
					return
				}
				continue
			}
			_, _, err := f.Rules.Keys(name, f.Book.Signing)
			sum := Summary{Name: name, Stages: stages[:0]}
			for _, key := range f.status(name, now) {
				sum.Stages = append(sum.Stages, key.Stage)
				sum.Attention = max(sum.Attention, attention(key))
			}
			for _, p := range f.problems[name] {
				if !p.InForce {
					sum.Stages = append(sum.Stages, rotation.Broken)
				}
			}
			if err != nil || len(f.problems[name]) > 0 {
				sum.Attention = Urgent
			}
			if stages = sum.Stages; !yield(sum) {
				return
			}
		}
	})
	f.indexed, f.at = revision, time.Now()
	f.took = f.at.Sub(start)
}

// attention says whether somebody should look at a key: at one that signs and
// that nobody can verify, or at one that waits.
func attention(key rotation.Status) Attention {
	switch {
	case key.Next == rotation.Publish && key.Signs:
		return Urgent
	case key.Next == rotation.Publish, key.Next == rotation.Finish, key.Reports.Prolongs:
		return Waits
	}
	return Fine
}

// domain returns what there is to show of a domain.
func (f *Facts) domain(name string) (view.Domain, bool) {
	keys := f.Store.Snapshot()
	must := f.Rules.MustSign[name]
	_, _, err := f.Rules.Keys(name, f.Book.Signing)
	d := view.Domain{Name: name, Must: must, Keys: []view.Key{}, DMARC: f.dmarc(name)}
	if err != nil && must {
		d.Problems = append(d.Problems, finding.Text(fmt.Errorf("its mail is deferred: %w", err)))
	}
	said, next := f.said(name)
	for _, key := range slices.Backward(f.status(name, time.Now())) {
		d.Keys = append(d.Keys, shownKey(key, said[key.Selector], next))
	}
	for _, p := range f.problemsOf(name, keys) {
		if p.InForce {
			d.Problems = append(d.Problems, finding.Text(p))
			continue
		}
		d.Keys = append(d.Keys, view.Key{File: p.File, Stage: rotation.Broken, Failure: finding.Text(p.Err)})
	}
	return d, must || len(d.Keys) > 0
}

// said returns what the DNS said of the keys of a domain that is not settled.
func (f *Facts) said(name string) (map[string]dns.KeyAnswer, time.Time) {
	if f.Checker == nil {
		return nil, time.Time{}
	}
	return f.Checker.Said(name)
}

// shownKey says what there is to say of a key, of which the DNS said that last, if
// it is not settled.
func shownKey(key rotation.Status, said dns.KeyAnswer, next time.Time) view.Key {
	shown := view.Key{
		Selector:   key.Selector,
		Algorithm:  string(key.Algorithm),
		Bits:       key.Bits,
		File:       key.File,
		Stage:      key.Stage,
		Since:      key.Since,
		Made:       key.ModTime,
		Checked:    key.Mark.Asked.Time(),
		Next:       next,
		RecordName: record.Name(key.Selector, key.Domain),
		Publish:    key.Next == rotation.Publish,
		Advice:     key.Advice(""),
		Reports:    key.Testimony(),
	}
	switch {
	case said.Presence == dns.Unknown:
		shown.Failure = said.Text
		if key.Mark.Presence == dns.There {
			shown.Evidence = "published"
		}
	default:
		shown.Evidence = said.Text
	}
	if value, err := record.ForKey(key.Signer.Public()); err == nil {
		shown.RecordValue = value.String()
	}
	return shown
}
