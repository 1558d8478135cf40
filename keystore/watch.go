package keystore

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// A change is read when the directory has been quiet for a moment, so that a
// file that is being written is whole; but no later than the patience allows,
// so that a key is in force within a second under a steady stream of changes.
const (
	quiet    = 100 * time.Millisecond
	patience = 500 * time.Millisecond
)

// unwatched is how often the directory is read where not all changes are told
// of.
const unwatched = time.Second

// Watch reloads when the directory changes, and every rescan, for no events
// come over a network file system. It returns when ctx ends.
func (s *Store) Watch(ctx context.Context, rescan time.Duration) {
	w := watcher{store: s}
	var events chan fsnotify.Event
	var failures chan error
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		s.log.Warn("the system does not tell of changes, so the key directory is read every second", "err", err)
	} else {
		defer notify.Close()
		w.notify, events, failures = notify, notify.Events, notify.Errors
	}

	timer := time.NewTimer(0) // at once: something may have changed since Open
	defer timer.Stop()
	var first time.Time // of the changes not yet read
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			now := time.Now()
			if first.IsZero() {
				first = now
			}
			timer.Reset(min(quiet, first.Add(patience).Sub(now)))
			continue
		case err := <-failures:
			// Events were lost, so anything may have changed.
			s.log.Debug("watching the key directory", "err", err)
		case <-timer.C:
		}
		first = time.Time{}
		complete := w.follow() // before reading, so that nothing falls in between
		_ = s.Reload()         // has logged
		switch now := s.Snapshot(); {
		case now.missing:
			timer.Reset(grace)
		case !complete || now.outside:
			timer.Reset(min(rescan, unwatched))
		default:
			timer.Reset(rescan)
		}
	}
}

// watcher follows the key directory and the folders in it.
type watcher struct {
	store  *Store
	notify *fsnotify.Watcher
	told   bool
}

// follow watches the directories that are there now, never the files, by their
// real path, for a link may point elsewhere after a swap. It reports whether
// all of them are watched.
func (w *watcher) follow() (complete bool) {
	if w.notify == nil {
		return false
	}
	// A link on the way to the directory can be swapped without a word.
	absolute, err := filepath.Abs(w.store.options.Dir)
	root, rootErr := filepath.EvalSymlinks(w.store.options.Dir)
	complete = err == nil && rootErr == nil && absolute == root
	wanted := make(map[string]bool)
	for _, dir := range w.store.directories() {
		real, err := filepath.EvalSymlinks(dir)
		if err == nil {
			// Again each time: a folder made anew has the same path.
			wanted[real] = true
			err = w.notify.Add(real)
		}
		if err == nil {
			continue
		}
		complete = false
		if !w.told && !errors.Is(err, fs.ErrNotExist) {
			w.told = true
			w.store.log.Warn("not all of the key directory is watched, so it is read every second; hint: raise fs.inotify.max_user_watches",
				"dir", dir, "err", err)
		}
	}
	for _, dir := range w.notify.WatchList() {
		if !wanted[dir] {
			_ = w.notify.Remove(dir) // it may be gone already
		}
	}
	return complete
}

// directories lists the key directory and the folders in it.
func (s *Store) directories() []string {
	dirs := []string{s.options.Dir}
	entries, err := os.ReadDir(s.options.Dir)
	if err != nil {
		return dirs
	}
	l := loader{Options: s.options}
	for _, entry := range entries {
		if folder, err := l.isDir(entry); err == nil && folder && entry.Name()[0] != '.' {
			dirs = append(dirs, filepath.Join(s.options.Dir, entry.Name()))
		}
	}
	return dirs
}
