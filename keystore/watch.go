package keystore

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A change is read when the directory has been quiet for a moment, so that a
// file that is being written is whole; but after at most patience, so that
// a key is in force within a second under a steady stream of changes.
const (
	quiet    = 100 * time.Millisecond
	patience = 500 * time.Millisecond
)

// unwatched is how often to read what inotify does not report: symlinks to targets
// outside the directory, which directory it is, and files that are missing.
const unwatched = time.Second

// quick is how long a look for missing files may take to be taken after each change.
const quick = 10 * time.Millisecond

// mostFolders is how many folders of the directory are watched: each takes a
// kilobyte of the kernel's memory, and some of ours. With more, only the
// directory itself is watched: a new domain is in force at once, and a change
// within a folder after the next scan.
const mostFolders = 5000

// pause is how many times longer than a scan the pause after it lasts; the same for
// symlinks to targets outside the directory. Each takes at most two percent of a
// processor. longest bounds it, so that one scan on a busy machine, or of a file
// system that hangs, does not put off the next for minutes.
const (
	pause   = 50
	longest = 30 * time.Second
)

// Watch reloads when the directory changes, and every rescan, for no events
// come over a network file system. It returns when ctx ends.
func (s *Store) Watch(ctx context.Context, rescan time.Duration) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.readInBackground(ctx)
	}()
	defer func() { <-done }()

	w := watcher{store: s,
		changed: make(map[string]bool), created: make(map[string]bool), folders: make(map[string]string)}
	var events <-chan fsnotify.Event
	var failures <-chan error
	notify, err := fsnotify.NewBufferedWatcher(256)
	if err != nil {
		s.log.Warn("inotify is not available, so the key directory is reread every second", "err", err)
	} else {
		defer notify.Close()
		w.notify, events, failures = notify, notify.Events, notify.Errors
	}
	w.run(ctx, rescan, events, failures)
}

// run reads what events report as changed, and everything after a failure.
func (w *watcher) run(
	ctx context.Context, rescan time.Duration, events <-chan fsnotify.Event, failures <-chan error,
) {
	timer := time.NewTimer(0) // at once: something may have changed since Open
	defer timer.Stop()
	var first time.Time // of the changes not yet read
	w.all = true
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-events:
			w.note(event)
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			timer.Reset(min(quiet, first.Add(patience).Sub(now)))
			continue
		case err := <-failures:
			// Events were lost, so anything may have changed.
			w.store.log.Debug("watching the key directory", "err", err)
			w.all = true
		case <-timer.C:
		}
		// What was reported is known before a key is dropped: its file may have been back.
		for waiting := true; waiting; {
			select {
			case event := <-events:
				w.note(event)
			default:
				waiting = false
			}
		}
		first = time.Time{}
		timer.Reset(w.read(rescan))
	}
}

// watcher follows the key directory and the folders in it.
type watcher struct {
	store      *Store
	notify     *fsnotify.Watcher
	root       string            // the real path of the directory
	folders    map[string]string // what is watched: by real path, the entry of the directory
	warned     bool              // that not all is watched
	full       bool              // there are more folders than are watched
	warnedFull bool              // and that was logged

	all      bool            // anything may have changed
	changed  map[string]bool // entries of the directory that may have
	created  map[string]bool // paths in the directory of files that came
	complete bool            // all of the directory is watched
	scan     pace            // of the whole directory
	links    pace            // of symlinks to targets outside of it
	look     pace            // for files that are missing
	provable time.Time       // when the absence of one can be proven; zero for none
}

// pace is when something was last done, and how long it took.
type pace struct {
	at   time.Time
	took time.Duration
}

func (p *pace) do(work func()) {
	p.at = time.Now()
	work()
	p.took = time.Since(p.at)
}

// next returns when to do it again, if it is to be done every so often.
func (p *pace) next(often time.Duration) time.Duration {
	return max(often, p.took+min(pause*p.took, longest)) - time.Since(p.at)
}

// note records what an event reports as changed.
func (w *watcher) note(event fsnotify.Event) {
	dir, name := filepath.Split(event.Name)
	dir = filepath.Clean(dir)
	entry, folder := w.folders[dir]
	switch {
	case dir == w.root && strings.HasPrefix(name, "..") && event.Op != fsnotify.Chmod:
		w.all = true // Kubernetes' ..data: the symlinks have other targets now
	case dir == w.root:
		w.changed[name] = true
	case folder:
		w.changed[entry] = true
	default:
		w.all = true // the directory itself, or one that is no longer watched
	}
	if entry, ok := w.folders[filepath.Clean(event.Name)]; ok {
		w.changed[entry] = true
	}
	if event.Op.Has(fsnotify.Create) {
		w.created[path.Join(entry, name)] = true
	}
}

// read reads what has changed, and returns how long to wait for events before it is
// called again.
func (w *watcher) read(rescan time.Duration) time.Duration {
	s := w.store
	if len(w.created) > 0 {
		s.restart(w.created)
		clear(w.created)
	}
	worked := true
	switch {
	case w.all || s.unsettled() || w.due() || w.scan.next(w.often(rescan)) <= 0:
		w.all, w.provable = false, time.Time{} // until the next survey
		clear(w.changed)
		w.scan.do(func() {
			w.complete = w.followAll() // before reading, so that nothing falls in between
			_ = s.Reload()             // has logged
		})
	case len(w.changed) > 0:
		for name := range w.changed {
			w.follow(name)
		}
		s.update(w.changed)
		clear(w.changed)
	default:
		worked = false
	}
	outside := s.source.hasLinks()
	if outside && w.links.next(unwatched) <= 0 {
		w.links.do(s.poll)
	}
	if w.look.next(unwatched) <= 0 || worked && w.look.took < quick {
		w.look.do(w.survey)
	}

	next := min(w.scan.next(w.often(rescan)), unwatched)
	if outside {
		next = min(next, w.links.next(unwatched))
	}
	if !w.provable.IsZero() {
		next = min(next, time.Until(w.provable))
	}
	if len(w.changed) > 0 || w.all {
		next = min(next, quiet)
	}
	return max(next, time.Millisecond)
}

// due reports whether the absence of a file can be proven now.
func (w *watcher) due() bool { return !w.provable.IsZero() && time.Until(w.provable) <= 0 }

// survey looks for what is missing and no event reports: files that are back, and those
// whose absence can be proven.
func (w *watcher) survey() {
	seen := w.store.look()
	for _, entry := range seen.back {
		w.changed[entry] = true
	}
	w.all = w.all || seen.more
	w.provable = seen.provable
}

// often is how often to scan the directory.
func (w *watcher) often(rescan time.Duration) time.Duration {
	if w.complete {
		return rescan
	}
	return min(rescan, unwatched)
}

// followAll watches the directories that are there now, never the files, by their
// real path, for a symlink may have another target after a swap. It reports whether
// all of them are watched.
func (w *watcher) followAll() (complete bool) {
	if w.notify == nil {
		return false
	}
	dir := w.store.source.Dir
	// A symlink on the way to the directory can be swapped without an event.
	absolute, err := filepath.Abs(dir)
	root, rootErr := filepath.EvalSymlinks(dir)
	w.root = root
	complete = err == nil && rootErr == nil && absolute == root
	w.folders, w.full = make(map[string]string), false
	complete = w.watch(root, "") && complete
	var names []string
	if opened, err := os.Open(dir); err == nil {
		for entries, err := opened.ReadDir(1000); ; entries, err = opened.ReadDir(1000) {
			for _, entry := range entries {
				if entry.Name()[0] != '.' && entry.Type()&(fs.ModeDir|fs.ModeSymlink) != 0 {
					names = append(names, entry.Name())
				}
			}
			if err != nil {
				break
			}
		}
		opened.Close()
	}
	for _, name := range names {
		complete = w.follow(name) && complete
	}
	for _, path := range w.notify.WatchList() {
		if _, wanted := w.folders[path]; !wanted && path != root {
			_ = w.notify.Remove(path) // it may be gone already
		}
	}
	return complete
}

// follow watches an entry of the directory, if it is a folder. It reports
// whether all of it is watched.
func (w *watcher) follow(name string) bool {
	if w.notify == nil || strings.HasPrefix(name, ".") {
		return true
	}
	path := filepath.Join(w.store.source.Dir, name)
	full := len(w.folders) >= w.store.maxFolders
	if full && w.full {
		return true // by choice
	}
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		maps.DeleteFunc(w.folders, func(_, entry string) bool { return entry == name })
	}
	if err != nil || !info.IsDir() {
		return true
	}
	if full {
		w.full = true
		if w.warnedFull {
			return true
		}
		w.warnedFull = true
		w.store.log.Warn("too many folders to watch, changes within them wait for the next scan",
			"most", w.store.maxFolders, "hint", "flat key files need no folders")
		return true
	}
	real, err := filepath.EvalSymlinks(path)
	return err == nil && w.watch(real, name)
}

// watch watches a directory. It does so again each time, for a new folder may have the
// same path.
func (w *watcher) watch(real, name string) bool {
	err := w.notify.Add(real)
	if err == nil {
		if name != "" {
			w.folders[real] = name
		}
		return true
	}
	if !w.warned && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
		w.warned = true
		w.store.log.Warn("cannot watch all of the key directory, so it is reread every second",
			"dir", real, "err", err, "hint", "raise fs.inotify.max_user_watches")
	}
	return false
}
