package keystore

import (
	"context"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Store keeps the current snapshot of a key directory. Reading it takes no
// lock, so that a reload never holds a message up.
type Store struct {
	loader  *loader
	log     *slog.Logger
	current atomic.Pointer[Snapshot]

	revision atomic.Int64
	changed  atomic.Bool           // what is known of keys has, and is not written yet
	nudge    func(names ...string) // of domains with new keys, if not nil
	reloads  atomic.Int64
	failed   atomic.Int64 // of the reloads

	reload  sync.Mutex // one reload at a time; it guards what follows
	scans   uint32
	missing map[string]bool // domains with a key that is in force for a moment yet
	failing string          // the error of the last reload, "" when it went well
}

// few is how many domains are read at once and named in the log. Beyond that
// a start would take too long: the directory is only listed, and the keys of a
// domain are read on its first use, or in the background.
const few = 1000

// Open loads the key directory for the first time and logs what is wrong in it.
func Open(options Options, log *slog.Logger) (*Store, error) {
	s := &Store{loader: newLoader(options), log: log, missing: make(map[string]bool)}
	if options.State != "" {
		marks, err := recall(options.State)
		switch {
		case err != nil && marks == nil:
			return nil, err
		case err != nil:
			log.Warn("what was known of the keys is lost in part", "err", err)
		}
		s.loader.remembered.Store(&marks)
	}
	units, err := s.loader.scan()
	if err != nil {
		return nil, err
	}
	snapshot := s.loader.snapshot(units)
	snapshot.noticed = func(read *state) {
		s.logProblems(nil, read.problems)
		s.revision.Add(1)
	}
	s.logProblems(nil, snapshot.misfits)
	s.current.Store(snapshot)
	if snapshot.Len() <= few {
		s.ReadAll()
		return s, nil
	}
	if snapshot.Len() > 10*few {
		s.loader.recent.most = recentOfMany
	}
	s.log.Info("keys found, they are read on first use and in the background", "keys", options.Dir, "domains", snapshot.Len())
	return s, nil
}

// ReadAll reads what nobody has read yet, and returns when that is done.
func (s *Store) ReadAll() {
	var running sync.WaitGroup
	snapshot := s.Snapshot()
	names := make(chan string)
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() {
			for name := range names {
				snapshot.state(name)
			}
		})
	}
	for name := range snapshot.shards.all() {
		names <- name
	}
	close(names)
	running.Wait()
	s.settle()
}

// readInBackground reads what nobody has read yet, in no hurry: it takes half
// of a processor at the most.
func (s *Store) readInBackground(ctx context.Context) {
	if _, unread := s.Snapshot().Count(); unread == 0 {
		return
	}
	start, n := time.Now(), 0
	for name, d := range s.Snapshot().shards.all() {
		if d.state.Load().unread == nil {
			continue
		}
		s.Snapshot().state(name)
		if n++; n%20 == 0 {
			if ctx.Err() != nil {
				return
			}
			time.Sleep(time.Since(start))
			start = time.Now()
		}
	}
	s.settle()
}

// settle takes out the domains that came to nothing, and says what was read.
func (s *Store) settle() {
	s.reload.Lock()
	defer s.reload.Unlock()
	var nothing []string
	for name, d := range s.Snapshot().shards.all() {
		if d.state.Load().empty() {
			nothing = append(nothing, name)
		}
	}
	s.loader.remembered.Store(nil)
	s.replace(nil, nothing)
	snapshot := s.Snapshot()
	usable, _ := snapshot.Count()
	if snapshot.Len() <= few {
		for _, name := range snapshot.Domains() {
			for _, key := range snapshot.Keys(name) {
				logKey(s.log, "key loaded", key)
			}
		}
	}
	s.log.Info("keys loaded", "keys", s.loader.Dir, "domains", snapshot.Len(), "usable", usable, "broken", len(snapshot.Problems()))
}

// anyMissing reports whether a key is in force for a moment yet.
func (s *Store) anyMissing() bool {
	s.reload.Lock()
	defer s.reload.Unlock()
	return len(s.missing) > 0
}

// Snapshot returns what is in force now.
func (s *Store) Snapshot() *Snapshot { return s.current.Load() }

// Reloads returns how often the directory was read again since the start, and
// how often that failed.
func (s *Store) Reloads() (reloads, failed int64) { return s.reloads.Load(), s.failed.Load() }

// Reload reads what has changed in the directory and puts it in force. When the
// directory itself cannot be read all keys stay in force; that is logged once.
func (s *Store) Reload() error {
	s.reload.Lock()
	defer s.reload.Unlock()
	misfits := s.loader.misfits
	s.scans++
	changed := make(map[string][]string)
	err := s.loader.list(func(name, unit string) {
		d := s.Snapshot().shards.find(name)
		if d == nil {
			changed[name] = append(changed[name], unit)
			return
		}
		if d.scan != s.scans {
			d.scan, d.seen = s.scans, 0
		}
		d.seen++
		if known := d.state.Load(); known.unread != nil && !slices.Contains(*known.unread, unit) ||
			known.unread == nil && !s.loader.unchanged(known, unit) {
			changed[name] = append(changed[name], unit)
		}
	})
	s.reloads.Add(1)
	if err != nil {
		s.failed.Add(1)
		s.loader.misfits = misfits
		if err.Error() != s.failing {
			s.log.Error("keys not reloaded, those in force stay", "err", err)
			s.failing = err.Error()
		}
		return err
	}
	if s.failing != "" {
		s.log.Info("the key directory can be read again", "keys", s.loader.Dir)
		s.failing = ""
	}
	// What the listing has fewer units of, has lost some.
	for name, d := range s.Snapshot().shards.all() {
		if d.scan != s.scans {
			d.seen = 0
		}
		if known := d.state.Load(); known.missing() || int(d.seen) < len(s.loader.units(known)) {
			changed[name] = append(changed[name], "")
		}
	}
	s.apply(changed)
	return nil
}

// unchanged reports whether a unit is as it was when it was last read.
func (l *loader) unchanged(known *state, unit string) bool {
	names := []string{unit}
	if strings.HasSuffix(unit, "/") {
		var err error
		if names, err = l.inFolder(unit); err != nil {
			return false
		}
	}
	there := 0
	for _, name := range names {
		path := filepath.Join(l.Dir, filepath.FromSlash(name))
		i := slices.IndexFunc(known.files, func(f *file) bool { return f.File == path })
		if i < 0 {
			if claims(name, l.Selectors) {
				return false
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		if now, _ := stampOf(info, time.Now()); !known.files[i].unchanged(now) {
			return false
		}
		there++
	}
	for _, f := range known.files {
		if l.unitOf(f.File) == unit {
			there--
		}
	}
	return there == 0
}

// update reads what has changed of some entries of the key directory.
func (s *Store) update(names map[string]bool) {
	s.reload.Lock()
	defer s.reload.Unlock()
	changed := make(map[string][]string)
	for name := range names {
		for _, gone := range []string{name, name + "/"} {
			// Whatever it is now, it may have been the other.
			if domain, ok := s.loader.domainOf(gone); ok && s.Snapshot().shards.find(domain) != nil {
				changed[domain] = append(changed[domain], "")
			}
		}
		info, err := os.Lstat(filepath.Join(s.loader.Dir, name))
		if err != nil {
			delete(s.loader.misfits, name)
			delete(s.loader.misfits, name+"/")
			continue
		}
		if domain, unit := s.loader.unit(name, info.Mode().Type()); domain != "" {
			changed[domain] = append(changed[domain], unit)
		}
	}
	for name := range s.missing {
		changed[name] = append(changed[name], "")
	}
	s.apply(changed)
}

// poll reads what links lead to that lead out of the directory.
func (s *Store) poll() {
	s.reload.Lock()
	defer s.reload.Unlock()
	s.apply(s.loader.outward())
}

// domainOf returns the domain of a unit by its name alone.
func (l *loader) domainOf(unit string) (string, bool) {
	if folder, ok := strings.CutSuffix(unit, "/"); ok {
		domain, err := Domain(folder)
		return domain, err == nil
	}
	c, ok, err := claimOf(unit, l.Selectors)
	return c.domain, ok && err == nil
}

// apply reads the units of the domains again, with those known before, and puts
// what they come to in force. An empty unit stands for none.
func (s *Store) apply(changed map[string][]string) {
	before := s.Snapshot()
	added := make(map[string]*domain)
	var gone []string
	type change struct {
		name     string
		was, now *state
	}
	var changes []change
	for name, units := range changed {
		units = slices.DeleteFunc(units, func(unit string) bool { return unit == "" })
		slices.Sort(units)
		d := before.shards.find(name)
		if d == nil {
			d = &domain{}
			d.state.Store(&state{})
			added[name] = d
		}
		unlock := s.loader.lock(name)
		was := d.state.Load()
		if was.unread != nil {
			all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(*was.unread, units))))
			d.state.Store(&state{unread: &all})
			unlock()
			continue
		}
		now := s.loader.build(name, slices.Compact(units), was)
		d.state.Store(now)
		unlock()
		changes = append(changes, change{name, was, now})
		if now.empty() {
			gone = append(gone, name)
		}
		if delete(s.missing, name); now.missing() {
			s.missing[name] = true
		}
	}
	// In force first and then said, so that a reader of the log can rely on it.
	s.replace(added, gone)
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.name, b.name) })
	s.logProblems(before.misfits, s.Snapshot().misfits)
	var news []string
	for _, c := range changes {
		s.logProblems(c.was.problems, c.now.problems)
		if s.logChange(c.name, c.was, c.now) {
			news = append(news, c.name)
		}
	}
	if len(changes) > 0 {
		s.changed.Store(true)
	}
	if s.nudge != nil && len(news) > 0 {
		s.nudge(news...)
	}
}

// replace puts a snapshot in force that has more domains, and fewer.
func (s *Store) replace(added map[string]*domain, gone []string) {
	before := s.Snapshot()
	after := *before
	after.misfits = s.loader.sortedMisfits()
	own := make(map[int]bool)
	shard := func(name string) map[string]*domain {
		i := shardOf(name)
		if !own[i] {
			own[i], after.shards[i] = true, maps.Clone(after.shards[i])
		}
		return after.shards[i]
	}
	for name, d := range added {
		shard(name)[name] = d
	}
	for _, name := range gone {
		delete(shard(name), name)
	}
	s.current.Store(&after)
	s.revision.Add(1)
}

// Revision is a number that grows when anything that is known of the keys
// changes.
func (s *Store) Revision() int64 { return s.revision.Load() }
