package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options says where keys are and what is asked of them.
type Options struct {
	Dir       string
	Selectors Selectors // of files named after their domain alone
	MinBits   int       // the least size of an RSA key; MinBits when lower
	// RequireSafe refuses key files that group or others can read or write.
	RequireSafe bool
}

// Load reads the key directory. Files that have not changed since previous,
// which may be nil, are not read again, and a file that is no longer usable
// keeps its last good key. What is wrong with single files is in Problems; the
// error is for the directory itself.
func Load(options Options, previous *Snapshot) (*Snapshot, error) {
	l := loader{Options: options, now: time.Now(), files: make(map[string]*file)}
	if previous != nil {
		l.previous = previous.files
	}
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading the key directory %s: %w", l.Dir, explain(err, l.Dir))
	}
	var names []string
	for _, entry := range entries {
		names = append(names, l.entry(entry)...)
	}
	l.all(names)
	l.keepMissing()
	snapshot := index(l.files, l.problems, previous)
	snapshot.outside = l.outside
	return snapshot, nil
}

// AnyDomain returns some domain that dir has a usable key for, without reading
// more than it takes. The error is ErrNoKey when there is none, and says what
// is wrong with those that there are.
func AnyDomain(dir string) (string, error) {
	l := loader{Options: Options{Dir: dir}, now: time.Now(), files: make(map[string]*file)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading the key directory %s: %w", dir, explain(err, dir))
	}
	for _, entry := range entries {
		for _, name := range l.entry(entry) {
			f, problem := l.file(name)
			switch {
			case problem != nil:
				l.problems = append(l.problems, *problem)
			case f != nil && f.key != nil:
				return f.claim.domain, nil
			case f != nil:
				l.problems = append(l.problems, Problem{File: f.path, Err: f.err})
			}
		}
	}
	if l.problems != nil {
		return "", fmt.Errorf("no key in %s is usable: %s", dir, l.problems[0])
	}
	return "", ErrNoKey
}

type loader struct {
	Options
	now      time.Time
	previous map[string]*file

	root    string // the directory without links on the way
	outside bool   // a link leads out of it

	mu       sync.Mutex // of what follows
	files    map[string]*file
	problems []Problem
}

// keepMissing keeps the files that were there a moment ago.
func (l *loader) keepMissing() {
	for name, f := range l.previous {
		if l.files[name] != nil || f.key == nil {
			continue
		}
		if f.gone.IsZero() {
			missing := *f
			missing.gone = l.now
			l.files[name] = &missing
		} else if l.now.Sub(f.gone) < grace {
			l.files[name] = f
		}
	}
}

// all takes the files, as many at once as there are processors: most of the
// time goes into the arithmetic of parsing RSA keys.
func (l *loader) all(names []string) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				f, problem := l.file(names[i])
				l.mu.Lock()
				if f != nil {
					l.files[names[i]] = f
				}
				if problem != nil {
					l.problems = append(l.problems, *problem)
				}
				l.mu.Unlock()
			}
		})
	}
	workers.Wait()
}

// entry returns the files of one entry of the key directory: a file, or a
// domain's folder.
func (l *loader) entry(entry fs.DirEntry) (names []string) {
	name := entry.Name()
	if strings.HasPrefix(name, ".") {
		return nil
	}
	l.lookAt(entry, name)
	folder, err := l.isDir(entry)
	if ext := path.Ext(name); err == nil && (!folder || ext == ".private" || ext == ".key") {
		// A folder with the name of a key is what Docker makes of a mount whose
		// source is not there; as a file, it will be complained of.
		return []string{name}
	}
	var inner []fs.DirEntry
	if err == nil {
		inner, err = os.ReadDir(filepath.Join(l.Dir, name))
	}
	if err != nil {
		l.folderFailed(name, err)
		return nil
	}
	for _, entry := range inner {
		name := path.Join(name, entry.Name())
		l.lookAt(entry, name)
		names = append(names, name)
	}
	return names
}

// isDir reports whether an entry is a folder or a link to one.
func (l *loader) isDir(entry fs.DirEntry) (bool, error) {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.IsDir(), nil
	}
	info, err := os.Stat(filepath.Join(l.Dir, entry.Name()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && claims(entry.Name(), l.Selectors):
		return false, nil // as a file, it will be complained of
	}
	return err == nil && info.IsDir(), err
}

// lookAt notes links that lead out of the directory: where they lead to can
// change without a word.
func (l *loader) lookAt(entry fs.DirEntry, name string) {
	if entry.Type()&fs.ModeSymlink == 0 || l.outside {
		return
	}
	if l.root == "" {
		l.root, _ = filepath.EvalSymlinks(l.Dir)
	}
	target, err := filepath.EvalSymlinks(filepath.Join(l.Dir, filepath.FromSlash(name)))
	l.outside = err != nil || !strings.HasPrefix(target, l.root+string(filepath.Separator))
}

// folderFailed keeps what was known of a domain's folder that cannot be read.
func (l *loader) folderFailed(name string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	shown := filepath.Join(l.Dir, name)
	domain, _ := Domain(name)
	known := false
	for p, f := range l.previous {
		if path.Dir(p) == name {
			l.files[p], known = f, true
		}
	}
	l.problems = append(l.problems, Problem{File: shown, Domain: domain, Err: explain(err, shown), InForce: known})
}

// file takes one file below the key directory. It returns nothing for one whose
// name is not that of a key, or that is gone.
func (l *loader) file(name string) (*file, *Problem) {
	shown := filepath.Join(l.Dir, filepath.FromSlash(name))
	c, ok, err := claimOf(name, l.Selectors)
	if err != nil {
		return nil, &Problem{File: shown, Err: err}
	}
	if !ok {
		return nil, nil
	}
	f := &file{path: shown, claim: c}
	before := l.previous[name]
	info, err := os.Stat(shown)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // gone between the listing and now, or a link to nowhere
	case err == nil && !info.Mode().IsRegular():
		// Not opened: a FIFO would block.
		err = errors.New("it is not a regular file; hint: remove it or rename it")
	case err == nil:
		f.stamp = stampOf(info, l.now)
		if before != nil && before.err == nil && before.gone.IsZero() && before.stamp.unchanged(f.stamp) {
			return before, nil
		}
		err = f.read(before, l.Options)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	if err != nil {
		f.err = explain(err, shown)
		if before != nil {
			f.key = before.key
		}
	}
	return f, nil
}
