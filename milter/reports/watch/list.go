package watch

import (
	"cmp"
	"io/fs"
	"slices"
	"syscall"
	"time"

	"signpost/milter/reports"
)

// inode is what a file is, whatever its name: who reads a maildir renames what is in it.
type inode struct{ dev, number uint64 }

// file is a file that was read, or is to be.
type file struct {
	inode
	path       string
	size       int64
	changed    time.Time
	reports    int // in it that others have not
	unreadable int
	left       bool // not read, for there is no room
}

// settled is how long a file must be left alone before it counts as complete.
const settled = 2 * time.Second

// late is how long a report may take to come.
const late = 7 * 24 * time.Hour

// oldest returns how old a report may be, and the file that it came in.
func (w *Watch) oldest(now time.Time) (oldest time.Time) {
	if w.Days > 0 {
		oldest = now.Add(-late).AddDate(0, 0, -w.Days)
	}
	return oldest
}

// list returns the files that are there, those changed last first.
func (w *Watch) list(now time.Time) (files []*file, err error) {
	oldest := w.oldest(now)
	seen := make(map[inode]bool)
	err = reports.Files(w.Path, func(path string, info fs.FileInfo, err error) bool {
		if err != nil {
			w.deny(path, err)
			return true
		}
		stat, ok := info.Sys().(*syscall.Stat_t)
		if !ok || !info.Mode().IsRegular() || info.ModTime().Before(oldest) {
			return true
		}
		f := &file{inode: inode{uint64(stat.Dev), stat.Ino}, path: path, size: info.Size(), changed: info.ModTime()}
		if !seen[f.inode] {
			seen[f.inode] = true
			files = append(files, f)
		}
		return true
	})
	slices.SortFunc(files, func(a, b *file) int {
		return cmp.Or(b.changed.Compare(a.changed), cmp.Compare(a.path, b.path))
	})
	return files, err
}

// compare returns those that can be read, those of them that are new, and whether others
// have gone or changed. One that is being written is as it was before, or not there yet.
func (w *Watch) compare(found []*file, now time.Time) (ready, news []*file, changed bool) {
	there := 0
	for _, f := range found {
		known := w.files[f.inode]
		written := now.Sub(f.changed).Abs() < settled
		switch {
		case known == nil && written:
			continue
		case known == nil:
			news = append(news, f)
		case known.size == f.size && known.changed.Equal(f.changed):
			known.path = f.path
		case written:
			f.size, f.changed = known.size, known.changed
		default:
			changed = true
		}
		if known != nil {
			there++
		}
		ready = append(ready, f)
	}
	return ready, news, changed || there < len(w.files)
}

// misses reports whether a file is not read that is newer than one that is, for there is no room
// for both. The newest are to count.
func (w *Watch) misses(ready []*file) bool {
	if w.tally.Size() < w.Rows {
		return false
	}
	misses := false
	for _, f := range ready { // the newest first
		known := w.files[f.inode]
		switch {
		case known == nil || known.left:
			misses = true
		case misses && known.reports > 0:
			return true
		}
	}
	return false
}
