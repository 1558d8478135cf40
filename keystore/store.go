package keystore

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/singleflight"

	"signpost/keystore/finding"
)

// Store keeps the current snapshot of a key directory. Readers take no lock, so a
// reload never delays a message.
type Store struct {
	source  *source
	log     *slog.Logger
	current atomic.Pointer[Snapshot]

	revision atomic.Int64
	reloads  atomic.Int64
	failed   atomic.Int64 // of the reloads
	loaded   atomic.Bool  // all keys were read, and that is logged
	// See Observe; nil before it is called.
	onChange  func(domain string, added bool)
	onReadAll func()

	swap sync.Mutex // while a new snapshot takes the place of the last; nothing is read then

	reads singleflight.Group // of domains that are read for the first time, by name

	reload  sync.Mutex // one reload at a time; it guards what follows
	scans   uint32
	missing map[string]bool // domains with a key whose file is missing, in the grace period
	failing string          // the error of the last reload, "" when it succeeded
}

// Open loads the key directory for the first time and logs what is wrong in it.
func Open(options Options, log *slog.Logger) (*Store, error) {
	s := &Store{
		source: newSource(options), log: log, missing: make(map[string]bool),
	}
	units, err := s.source.scan()
	if err != nil {
		return nil, err
	}
	snapshot := s.source.snapshot(units)
	s.logProblems(nil, snapshot.invalid)
	s.current.Store(snapshot)
	if snapshot.Len() <= few {
		s.ReadAll()
		return s, nil
	}
	if snapshot.Len() > 10*few {
		s.source.recent.most = recentOfMany
	}
	s.log.Info("keys found, they are read on first use and in the background",
		"keys", options.Dir, "domains", snapshot.Len())
	return s, nil
}

// Observe has changed called whenever the keys of a domain have changed, with added
// when one of them is new, and readAll when the keys of all domains have been
// read, which may be now. It is called once, before Watch.
func (s *Store) Observe(changed func(domain string, added bool), readAll func()) {
	s.onChange, s.onReadAll = changed, readAll
	if _, unread := s.Snapshot().Count(); unread == 0 {
		readAll()
	}
}

// Dir returns the key directory.
func (s *Store) Dir() string { return s.source.Dir }

// Snapshot returns what is in force now.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Reloads returns how often the directory was read again since the start, and
// how often that failed.
func (s *Store) Reloads() (reloads, failed int64) { return s.reloads.Load(), s.failed.Load() }

// Revision is a number that grows whenever the keys change.
func (s *Store) Revision() int64 { return s.revision.Load() }

// Reload reads what has changed in the directory and puts it in force. When the
// directory itself cannot be read all keys stay in force; that is logged once.
func (s *Store) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	invalid := s.source.invalid
	s.scans++
	changed := make(map[string][]string)
	err := s.source.list(func(name, unit string) {
		d := s.Snapshot().shards.find(name)
		if d == nil {
			changed[name] = append(changed[name], unit)
			return
		}
		if d.scan != s.scans {
			d.scan, d.seen = s.scans, 0
		}
		d.seen++
		if d.unread != nil && !slices.Contains(*d.unread, unit) ||
			d.unread == nil && !s.source.unchanged(d, unit) {
			changed[name] = append(changed[name], unit)
		}
	})
	s.reloads.Add(1)
	if err != nil {
		s.failed.Add(1)
		s.source.invalid = invalid
		if err.Error() != s.failing {
			s.log.Error("keys not reloaded, those in force stay", finding.Attr(err))
			s.failing = err.Error()
		}
		return err
	}
	if s.failing != "" {
		s.log.Info("the key directory can be read again", "keys", s.source.Dir)
		s.failing = ""
	}
	// A domain with fewer units in the listing has lost some.
	for name, d := range s.Snapshot().shards.all() {
		if d.scan != s.scans {
			d.seen = 0
		}
		if d.missing() || int(d.seen) < len(s.source.units(d)) {
			changed[name] = append(changed[name], "")
		}
	}
	s.apply(changed)
	return nil
}

// update reads what has changed of some entries of the key directory.
func (s *Store) update(names map[string]bool) {
	s.reload.Lock()
	defer s.reload.Unlock()
	changed := make(map[string][]string)
	for name := range names {
		for _, gone := range []string{name, name + "/"} {
			// It may have been a file and be a folder now, or the reverse.
			if domain, ok := s.source.domainOf(gone); ok && s.Snapshot().shards.find(domain) != nil {
				changed[domain] = append(changed[domain], "")
			}
		}
		info, err := os.Lstat(filepath.Join(s.source.Dir, name))
		if err != nil {
			delete(s.source.invalid, name)
			delete(s.source.invalid, name+"/")
			continue
		}
		if domain, unit := s.source.unit(name, info.Mode().Type()); domain != "" {
			changed[domain] = append(changed[domain], unit)
		}
	}
	for name := range s.missing {
		changed[name] = append(changed[name], "")
	}
	s.apply(changed)
}

// poll reads what symlinks to targets outside the directory lead to.
func (s *Store) poll() {
	s.reload.Lock()
	defer s.reload.Unlock()
	s.apply(s.source.allLinks())
}

// apply reads the units of the domains again, with those known before, and puts
// the result in force. An empty unit stands for none.
func (s *Store) apply(changed map[string][]string) {
	invalid := s.Snapshot().invalid
	var changes []change
	for name, units := range changed {
		units = slices.DeleteFunc(units, func(unit string) bool { return unit == "" })
		slices.Sort(units)
		changed[name] = slices.Compact(units)
		changes = append(changes, s.changeOf(name, changed[name]))
	}
	// In force first and then logged, so that a reader of the log can rely on it.
	for pending := changes; ; {
		late := s.replace(pending, s.source.sortedInvalid())
		if len(late) == 0 {
			break
		}
		// A message came in between, and had the keys of its domain read.
		pending = nil
		for _, c := range late {
			again := s.changeOf(c.name, changed[c.name])
			i := slices.IndexFunc(changes, func(old change) bool { return old.name == c.name })
			changes[i] = again
			pending = append(pending, again)
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.name, b.name) })
	s.logProblems(invalid, s.Snapshot().invalid)
	for _, c := range changes {
		if delete(s.missing, c.name); c.now.missing() {
			s.missing[c.name] = true
		}
		if c.now.unread != nil {
			continue
		}
		was := c.was
		if was == nil {
			was = none
		}
		s.logProblems(was.problems(), c.now.problems())
		s.logChange(c.name, was, c.now)
	}
}

// changeOf reads the units of a domain. If the domain was never read, they are only
// noted, to be read with the others.
func (s *Store) changeOf(name string, units []string) change {
	was := s.Snapshot().shards.find(name)
	if was != nil && was.unread != nil {
		all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(*was.unread, units))))
		return change{name, was, &DomainKeys{unread: &all}}
	}
	return change{name, was, s.source.read(name, units, was)}
}

// replace puts changes in force, and the invalid files unless nil: only who holds the
// reload lock changes them. It returns the changes that come too late.
func (s *Store) replace(changes []change, invalid []Problem) (late []change) {
	s.swap.Lock()
	defer s.swap.Unlock()
	after, late := s.Snapshot().with(changes)
	if invalid != nil {
		after.invalid = invalid
	}
	s.current.Store(after)
	s.revision.Add(1)
	return late
}

// anyMissing reports whether a key stays in force for the grace period.
func (s *Store) anyMissing() bool {
	s.reload.Lock()
	defer s.reload.Unlock()
	return len(s.missing) > 0
}
