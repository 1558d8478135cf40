package status

import (
	"maps"
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
	messages   *prometheus.CounterVec
	signatures *prometheus.CounterVec
	signing    prometheus.Histogram

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
	reason   milter.Reason
	tempFail bool
	total    prometheus.Counter
	window   window
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
		known: known,
		limit: limit,
		now:   time.Now,
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
		none:  &series{domain: noDomain},
		other: &series{domain: otherDomains},
	}
	r.series.Store(new(map[string]*series))
	return r
}

// Collectors returns the metrics of messages.
func (r *Recorder) Collectors() []prometheus.Collector {
	return []prometheus.Collector{r.messages, r.signatures, r.signing}
}

// Observe counts a message.
func (r *Recorder) Observe(o *milter.Outcome) {
	if o.Reason == milter.Signed {
		r.signing.Observe(o.Took.Seconds())
	}
	s := r.of(o)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tally(r, o)
	t.total.Inc()
	t.window.add(r.now(), o)
	for _, key := range o.Keys {
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
		if t.reason == o.Reason && t.tempFail == o.TempFail {
			return t
		}
	}
	t := &tally{reason: o.Reason, tempFail: o.TempFail}
	t.total = r.messages.WithLabelValues(s.domain, string(t.result()), string(o.Reason))
	s.tallies = append(s.tallies, t)
	return t
}

func (t *tally) result() view.Result {
	switch {
	case t.tempFail:
		return view.TempFail
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
func (r *Recorder) Hour() view.Hour {
	now := r.now()
	sum := view.Hour{}
	for _, s := range *r.series.Load() {
		sum = s.addTo(sum, now)
	}
	sum = r.none.addTo(sum, now)
	sum = r.other.addTo(sum, now)
	sortHour(sum)
	return sum
}

// DomainHour returns the same of one domain; apart says whether it is counted
// apart from others.
func (r *Recorder) DomainHour(domain string) (hour view.Hour, apart bool) {
	s := (*r.series.Load())[domain]
	if s == nil {
		return view.Hour{}, len(*r.series.Load()) < r.limit
	}
	hour = s.addTo(view.Hour{}, r.now())
	sortHour(hour)
	return hour, true
}

func (s *series) addTo(sum view.Hour, now time.Time) view.Hour {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tallies {
		if n := t.window.sum(now); n > 0 {
			sum = addCount(sum, view.Count{
				Reason: t.reason, Result: t.result(), Messages: n, Last: t.window.last.example(),
			})
		}
	}
	return sum
}
