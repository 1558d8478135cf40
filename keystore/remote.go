package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"signpost/keystore/finding"
)

// DefaultLookup is how long a message waits for a store that is reached over the network.
const DefaultLookup = 200 * time.Millisecond

// Remote keeps the keys of a Backend. It lists the domains at the start and at each
// rescan, reads the keys of one on first use and of all in the background, and again
// when they may have changed. A message whose domain is known never waits for the store.
// A store that does not answer takes nothing away: only an answer does that is whole.
type Remote struct {
	picture
	backend Backend
	options Options
	recent  recent
	cache   *cache // nil for none

	answers atomic.Pointer[Answers]
	copied  atomic.Bool                     // the local copy was loaded
	listed  atomic.Bool                     // the store was listed whole, once
	noList  atomic.Bool                     // it cannot be listed
	epoch   atomic.Int64                    // how often it began or ended to report changes, so odd while it does
	synced  atomic.Int64                    // the epoch in which it was listed last
	unread  chan struct{}                   // new domains were listed, and may not have been read
	life    atomic.Pointer[context.Context] // of Watch

	slow     atomic.Pointer[time.Time] // when a message waited in vain last; nil for never
	lookups  *rate.Limiter             // of domains that are not listed
	absentMu sync.Mutex
	absent   map[string]time.Time // when such a domain had no key

	reload sync.Mutex // one listing or reading again at a time; it guards what follows
	scans  uint32
	plain  bool  // the versions of keys are not told
	doubt  error // that of the last listing, nil when it succeeded
}

// Answers is how a store that is reached over the network answers.
type Answers struct {
	Store   string    // its name
	Last    time.Time // when it answered last; zero for never
	Err     error     // why it does not, or refuses; nil if it does
	Since   time.Time // when that began; zero for not
	Listed  bool      // its domains were listed, or it is one that cannot be listed and answers
	Watched bool      // it reports changes
	tried   time.Time // the last call
}

// How long the store gets for what no message waits for.
const (
	openWithin = 2 * time.Second  // for the listing of a start, and again for few keys
	callWithin = 20 * time.Second // for a listing or a batch
	readWithin = 5 * time.Second  // for a domain that a message asked for
)

// readAtOnce is how many domains are read with one call.
const readAtOnce = 200

// OpenRemote lists the store for the first time, and reads its keys if they are few. It
// goes without where the store does not answer, and Watch tries again.
func OpenRemote(ctx context.Context, backend Backend, options Options, log *slog.Logger) *Remote {
	r := newRemote(backend, options, log)
	first, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	if err := r.list(first, false); err != nil {
		r.loadCache()
		return r
	}
	if r.noList.Load() {
		r.loadCache() // else nothing is known before mail comes, and the next copy would be empty
	}
	n := r.Snapshot().Len()
	if n > 10*few {
		r.recent.most = recentOfMany
	}
	if n <= few {
		second, cancel := context.WithTimeout(ctx, openWithin)
		defer cancel()
		if r.readUnread(second, nil) == nil {
			r.allRead()
			return r
		}
		r.loadCache()
	}
	log.Info("keys found, they are read on first use and in the background", "keys", r.name, "domains", n)
	return r
}

func newRemote(backend Backend, options Options, log *slog.Logger) *Remote {
	r := &Remote{
		picture: newPicture(backend.Name(), log), backend: backend, options: options,
		cache:   newCache(options.Cache, options.CacheKey, backend.Name()),
		lookups: rate.NewLimiter(50, 100), absent: make(map[string]time.Time), unread: make(chan struct{}, 1),
	}
	life := context.Background()
	r.life.Store(&life)
	r.answers.Store(&Answers{Store: backend.Name()})
	r.current.Store(&Snapshot{shards: newShards()})
	return r
}

// Answers returns how the store answers.
func (r *Remote) Answers() []Answers {
	a := *r.answers.Load()
	a.Listed, a.Watched = r.listed.Load(), r.watched()
	return []Answers{a}
}

// watched reports whether the store was listed and has reported all changes since.
func (r *Remote) watched() bool {
	epoch := r.epoch.Load()
	return epoch%2 == 1 && r.synced.Load() == epoch
}

// answered notes how a call of the store went.
func (r *Remote) answered(err error) {
	for {
		was := r.answers.Load()
		now := &Answers{Store: was.Store, Last: time.Now(), tried: time.Now()}
		if err != nil {
			now.Last, now.Err, now.Since = was.Last, err, was.Since
			if was.Err == nil {
				now.Since = time.Now()
			}
		}
		if r.answers.CompareAndSwap(was, now) {
			return
		}
	}
}

// read reads domains from the store.
func (r *Remote) read(ctx context.Context, domains []string) ([][]Entry, error) {
	entries, err := r.backend.Read(ctx, domains)
	if err == nil && len(entries) != len(domains) {
		err = fmt.Errorf("%s answered for %d domains of %d", r.name, len(entries), len(domains))
	}
	if !errors.Is(err, context.Canceled) {
		r.answered(err)
	}
	if err == nil && r.noList.Load() {
		r.listed.Store(true)
	}
	return entries, err
}

// notListed is the version of keys that nobody listed.
var notListed = place{}

// list lists the store, and reads again what has changed.
func (r *Remote) list(ctx context.Context, accept bool) error {
	r.reload.Lock()
	defer r.reload.Unlock()
	if accept {
		r.toldAt = time.Time{} // it is logged again what is held, if anything is
	}
	r.reloads.Add(1)
	err := r.listAll(ctx, accept)
	if errors.Is(err, context.Canceled) {
		return err // that is the end, and says nothing of the store
	}
	if r.doubt = err; err != nil {
		r.failed.Add(1)
	}
	r.tell(r.survey(), r.doubt)
	return err
}

func (r *Remote) listAll(ctx context.Context, accept bool) error {
	epoch := r.epoch.Load()
	before := r.Snapshot() // marks are on what it has, whatever is read meanwhile
	r.scans++
	var added []change
	again := make(map[string]place)
	plain := false
	within, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	err := r.backend.List(within, func(domain, version string) {
		at := versionOf(version)
		plain = plain || version == ""
		d := before.shards.find(domain)
		if d == nil {
			added = append(added, change{domain, nil, &DomainKeys{unread: &noUnits, at: at}})
			return
		}
		d.scan = r.scans
		if d.unread == nil && (d.missing() || version != "" && d.at != at) {
			again[domain] = at
		}
	})
	if errors.Is(err, ErrNoList) {
		r.noList.Store(true)
		r.plain = true
		again := r.provable(accept)
		if r.doubt != nil { // only an answer ends it
			if known := r.Snapshot().Domains(); len(known) > 0 {
				again[known[0]] = notListed
			}
		}
		return r.readAgain(ctx, again, accept)
	}
	if !errors.Is(err, context.Canceled) {
		r.answered(err)
	}
	if err != nil {
		return err
	}
	r.plain = plain
	invalid := ignored(r.backend)
	r.replace(added, invalid) // those too late were read meanwhile, and are known
	r.logProblems(before.invalid, invalid)
	for _, c := range added {
		if r.onChange != nil {
			r.onChange(c.name, false)
		}
	}
	r.forgetAbsent()
	for name, d := range before.shards.all() {
		if d.scan != r.scans && (accept || !d.lost()) {
			again[name] = notListed
		}
	}
	r.listed.Store(true)
	if r.loaded.Load() && len(added) <= readAtOnce {
		// In force within a second, also where nobody sends mail from them yet.
		for _, c := range added {
			again[c.name] = c.now.at
		}
	}
	if len(added) > 0 {
		defer r.wakeReader()
	}
	if err := r.readAgain(ctx, again, accept); err != nil {
		return err
	}
	r.synced.Store(epoch)
	return nil
}

// provable returns the domains with keys that are missing, and long enough to be dropped
// if they still are.
func (r *Remote) provable(accept bool) map[string]place {
	names := make(map[string]place)
	for name, f := range r.missingFiles {
		if accept || !f.gone.lost && time.Since(f.gone.since) >= r.options.removalGrace() {
			names[name] = r.Snapshot().Domain(name).at
		}
	}
	return names
}

// readAgain reads domains again, whose keys have these versions, and puts what has
// changed in force. The lock is held.
func (r *Remote) readAgain(ctx context.Context, versions map[string]place, accept bool) error {
	names := make([]string, 0, len(versions))
	for name := range versions {
		names = append(names, name)
	}
	slices.Sort(names)
	for batch := range slices.Chunk(names, readAtOnce) {
		within, cancel := context.WithTimeout(ctx, callWithin)
		entries, err := r.read(within, batch)
		cancel()
		if err != nil {
			return err
		}
		var changes []change
		for i, name := range batch {
			was := r.Snapshot().shards.find(name)
			if now := r.domainOf(name, entries[i], was, versions[name], accept); now != was {
				changes = append(changes, change{name, was, now})
			}
		}
		r.apply(changes)
	}
	r.markLost()
	return nil
}

// apply puts changes in force and logs them.
func (r *Remote) apply(changes []change) {
	late := r.replace(changes, nil)
	for _, c := range changes {
		if c.among(late) {
			continue // read by a message in the meantime, so as new as this
		}
		was := c.was
		if was == nil {
			was = none
		}
		r.logProblems(was.Problems(), c.now.Problems())
		r.logChange(c.name, was, c.now)
	}
}

// markLost marks the missing keys of a store that has none any more and had several:
// nobody removes all keys of a mail server. The lock is held.
func (r *Remote) markLost() {
	var gone []*absence
	for _, f := range r.missingFiles {
		gone = append(gone, f.gone)
	}
	if len(gone) < 2 || r.anyThere() {
		return
	}
	for _, a := range gone {
		a.lost = true
	}
}

// survey says which keys are held. The lock is held.
func (r *Remote) survey() (held Held) {
	for _, f := range r.missingFiles {
		switch {
		case !f.gone.lost:
		case f.neverRead():
			held.Unread++
		default:
			held.Keys++
		}
	}
	if held.Keys+held.Unread > 0 {
		held.Why = finding.WithHint(errLost, "bring back what is missing in %s; to remove keys for good, "+
			"send SIGHUP to signpostd when the store is as it should be", r.name)
	}
	if r.doubt != nil {
		held.Keys, held.Unread = r.Snapshot().Count()
		held.Why = r.doubt
	}
	return held
}

// Reload lists the store, and reads what has changed.
func (r *Remote) Reload() error { return r.list(*r.life.Load(), false) }

// Accept lists the store for an operator: what it says now counts, even if it has lost all
// keys.
func (r *Remote) Accept() error { return r.list(*r.life.Load(), true) }
