package keystore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"signpost/keystore/finding"
)

// several are sources of keys that show as one. A domain may be in more than one of them,
// with the same keys; other keys are a fault, though the DNS still decides which sign.
type several struct {
	picture
	members []Source
	unread  atomic.Int64 // members whose keys were not all read
	mu      sync.Mutex   // one change at a time
}

// Join returns sources as one, in the order in which they are named in errors.
func Join(sources []Source, log *slog.Logger) Source {
	if len(sources) == 1 {
		return sources[0]
	}
	var names []string
	for _, member := range sources {
		names = append(names, member.Name())
	}
	s := &several{picture: newPicture(strings.Join(names, ","), log), members: sources}
	s.current.Store(&Snapshot{shards: newShards()})
	s.rebuild()
	return s
}

// Observe is that of Source. The keys of all domains have been read when each member
// has.
func (s *several) Observe(changed func(domain string, added bool), readAll func()) {
	s.onChange, s.onReadAll = changed, readAll
	s.unread.Store(int64(len(s.members)))
	for _, member := range s.members {
		member.Observe(func(domain string, added bool) {
			s.update(domain)
			changed(domain, added)
		}, func() {
			s.rebuild()
			if s.unread.Add(-1) == 0 {
				s.loaded.Store(true)
				readAll()
			}
		})
	}
}

// rebuild takes what all members have now.
func (s *several) rebuild() {
	for _, c := range s.takeAll() {
		if s.onChange != nil && c.was != nil && c.was.unread == nil {
			s.onChange(c.name, true) // another member has it, too
		}
	}
}

func (s *several) takeAll() []change {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make(map[string]bool)
	invalid := []Problem{}
	for _, member := range s.members {
		snapshot := member.Snapshot()
		invalid = append(invalid, snapshot.invalid...)
		for name := range snapshot.shards.all() {
			names[name] = true
		}
	}
	for name := range s.Snapshot().shards.all() {
		names[name] = true
	}
	var changes []change
	for name := range names {
		changes = s.changed(changes, name)
	}
	s.replace(changes, invalid)
	return changes
}

// update takes what the members have of a domain now.
func (s *several) update(domain string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if changes := s.changed(nil, domain); len(changes) > 0 {
		s.replace(changes, nil)
		was := changes[0].was
		if was == nil {
			was = none
		}
		s.logFault(was, changes[0].now)
	}
}

// changed adds the change of a domain to others, if there is one.
func (s *several) changed(changes []change, domain string) []change {
	was := s.Snapshot().shards.find(domain)
	if now := s.combine(domain, was); now != was && (was != nil || !now.empty()) {
		changes = append(changes, change{domain, was, now})
	}
	return changes
}

// combine makes the keys of a domain of what the members have.
func (s *several) combine(domain string, previous *DomainKeys) *DomainKeys {
	snapshots := make([]*Snapshot, len(s.members))
	for i, member := range s.members {
		snapshots[i] = member.Snapshot()
	}
	return combine(snapshots, domain, previous)
}

// JoinSnapshots returns as one what several sources have.
func JoinSnapshots(snapshots []*Snapshot) *Snapshot {
	if len(snapshots) == 1 {
		return snapshots[0]
	}
	all := &Snapshot{shards: newShards()}
	for _, s := range snapshots {
		all.invalid = append(all.invalid, s.invalid...)
		for name := range s.shards.all() {
			if all.shards.find(name) == nil {
				all.shards.of(name)[name] = combine(snapshots, name, nil)
			}
		}
	}
	return all
}

// combine makes the keys of a domain of what several snapshots have.
func combine(snapshots []*Snapshot, domain string, previous *DomainKeys) *DomainKeys {
	var parts []*DomainKeys
	var files []*file
	for _, s := range snapshots {
		if d := s.shards.find(domain); d != nil {
			parts, files = append(parts, d), append(files, d.files...)
		}
	}
	switch unread := func(d *DomainKeys) bool { return d.unread != nil }; {
	case len(parts) == 0:
		return none
	case len(parts) == 1:
		return parts[0]
	case slices.ContainsFunc(parts, unread) && len(files) == 0:
		if previous != nil && previous.unread != nil {
			return previous
		}
		return &DomainKeys{unread: &noUnits}
	}
	d := newDomainKeys(files, place{}, previous)
	if d == previous {
		return d
	}
	parts = slices.DeleteFunc(parts, func(d *DomainKeys) bool { return d.unread != nil })
	for _, part := range parts[1:] {
		if !sameKeys(parts[0].keys, part.keys) && len(part.files) > 0 {
			d.report(Problem{File: part.files[0].File, Domain: domain, InForce: true,
				Err: finding.WithHint(fmt.Errorf("%w: %s", errElsewhere, parts[0].place()),
					"keep the keys of a domain in one place, or the same in both; until then the DNS decides which sign")})
		}
	}
	return d
}

var errElsewhere = errors.New("the domain has other keys elsewhere")

// place names where the first key is.
func (d *DomainKeys) place() string {
	if len(d.files) == 0 {
		return "a source that has none left"
	}
	return d.files[0].File
}

// sameKeys reports whether two lists have the same keys under the same names.
func sameKeys(a, b []*Key) bool {
	within := func(a, b []*Key) bool {
		for _, key := range a {
			if !slices.ContainsFunc(b, key.Equal) {
				return false
			}
		}
		return true
	}
	return within(a, b) && within(b, a)
}

// logFault logs that a domain is in several sources with different keys: what else is
// wrong the sources log.
func (s *several) logFault(was, now *DomainKeys) {
	ours := func(d *DomainKeys) []Problem {
		return slices.DeleteFunc(slices.Clone(d.Problems()), func(p Problem) bool { return !errors.Is(p.Err, errElsewhere) })
	}
	s.logProblems(ours(was), ours(now))
}

// Domain is that of Source.
func (s *several) Domain(name string) *DomainKeys {
	d := s.Snapshot().Domain(name)
	unread := func(member Source) bool { return !member.Snapshot().Read(name) }
	if d != none && d.unread == nil && !slices.ContainsFunc(s.members, unread) {
		return d
	}
	var failed *DomainKeys
	for _, member := range s.members {
		if part := member.Domain(name); part != member.Snapshot().Domain(name) && len(part.keys) == 0 {
			failed = part
		}
	}
	s.update(name)
	if d = s.Snapshot().Domain(name); failed != nil && (d == none || d.unread != nil) {
		return failed
	}
	return d
}

// Watch is that of Source.
func (s *several) Watch(ctx context.Context, rescan time.Duration) {
	var running sync.WaitGroup
	for _, member := range s.members {
		running.Go(func() { member.Watch(ctx, rescan) })
	}
	running.Wait()
}

// ReadAll is that of Source.
func (s *several) ReadAll() {
	for _, member := range s.members {
		member.ReadAll()
	}
	s.rebuild()
}

// Notes is that of Source: what the first member has that has any.
func (s *several) Notes(domain string) ([]byte, error) {
	var failed error
	for _, member := range s.members {
		if member.Snapshot().Domain(domain) == none {
			continue
		}
		notes, err := member.Notes(domain)
		if len(notes) > 0 {
			return notes, nil
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}

// Reload is that of Source.
func (s *several) Reload() error { return s.each(Source.Reload) }

// Accept is that of Source.
func (s *several) Accept() error { return s.each(Source.Accept) }

func (s *several) each(do func(Source) error) (failed error) {
	for _, member := range s.members {
		failed = errors.Join(failed, do(member))
	}
	s.rebuild()
	return failed
}

// Revision is that of Source. What is read in the background shows here when all was, and in
// the members at once.
func (s *several) Revision() int64 {
	revision := s.picture.Revision()
	for _, member := range s.members {
		revision += member.Revision()
	}
	return revision
}

// Reading is that of Source.
func (s *several) Reading() (domains, unread int) {
	for _, member := range s.members {
		n, more := member.Reading()
		domains, unread = domains+n, unread+more
	}
	return domains, unread
}

// Reloads is that of Source.
func (s *several) Reloads() (reloads, failed int64) {
	for _, member := range s.members {
		n, bad := member.Reloads()
		reloads, failed = reloads+n, failed+bad
	}
	return reloads, failed
}

// Held is that of Source, with the reason of the first member that has one.
func (s *several) Held() (held Held) {
	for _, member := range s.members {
		h := member.Held()
		held.Keys, held.Unread = held.Keys+h.Keys, held.Unread+h.Unread
		if held.Why == nil {
			held.Why, held.Since = h.Why, h.Since
		}
	}
	return held
}

// Answers is that of Source.
func (s *several) Answers() (all []Answers) {
	for _, member := range s.members {
		all = append(all, member.Answers()...)
	}
	return all
}
