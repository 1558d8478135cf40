package status

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"signpost/milter"
	"signpost/milter/status/view"
)

// Names that stand where a domain would.
const (
	otherDomains = "other" // with keys or that must be signed, beyond the bound
	noDomain     = "none"  // all else: its name comes from the message
)

// DefaultDomains is how many domains have counts of their own.
const DefaultDomains = 1000

// Recorder counts what becomes of messages, for Prometheus and for the page.
// Its Observe is what milter.Config.Observe takes.
type Recorder struct {
	known      func(author string) (string, bool)
	limit      int
	now        func() time.Time
	steady     func(now time.Time) int64 // seconds on a clock that nobody sets
	began      int64                     // when counting did, on that clock
	messages   *prometheus.CounterVec
	signatures *prometheus.CounterVec
	signing    prometheus.Histogram
	long       *prometheus.CounterVec
	lacking    prometheus.Counter

	series atomic.Pointer[map[string]*series] // by domain; replaced as a whole
	grow   sync.Mutex
	none   *series
	other  *series
}

// series is what is counted for one domain.
type series struct {
	mu      sync.Mutex
	domain  string
	tallies []*tally   // a few: one for each reason and result that was seen
	signers []signedBy // a few: one for each key that was seen to sign
}

type tally struct {
	reason milter.Reason
	action milter.Action
	total  prometheus.Counter
	window window
}

type signedBy struct {
	selector, algorithm string
	total               prometheus.Counter
}

// NewRecorder returns a recorder that counts at most limit domains apart (0 is
// DefaultDomains), first come. Of an author domain, known returns the domain
// that it belongs to among those that have keys or must be signed: no other
// name is ever kept as a label, for it would be for senders to choose.
func NewRecorder(limit int, known func(author string) (string, bool)) *Recorder {
	if limit == 0 {
		limit = DefaultDomains
	}
	r := &Recorder{
		known:  known,
		limit:  limit,
		now:    time.Now,
		steady: newSteady().at,
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signpost_messages_total",
			Help: "Messages by result and reason. The domain is that of the key or one that must be signed; " +
				"\"none\" stands for all others.",
		}, []string{"domain", "result", "reason"}),
		signatures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signpost_signatures_total",
			Help: "Signatures made, by key.",
		}, []string{"domain", "selector", "algorithm"}),
		signing: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "signpost_signing_seconds",
			Help:    "Time to make the signatures of a message.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1},
		}),
		long: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "signpost_long_lines_total",
			Help: "Messages with a line over 998 octets in the body or in a signed header field: Postfix breaks it, " +
				"and the signature, on delivery.",
		}, []string{"part"}),
		lacking: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "signpost_also_sign_missing_total",
			Help: "Messages signed by their author domain alone, for the relay's own key (--also-sign) cannot be used.",
		}),
		none:  &series{domain: noDomain},
		other: &series{domain: otherDomains},
	}
	r.began = r.steady(r.now())
	r.series.Store(new(map[string]*series))
	return r
}

// Collectors returns the metrics of messages.
func (r *Recorder) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.messages, r.signatures, r.signing, r.long, r.lacking}
}

// Observe counts a message.
func (r *Recorder) Observe(o *milter.Outcome) {
	if o.Reason == milter.Signed {
		r.signing.Observe(o.Took.Seconds())
	}
	if o.Long != nil {
		r.long.WithLabelValues(o.Long.Part()).Inc()
	}
	if o.AlsoErr != nil && o.Reason == milter.Signed {
		r.lacking.Inc()
	}
	s := r.of(o)
	now := r.now()
	steady := r.steady(now)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally(r, o)
	t.total.Inc()
	t.window.add(steady, now, o)
	for _, key := range o.Keys {
		if key.Domain != o.Keys[0].Domain { // the relay's, which is one domain
			r.signatures.WithLabelValues(key.Domain, key.Selector, string(key.Algorithm)).Inc()
			continue
		}
		s.signer(r, key.Selector, string(key.Algorithm)).Inc()
	}
}

// of returns the series that a message counts for.
func (r *Recorder) of(o *milter.Outcome) *series {
	domain := ""
	if len(o.Keys) > 0 {
		domain = o.Keys[0].Domain
	} else if o.Author != "" {
		domain, _ = r.known(o.Author)
	}
	if domain == "" {
		return r.none
	}
	if s := (*r.series.Load())[domain]; s != nil {
		return s
	}
	return r.begin(domain)
}

// begin makes the series of a domain while there is room.
func (r *Recorder) begin(domain string) *series {
	if len(*r.series.Load()) >= r.limit {
		return r.other
	}
	r.grow.Lock()
	defer r.grow.Unlock()
	have := *r.series.Load()
	if s := have[domain]; s != nil {
		return s
	}
	if len(have) >= r.limit {
		return r.other
	}
	next := make(map[string]*series, len(have)+1)
	maps.Copy(next, have)
	s := &series{domain: domain}
	next[domain] = s
	r.series.Store(&next)
	return s
}

func (s *series) tally(r *Recorder, o *milter.Outcome) *tally {
	for _, t := range s.tallies {
		if t.reason == o.Reason && t.action == o.Action {
			return t
		}
	}
	t := &tally{reason: o.Reason, action: o.Action}
	t.total = r.messages.WithLabelValues(s.domain, string(t.result()), string(o.Reason))
	s.tallies = append(s.tallies, t)
	return t
}

func (t *tally) result() view.Result {
	switch {
	case t.action == milter.TempFail:
		return view.TempFail
	case t.action == milter.Reject:
		return view.Rejected
	case t.reason == milter.Signed:
		return view.Signed
	}
	return view.Unsigned
}

func (s *series) signer(r *Recorder, selector, algorithm string) prometheus.Counter {
	if s == r.other {
		selector = otherDomains // or there would be as many as there are domains
	}
	for _, k := range s.signers {
		if k.selector == selector && k.algorithm == algorithm {
			return k.total
		}
	}
	k := signedBy{selector, algorithm, r.signatures.WithLabelValues(s.domain, selector, algorithm)}
	s.signers = append(s.signers, k)
	return k.total
}

// Hour returns what became of the messages of the last hour, of all domains.
func (r *Recorder) Hour() view.Counts { return r.counts((*window).lastHour, r.all()...) }

// Day returns what became of those of the last 24 hours.
func (r *Recorder) Day() view.Counts { return r.counts((*window).lastDay, r.all()...) }

// OfDomain returns the same of one domain; apart says whether it is counted apart
// from others.
func (r *Recorder) OfDomain(domain string) (hour, day view.Counts, apart bool) {
	all, apart := r.one(domain)
	return r.counts((*window).lastHour, all...), r.counts((*window).lastDay, all...), apart
}

// Steps returns the last 24 hours of a domain, or of all when it is empty.
func (r *Recorder) Steps(domain string) view.Day {
	all, apart := r.all(), true
	if domain != "" {
		all, apart = r.one(domain)
	}
	now := r.now()
	steady := r.steady(now)
	// Times are those of the clock as it stands, if it was set since.
	set := time.Duration(now.Unix()-steady) * time.Second
	wall := func(steady int64) time.Time { return time.Unix(steady, 0).Add(set.Round(time.Minute)).UTC() }

	day := view.Day{Domain: domain, Together: !apart, Since: wall(r.began), Step: step}
	day.Steps = make([]view.Step, steps)
	for _, s := range all {
		s.addDay(day.Steps, steady)
	}
	for i := range day.Steps {
		day.Steps[i].Time = wall((steady/step + 1 + int64(i) - steps) * step)
	}
	return day
}

func (r *Recorder) all() []*series {
	return append(slices.Collect(maps.Values(*r.series.Load())), r.none, r.other)
}

// one returns the series of a domain, if it has messages.
func (r *Recorder) one(domain string) (all []*series, apart bool) {
	have := *r.series.Load()
	if s := have[domain]; s != nil {
		return []*series{s}, true
	}
	return nil, len(have) < r.limit
}

func (r *Recorder) counts(of func(*window, int64) uint64, all ...*series) view.Counts {
	steady := r.steady(r.now())
	counts := view.Counts{}
	for _, s := range all {
		s.mu.Lock()
		for _, t := range s.tallies {
			if n := of(&t.window, steady); n > 0 {
				counts = addCount(counts, view.Count{
					Reason: t.reason, Result: t.result(), Messages: n, Last: t.window.last.example(),
				})
			}
		}
		s.mu.Unlock()
	}
	sortCounts(counts)
	return counts
}

func (s *series) addDay(day []view.Step, steady int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tallies {
		t.window.addDay(day, t.result(), steady)
	}
}
