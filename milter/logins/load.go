package logins

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// maxBytes is the largest file that is read: about a million entries.
const maxBytes = 64 << 20

// Files are looked at this often. One that changes is read when it is the same twice, so that
// it is written whole, but after patience in any case.
const (
	interval = 250 * time.Millisecond
	patience = 2 * time.Second
)

// recent is how old a file must be for a change of it to be told by its time.
const recent = 2 * time.Second

// snapshot is what the files were when they were read.
type snapshot struct {
	stats   []fs.FileInfo // nil of one that is missing
	content [][sha256.Size]byte
	at      time.Time
}

// reload reads the files, and reports whether their content is new. After an error what was
// read before stays.
func (m *Maps) reload() (changed bool, err error) {
	seen := snapshot{stats: stats(m.Files()), at: time.Now()}
	next := &tables{domains: make(map[string]bool)}
	for _, s := range m.specs {
		t := s.table
		if t == nil {
			var sum [sha256.Size]byte
			if t, sum, err = readTable(s); err != nil {
				m.loaded.stats, m.loaded.at = seen.stats, seen.at
				return false, fmt.Errorf("%s:%w", s.kind, err)
			}
			seen.content = append(seen.content, sum)
		}
		next.add(t)
	}
	changed = m.current.Load() == nil || !equal(seen.content, m.loaded.content)
	m.loaded = seen
	if changed {
		m.current.Store(next)
	}
	return changed, nil
}

func equal(a, b [][sha256.Size]byte) bool {
	for i := range a {
		if i >= len(b) || a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

func (t *tables) add(one *table) {
	t.all = append(t.all, one)
	t.open = t.open || one.entries == nil
	for key := range one.entries {
		if at := strings.LastIndexByte(key, '@'); at >= 0 {
			t.domains[key[at+1:]] = true
		}
	}
}

func readTable(s spec) (t *table, sum [sha256.Size]byte, err error) {
	data, err := regular.Read(s.name, maxBytes)
	if err != nil {
		return nil, sum, fmt.Errorf("%s: %w", s.name, finding.ReadHint(err, s.name))
	}
	switch s.kind {
	case "texthash":
		t, err = parseTexthash(string(data))
	case "regexp":
		t, err = parsePatterns(string(data), compilePOSIX)
	case "pcre":
		t, err = parsePatterns(string(data), compilePCRE)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", s.name, err)
	}
	return t, sha256.Sum256(data), err
}

func stats(files []string) (all []fs.FileInfo) {
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			info = nil
		}
		all = append(all, info)
	}
	return all
}

func same(a, b []fs.FileInfo) bool {
	for i := range a {
		switch {
		case a[i] == nil || b[i] == nil:
			if a[i] != b[i] {
				return false
			}
		case !os.SameFile(a[i], b[i]), a[i].Size() != b[i].Size(), !a[i].ModTime().Equal(b[i].ModTime()):
			return false
		}
	}
	return true
}

// Watch reads files again that have changed, within a second, until ctx ends. What cannot
// be read is logged and leaves what was read before in force. Only their time and size is
// looked at, so the files may be links that change their targets, as in Kubernetes.
func (m *Maps) Watch(ctx context.Context, log *slog.Logger) {
	files := m.Files()
	if len(files) == 0 {
		return
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	w := watcher{maps: m, last: m.loaded.stats}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			w.look(stats(files), now, log)
		}
	}
}

// watcher follows the files of maps.
type watcher struct {
	maps  *Maps
	last  []fs.FileInfo // when they were looked at before
	since time.Time     // of a change that has not been read; zero for none
	wrong string        // what was logged of files that cannot be read
}

func (w *watcher) look(now []fs.FileInfo, at time.Time, log *slog.Logger) {
	loaded := &w.maps.loaded
	changed, still := !same(now, loaded.stats), same(now, w.last)
	if w.last = now; changed && w.since.IsZero() {
		w.since = at
	}
	// Two changes within the grain of the clock have one time.
	again := !changed && young(loaded) && at.Sub(loaded.at) > recent
	if !again && (!changed || !still && at.Sub(w.since) < patience) {
		return
	}
	w.since = time.Time{}
	fresh, err := w.maps.reload()
	switch {
	case err != nil && err.Error() != w.wrong:
		w.wrong = err.Error()
		log.Error("login maps not reloaded, the last good ones stay in force", finding.Attr(err))
	case err == nil && (fresh || w.wrong != ""):
		w.wrong = ""
		log.Info("login maps reloaded", "entries", w.maps.Entries())
	}
}

// young reports whether a file had changed just before it was read.
func young(s *snapshot) bool {
	for _, info := range s.stats {
		if info != nil {
			if age := s.at.Sub(info.ModTime()); -recent < age && age < recent {
				return true
			}
		}
	}
	return false
}
