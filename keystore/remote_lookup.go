package keystore

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// What is remembered of domains that have no key and are not listed: how many, and how
// long.
const (
	mostAbsent = 10_000
	absentFor  = 30 * time.Second
)

// listedWithin is how long a message waits for the keys of a domain that was listed, as long
// as the store answers.
const listedWithin = 2 * time.Second

// calmAfter is how long after a call failed, or a message waited in vain, no other one waits.
const calmAfter = time.Second

// Domain returns the keys of a domain. For one that was listed and not read yet it waits for
// the store; for one that was not listed, for as long as Options say, where it may have come
// since.
func (r *Remote) Domain(name string) *DomainKeys {
	was := r.Snapshot().Domain(name)
	if was.unread == nil && (was != none || !r.mayHave(name)) {
		return was
	}
	wait := r.options.lookup()
	switch listed := was != none; {
	case !r.answering(), !listed && (!r.calm() || !r.lookups.Allow()):
		return r.unanswered(name)
	case listed: // it must be signed, so waiting is better than to be deferred
		wait = max(wait, listedWithin)
	}
	r.comesFirst()
	defer r.comesFirst()
	// It is read to its end, for those that come later.
	read := r.reads.DoChan(name, func() (any, error) { return nil, r.lookUp(name) })
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case answer := <-read:
		if d := r.Snapshot().Domain(name); answer.Err == nil && d.unread == nil {
			return d
		}
	case <-timer.C:
		if was == none {
			r.waited(time.Now())
		}
	}
	return r.unanswered(name)
}

// mayHave reports whether the store may have keys of a domain that is not known.
func (r *Remote) mayHave(name string) bool {
	if r.watched() {
		return false // it would have been reported
	}
	r.absentMu.Lock()
	defer r.absentMu.Unlock()
	at, known := r.absent[name]
	return !known || time.Since(at) > absentFor
}

// forgetAbsent forgets which domains had no key: the store was listed.
func (r *Remote) forgetAbsent() {
	r.absentMu.Lock()
	defer r.absentMu.Unlock()
	clear(r.absent)
}

// waited notes when a message has waited in vain.
func (r *Remote) waited(now time.Time) { r.slow.Store(&now) }

// calm reports whether no message has waited in vain for a moment, however the clock was set
// since.
func (r *Remote) calm() bool {
	last := r.slow.Load()
	return last == nil || time.Since(*last) >= calmAfter
}

// answering reports whether the store answers, as far as is known.
func (r *Remote) answering() bool {
	a := r.answers.Load()
	return a.Err == nil || time.Since(a.tried) > calmAfter
}

// lookUp reads a domain that is not known.
func (r *Remote) lookUp(name string) error {
	name = strings.Clone(name) // it may be a part of a mail's large header
	ctx, cancel := context.WithTimeout(context.Background(), readWithin)
	defer cancel()
	entries, err := r.read(ctx, []string{name})
	if err != nil {
		return err
	}
	was := r.Snapshot().shards.find(name)
	if was != nil && was.unread == nil {
		wipe(entries[0])
		return nil // somebody else was first
	}
	if was == nil && len(entries[0]) == 0 {
		r.absentMu.Lock()
		defer r.absentMu.Unlock()
		if len(r.absent) >= mostAbsent {
			clear(r.absent)
		}
		r.absent[name] = time.Now()
		return nil
	}
	at := notListed
	if was != nil {
		at = was.at
	}
	now := r.domainOf(name, entries[0], was, at, false)
	if was == nil {
		r.apply([]change{{name, was, now}})
	} else {
		r.firstRead([]change{{name, was, now}})
	}
	return nil
}

// unanswered is what is known of the keys of a domain that the store does not answer for.
func (r *Remote) unanswered(name string) *DomainKeys {
	if d := r.Snapshot().Domain(name); d.unread == nil && (d != none || r.listed.Load() && !r.noList.Load()) {
		return d // none: it was not listed
	}
	return &DomainKeys{faults: &[]Problem{{File: r.name, Domain: name, Err: r.noAnswer()}}}
}

// noAnswer says that the store does not answer, and why where that is known.
func (r *Remote) noAnswer() error {
	if err := r.answers.Load().Err; err != nil {
		return fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	return fmt.Errorf("%s: %w", r.name, ErrNoAnswer)
}
