package keystore

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	"signpost/keystore/finding"
)

// noUnits are those of a domain whose keys were not read from a store that is reached
// over the network.
var noUnits []string

// versionOf returns a version that a store told as a place: where keys were seen. "" is
// the zero place.
func versionOf(version string) place {
	if version == "" {
		return place{}
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(version))
	sum := hash.Sum64()
	return place{root: uint32(sum>>32) | 1, folder: uint32(sum)}
}

// domainOf makes the keys of a domain of what the store has, and of what was known before,
// which may be nil. It wipes the entries. If nothing has changed, it returns what was
// known before.
func (r *Remote) domainOf(domain string, entries []Entry, previous *DomainKeys, at place, accept bool) *DomainKeys {
	var files []*file
	for _, entry := range inTime(entries, time.Now()) {
		files = append(files, r.fileOf(domain, entry, previous))
	}
	wipe(entries)
	return newDomainKeys(r.keepMissing(files, domain, previous, accept), at, previous)
}

// wipe wipes the private keys in entries.
func wipe(entries []Entry) {
	for _, entry := range entries {
		clear(entry.Data)
	}
}

// inTime returns the entries that may sign now. Where none may and there are some, it is the
// last of those whose time is over, else the first of those whose time is to come, as where a
// clock is behind: its mail must not go unsigned.
func inTime(entries []Entry, now time.Time) (valid []Entry) {
	var last, next *Entry
	for i, entry := range entries {
		switch {
		case entry.NotBefore.After(now):
			if next == nil || entry.NotBefore.Before(next.NotBefore) {
				next = &entries[i]
			}
		case entry.NotAfter.IsZero() || entry.NotAfter.After(now):
			valid = append(valid, entry)
		case last == nil || entry.NotAfter.After(last.NotAfter):
			last = &entries[i]
		}
	}
	if last == nil {
		last = next
	}
	if len(valid) == 0 && last != nil {
		valid = append(valid, *last)
	}
	return valid
}

// untimely says why an entry may not sign now, which does so for want of another.
func (e *Entry) untimely(now time.Time) error {
	switch {
	case e.NotBefore.After(now):
		return finding.WithHint(fmt.Errorf("it is to sign from %s on, and there is no other key",
			e.NotBefore.UTC().Format(time.RFC3339)), "is the clock right? Else set its time in the store to an earlier one")
	case !e.NotAfter.IsZero() && !e.NotAfter.After(now):
		return finding.WithHint(fmt.Errorf("it was to sign until %s, and there is no other key",
			e.NotAfter.UTC().Format(time.RFC3339)), "rotate it, or prolong its time in the store")
	}
	return nil
}

// fileOf returns an entry as a file, given what was known of the domain before.
func (r *Remote) fileOf(domain string, entry Entry, previous *DomainKeys) *file {
	f := &file{Key: Key{Domain: domain, Selector: entry.Selector, File: entry.Place}}
	sum := sha256.Sum256(entry.Data)
	if f.stamp = stamp(binary.LittleEndian.Uint64(sum[:]) | 1); entry.Err != nil {
		f.stamp = 0
	}
	var before *file
	if previous != nil {
		if i := slices.IndexFunc(previous.files, func(have *file) bool { return have.File == f.File }); i >= 0 {
			before = previous.files[i]
		}
	}
	untimely := entry.untimely(time.Now())
	if before != nil && before.err == nil && before.stamp != 0 && before.stamp == f.stamp &&
		before.Selector == f.Selector && untimely == nil {
		if before.gone == nil {
			return before
		}
		back := *before
		back.gone = nil
		return &back
	}
	selector, err := Selector(entry.Selector)
	f.Selector = cmp.Or(selector, entry.Selector)
	if err == nil {
		err = entry.Err
	}
	if err == nil {
		err = f.parse(entry.Data, entry.Made, before, &r.options, &r.recent)
	}
	switch {
	case err != nil:
		if f.err = err; before != nil {
			f.Key = before.Key
		}
	case untimely != nil:
		f.err = untimely
	default:
		return f
	}
	if f.stamp = 0; before != nil && before.fails(f.err) {
		return before // one error, however often it is read
	}
	return f
}

// keepMissing adds to the files of a domain those known before that are not there now,
// but for those that are missing for long enough. What is there was read whole.
func (r *Remote) keepMissing(files []*file, domain string, previous *DomainKeys, accept bool) []*file {
	if previous == nil {
		return files
	}
	missing := func(f file) {
		if !accept {
			f.gone = &absence{since: time.Now()}
			files = append(files, &f)
		}
	}
	for _, f := range previous.files {
		switch {
		case slices.ContainsFunc(files, func(have *file) bool { return have.File == f.File }):
		case f.gone == nil:
			missing(*f)
		case !accept && (f.gone.lost || time.Since(f.gone.since) < r.options.removalGrace()):
			files = append(files, f)
		}
	}
	if previous.unread != nil && len(files) == 0 {
		// It was listed, and has gone before anybody read it.
		missing(file{Key: Key{Domain: domain, File: r.name + ": " + domain}, err: errNeverRead})
	}
	return files
}

// readUnread reads all domains that were not read yet, and calls pause after each portion of
// them, if it is not nil.
func (r *Remote) readUnread(ctx context.Context, pause func()) error {
	var batch []string
	read := func() error {
		entries, err := r.read(ctx, batch)
		if err != nil {
			return err
		}
		for names := range slices.Chunk(batch, portion) {
			var changes []change
			for i, name := range names {
				was := r.Snapshot().Domain(name)
				if was.unread == nil { // a message came first
					wipe(entries[i])
					continue
				}
				changes = append(changes, change{name, was, r.domainOf(name, entries[i], was, was.at, false)})
			}
			entries = entries[len(names):]
			r.firstRead(changes)
			if pause != nil {
				pause()
			}
		}
		batch = batch[:0]
		return ctx.Err()
	}
	for name, d := range r.Snapshot().shards.all() {
		if d.unread == nil {
			continue
		}
		if batch = append(batch, name); len(batch) == readAtOnce {
			if err := read(); err != nil {
				return err
			}
		}
	}
	if len(batch) == 0 {
		return nil
	}
	return read()
}

// firstRead puts in force domains that were read for the first time. Once all were, the
// observer hears of those that came later.
func (r *Remote) firstRead(changes []change) {
	late := r.replace(changes, nil)
	for _, c := range changes {
		if !c.among(late) {
			r.logProblems(nil, c.now.Problems())
			if r.loaded.Load() && r.onChange != nil {
				r.onChange(c.name, len(c.now.keys) > 0)
			}
		}
	}
}

// ReadAll reads all domains that were not read yet. Where the store does not answer, they
// stay unread.
func (r *Remote) ReadAll() {
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	if r.readUnread(ctx, nil) == nil && r.listed.Load() {
		r.allRead()
	}
}

// Notes returns what signpost rotate keeps of a domain; nothing, where the store does not
// answer within the time that a message waits. As with keys, not everybody waits in vain.
func (r *Remote) Notes(domain string) ([]byte, error) {
	if !r.calm() {
		return nil, r.noAnswer()
	}
	ctx, cancel := context.WithTimeout(*r.life.Load(), r.options.lookup())
	defer cancel()
	notes, _, err := r.backend.Notes(ctx, domain)
	if errors.Is(err, context.DeadlineExceeded) {
		r.waited(time.Now())
	}
	return notes, err
}

// lookup is how long a message waits for a store.
func (o *Options) lookup() time.Duration { return cmp.Or(o.Lookup, DefaultLookup) }

// ignored returns what a store has under names that give no domain.
func ignored(backend Backend) []Problem {
	problems := []Problem{}
	if b, ok := backend.(Ignoring); ok {
		for _, name := range b.Ignored() {
			problems = append(problems, Problem{File: backend.Name() + ": " + name,
				Err: finding.WithHint(errors.New("its name gives no domain and selector"), "rename it, or remove it")})
		}
	}
	return problems
}
