package keystore

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Store keeps the keys of a key directory. A reload never delays a message.
type Store struct {
	picture
	source     *keyDirectory
	maxFolders int // how many folders in it are watched

	reload  sync.Mutex // one reload at a time; it guards what follows
	scans   uint32
	root    uint32 // the key directory as it was last read whole
	failing error  // that of the last reload, nil when it succeeded
}

// Open loads the key directory for the first time and logs what is wrong in it.
func Open(options Options, log *slog.Logger) (*Store, error) {
	s := &Store{picture: newPicture(options.Dir, log), source: newKeyDirectory(options), maxFolders: mostFolders}
	units, root, err := s.source.scan()
	if err != nil {
		return nil, err
	}
	s.root = root
	snapshot := s.source.snapshot(units, root)
	s.logProblems(nil, snapshot.invalid)
	s.current.Store(snapshot)
	if snapshot.Len() <= few {
		s.ReadAll()
		return s, nil
	}
	s.tellStrays()
	if snapshot.Len() > 10*few {
		s.source.recent.most = recentOfMany
	}
	s.log.Info("keys found, they are read on first use and in the background",
		"keys", options.Dir, "domains", snapshot.Len())
	return s, nil
}

// Reload reads what has changed in the directory and puts it in force. A key whose
// file is missing stays until its absence is proven, and all keys stay when the
// directory itself cannot be read: see Held.
func (s *Store) Reload() error { return s.readAgain(false) }

// Accept is Reload for an operator: what the directory says now counts, even if it has
// lost all keys or is another one than before.
func (s *Store) Accept() error { return s.readAgain(true) }

func (s *Store) readAgain(accept bool) error {
	s.reload.Lock()
	defer s.reload.Unlock()
	defer func() { s.tell(s.survey().held, s.failing) }()
	if accept {
		s.toldAt = time.Time{} // it is logged again what is held, if anything is
	}
	s.reloads.Add(1)
	dir, root, err := s.source.open()
	if err == nil {
		defer dir.Close()
		err = s.readFrom(dir, root)
	}
	s.failing = err
	if err != nil {
		s.failed.Add(1)
		return err
	}
	s.root = root
	s.markLost()
	s.drop(&proof{dir: dir, root: root, grace: s.source.removalGrace(), accept: accept})
	s.tellStrays()
	return nil
}

// readFrom puts in force what has changed in the directory, which is open.
func (s *Store) readFrom(dir *os.File, root uint32) error {
	invalid := s.source.invalid
	s.scans++
	changed := make(map[string][]string)
	err := s.source.list(dir, func(name, unit string) {
		d := s.Snapshot().shards.find(name)
		if d == nil {
			changed[name] = append(changed[name], unit)
			return
		}
		if d.scan != s.scans {
			d.scan, d.seen = s.scans, 0
		}
		d.seen++
		if d.unread != nil && (d.at.root != root || !slices.Contains(*d.unread, unit)) ||
			d.unread == nil && !s.source.unchanged(d, unit, root) {
			changed[name] = append(changed[name], unit)
		}
	})
	if err != nil {
		s.source.invalid = invalid
		return err
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
	s.apply(changed, nil)
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
	s.apply(changed, nil)
	s.markLost()
	s.tellStrays()
}

// poll reads what symlinks to targets outside the directory lead to.
func (s *Store) poll() {
	s.reload.Lock()
	defer s.reload.Unlock()
	s.apply(s.source.allLinks(), nil)
	s.markLost()
}

// apply reads the units of the domains again, with those known before, and puts
// the result in force. An empty unit stands for one that may have gone. Without a
// proof no key is dropped.
func (s *Store) apply(changed map[string][]string, proof *proof) {
	invalid := s.Snapshot().invalid
	var changes []change
	for name, units := range changed {
		slices.Sort(units)
		changed[name] = slices.Compact(units)
		if c := s.changeOf(name, changed[name], proof); c.now != c.was {
			changes = append(changes, c)
		}
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
			again := s.changeOf(c.name, changed[c.name], proof)
			i := slices.IndexFunc(changes, func(old change) bool { return old.name == c.name })
			changes[i] = again
			pending = append(pending, again)
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.name, b.name) })
	s.logProblems(invalid, s.Snapshot().invalid)
	for _, c := range changes {
		if c.now.unread != nil {
			continue
		}
		was := c.was
		if was == nil {
			was = none
		}
		s.logProblems(was.Problems(), c.now.Problems())
		s.logChange(c.name, was, c.now)
	}
}

// changeOf reads the units of a domain. If the domain was never read, they are only
// noted, to be read with the others, unless some may have gone.
func (s *Store) changeOf(name string, units []string, proof *proof) change {
	was := s.Snapshot().shards.find(name)
	gone := len(units) > 0 && units[0] == ""
	if was != nil && was.unread != nil && !gone {
		all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(*was.unread, units))))
		return change{name, was, &DomainKeys{unread: &all, at: place{root: s.source.here()}}}
	}
	if gone {
		units = units[1:]
	}
	return change{name, was, s.source.read(name, units, was, proof)}
}
