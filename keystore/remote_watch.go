package keystore

import (
	"context"
	"errors"
	"sync"
	"time"

	"signpost/keystore/finding"
)

// The pauses before a store that fails is tried again, the first and the longest.
const (
	soonAgain = 200 * time.Millisecond
	longAgain = 5 * time.Second
	// Each time that it begins to report changes it is listed. So that is not done too often
	// with one that again and again ends that before steady has passed.
	flapAgain = 30 * time.Second
	steady    = 10 * time.Second
)

// mostInTurn is how many domains a second are read again of a store that does not tell
// versions and reports no changes.
const mostInTurn = 100

// Watch follows the store until ctx ends: it reads what the store reports as changed, and
// lists it every rescan.
func (r *Remote) Watch(ctx context.Context, rescan time.Duration) {
	var running sync.WaitGroup
	defer running.Wait()
	r.life.Store(&ctx)
	news := &news{wake: make(chan struct{}, 1)}
	running.Go(func() { r.readInBackground(ctx) })
	running.Go(func() { r.follow(ctx, news) })
	running.Go(func() { r.keepCache(ctx) })
	turn := turn{last: time.Now()}
	var listing pace
	listing.at = time.Now()
	if !r.listed.Load() && !r.noList.Load() {
		news.add()
	}
	wait := soonAgain
	for {
		timer := time.NewTimer(r.nextRound(listing, rescan, wait))
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-news.wake:
		case <-timer.C:
		}
		timer.Stop()
		names, all := news.take()
		if all || listing.next(rescan) <= 0 || r.failing() {
			var err error
			listing.do(func() { err = r.list(ctx, false) })
			if wait = min(2*wait, longAgain); err == nil {
				wait, names = soonAgain, nil // what was reported is in the listing
			}
		}
		r.reread(ctx, names)
		if r.inTurn() {
			r.reread(ctx, turn.due(r, rescan))
		}
	}
}

// nextRound returns how long to wait for news before the next look.
func (r *Remote) nextRound(listing pace, rescan, wait time.Duration) time.Duration {
	if r.failing() {
		return wait
	}
	next := listing.next(rescan)
	if len(r.allMissing()) > 0 || r.inTurn() {
		next = min(next, time.Second)
	}
	return max(next, time.Millisecond)
}

// failing reports whether the last listing failed.
func (r *Remote) failing() bool {
	r.reload.Lock()
	defer r.reload.Unlock()
	return r.doubt != nil
}

// inTurn reports whether changes to known keys show only when those are read again.
func (r *Remote) inTurn() bool {
	r.reload.Lock()
	defer r.reload.Unlock()
	return r.plain && !r.watched()
}

// reread reads domains again that may have changed, and those with keys that are missing.
func (r *Remote) reread(ctx context.Context, names []string) {
	r.reload.Lock()
	defer r.reload.Unlock()
	again := r.provable(false)
	for _, name := range names {
		d := r.Snapshot().Domain(name)
		again[name] = d.at // of one that was not read yet, too: an older answer may be on its way
		if d == none {
			r.forgetAbsent()
		}
	}
	if len(again) == 0 {
		return
	}
	if err := r.readAgain(ctx, again, false); err != nil && ctx.Err() == nil && r.doubt == nil {
		r.doubt = err // everything is listed again, soon; one error is told, however each domain fails
	}
	r.tell(r.survey(), r.doubt)
}

// follow has the store report changes, and begins anew where that ends.
func (r *Remote) follow(ctx context.Context, news *news) {
	for wait := soonAgain; ctx.Err() == nil; {
		var began time.Time
		err := r.backend.Watch(ctx, func() {
			began = time.Now()
			r.epoch.Add(1)
			news.add()
		}, func(domains ...string) { news.add(domains...) })
		if r.epoch.Load()%2 == 1 {
			r.epoch.Add(1)
		}
		if errors.Is(err, ErrNoWatch) {
			r.log.Info("the key store reports no changes, so they are noticed when it is read again",
				"keys", r.name, finding.Attr(err))
			return
		}
		if ctx.Err() == nil {
			r.log.Debug("watching the key store", "keys", r.name, "err", err)
			longest := longAgain
			if !began.IsZero() {
				if longest = flapAgain; time.Since(began) > steady {
					wait = soonAgain
				}
			}
			news.add() // whether it answers at all is told by a listing
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
			wait = min(2*wait, longest)
		}
	}
}

// wakeReader has the domains read that were not read yet.
func (r *Remote) wakeReader() {
	select {
	case r.unread <- struct{}{}:
	default:
	}
}

// readInBackground reads all domains that were not read yet, and those that are listed
// later, with at most half of a processor, and after those that messages wait for.
func (r *Remote) readInBackground(ctx context.Context) {
	done, wait := r.loaded.Load(), soonAgain
	for ctx.Err() == nil {
		if done {
			select {
			case <-ctx.Done():
				return
			case <-r.unread:
				done = false
			}
		}
		if r.listed.Load() {
			start := time.Now()
			err := r.readUnread(ctx, func() {
				wait = soonAgain
				r.giveWay(ctx, time.Since(start))
				start = time.Now()
			})
			if err == nil {
				if done, wait = true, soonAgain; !r.loaded.Load() {
					r.allRead()
				}
				continue
			}
			if ctx.Err() == nil {
				r.loadCache()
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
		wait = min(2*wait, longAgain)
	}
}

// news are the domains that a store reports as changed.
type news struct {
	wake  chan struct{}
	mu    sync.Mutex
	names map[string]bool
	all   bool
}

// mostNews is how many domains are remembered; with more the store is listed.
const mostNews = 10_000

// add notes domains; none for all.
func (n *news) add(domains ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.names == nil {
		n.names = make(map[string]bool)
	}
	for _, name := range domains {
		n.names[name] = true
	}
	if len(domains) == 0 || len(n.names) > mostNews {
		n.all = true
	}
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

// take returns what was noted since the last time.
func (n *news) take() (names []string, all bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for name := range n.names {
		names = append(names, name)
	}
	all, n.all = n.all, false
	clear(n.names)
	return names, all
}

// turn goes over all known domains again and again.
type turn struct {
	names []string // still to come of this round
	last  time.Time
}

// due returns the domains whose turn has come: all of them within a rescan, but not more
// than mostInTurn a second.
func (t *turn) due(r *Remote, rescan time.Duration) []string {
	if len(t.names) == 0 {
		t.names = r.Snapshot().Domains()
	}
	passed := time.Since(t.last)
	rate := min(float64(r.Snapshot().Len())/rescan.Seconds(), mostInTurn)
	n := min(len(t.names), int(rate*passed.Seconds()))
	if n == 0 {
		return nil
	}
	t.last = time.Now()
	due := t.names[:n]
	t.names = t.names[n:]
	return due
}
