package keystore

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// remind is how often it is logged that keys are held.
const remind = 10 * time.Minute

// mostLooked is how many missing files are looked for at once. When more are missing, and
// some of them are back, everything is read again.
const mostLooked = 1000

// Held says which keys stay in force though their files cannot be found, for how long,
// and why: their absence is not proven, and time alone will not prove it.
type Held struct {
	Keys int
	// Unread is how many files went missing before they were read. Mail of their domains
	// is deferred.
	Unread int
	Since  time.Time
	Why    error // nil for none
}

// Held returns what is held now.
func (s *picture) Held() Held {
	if held := s.held.Load(); held != nil {
		return *held
	}
	return Held{}
}

// Answers returns nothing: a directory is not reached over the network.
func (s *Store) Answers() []Answers { return nil }

// allMissing returns the domains with files that are missing.
func (s *picture) allMissing() []string {
	s.swap.Lock()
	defer s.swap.Unlock()
	return slices.Collect(maps.Keys(s.missing))
}

// missingFiles yields the files that are missing.
func (s *picture) missingFiles(yield func(domain string, f *file) bool) {
	for _, name := range s.allMissing() {
		for _, f := range s.Snapshot().Domain(name).files {
			if f.gone != nil && !yield(name, f) {
				return
			}
		}
	}
}

// markLost marks the missing files of a directory that has no key any more and had more
// than one: nobody removes all keys of a mail server. The lock is held.
func (s *Store) markLost() {
	var lost []*absence
	keys := 0
	for _, f := range s.missingFiles {
		if !f.gone.archived && f.gone.seen.root == s.root {
			lost = append(lost, f.gone)
			if f.Signer != nil || f.neverRead() {
				keys++
			}
		}
	}
	if keys < 2 || s.anyThere() || s.source.here() != s.root {
		return
	}
	for _, a := range lost {
		a.lost = true
	}
}

// anyThere reports whether the directory has a key.
func (s *picture) anyThere() bool {
	for _, d := range s.Snapshot().shards.all() {
		there := func(f *file) bool { return f.gone == nil && f.Signer != nil }
		if d.unread != nil || slices.ContainsFunc(d.files, there) {
			return true
		}
	}
	return false
}

// drop drops the keys whose absence is proven. The lock is held.
func (s *Store) drop(proof *proof) {
	changed := make(map[string][]string)
	for name, f := range s.missingFiles {
		switch {
		case proof.covers(s.source.pathIn(f.File), f.gone):
			changed[name] = []string{""}
		case time.Since(f.gone.since) >= proof.grace && s.source.unproven(f, proof.root) == nil:
			f.gone.since = time.Now() // it was there, or could not be looked at
		}
	}
	if len(changed) > 0 {
		s.apply(changed, proof)
	}
}

// unsettled reports whether the directory is another one than was last read, or could not
// be read then.
func (s *Store) unsettled() bool {
	s.reload.Lock()
	defer s.reload.Unlock()
	return s.failing != nil || s.source.here() != s.root
}

// restart begins the grace period anew of files that were there in the meantime, given by
// their paths in the directory, or that of their folder.
func (s *Store) restart(created map[string]bool) {
	s.reload.Lock()
	defer s.reload.Unlock()
	for _, f := range s.missingFiles {
		path := s.source.pathIn(f.File)
		folder, _, _ := strings.Cut(path, "/")
		if created[path] || created[folder] {
			f.gone.since = time.Now()
		}
	}
}

// survey is what a look at the missing files finds.
type survey struct {
	held Held
	back []string // entries of the directory that were missing and are there
	more bool     // there may be more of them
	// provable is when the absence of the first of the others can be proven; zero for none.
	provable time.Time
}

// survey looks at the missing files. The lock is held.
func (s *Store) survey() (v survey) {
	looked := 0
	for _, f := range s.missingFiles {
		why := s.source.unproven(f, s.root)
		if at := f.gone.since.Add(s.source.removalGrace()); why == nil && (v.provable.IsZero() || at.Before(v.provable)) {
			v.provable = at
		}
		if time.Since(f.gone.since) < unwatched { // it may be back in a moment
			why = nil
		}
		switch {
		case f.neverRead() && (why != nil || s.failing != nil):
			v.held.Unread++
		case f.Signer != nil && why != nil:
			v.held.Keys++
		default:
			why = nil
		}
		if why != nil && (v.held.Why == nil || why.Error() < v.held.Why.Error()) {
			v.held.Why = why
		}
		if looked++; looked > mostLooked {
			v.more = len(v.back) > 0
			continue
		}
		if _, err := os.Lstat(f.File); err == nil {
			v.back = append(v.back, strings.TrimSuffix(s.source.unitOf(f.File), "/"))
		}
	}
	if v.held.Why != nil {
		v.held.Why = finding.WithHint(v.held.Why, "bring back what is missing; to remove keys for good use "+
			"signpost keys --remove, or send SIGHUP to signpostd when the directory is as it should be")
	}
	if s.failing != nil {
		v.held.Keys, _ = s.Snapshot().Count()
		v.held.Why = s.failing
	}
	return v
}

// look is survey for the watcher. It logs what is held.
func (s *Store) look() survey {
	s.reload.Lock()
	defer s.reload.Unlock()
	v := s.survey()
	s.tell(v.held, s.failing)
	return v
}

// tell logs when keys begin to be held, now and then while they are, and when they no
// longer are. Failing is why the source could not be read, where that is the reason. The
// lock is held.
func (s *picture) tell(held Held, failing error) {
	was, text := s.Held(), ""
	if held.Why != nil {
		text = finding.Text(held.Why)
		if held.Since = was.Since; was.Why == nil {
			held.Since = time.Now()
		}
	}
	s.held.Store(&held)
	if text == s.told && (text == "" || time.Since(s.toldAt) < remind) {
		return
	}
	if text == "" && len(s.allMissing()) > 0 {
		return // whether those are held is not clear yet
	}
	s.told, s.toldAt = text, time.Now()
	switch {
	case held.Why == nil:
		s.log.Info("the keys are whole again, none is held", "keys", s.name)
	case errors.Is(held.Why, failing):
		s.log.Error("keys not reloaded, those in force stay", "held", held.Keys, "unread", held.Unread,
			finding.Attr(held.Why))
	default:
		s.log.Error("keys missing, and held in force", "keys", s.name, "held", held.Keys,
			"unread", held.Unread, finding.Attr(held.Why))
	}
}
