package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
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
	Check       Check
	State       string // directory that keeps what Check learns over a restart; "" for none
}

// Check says what the answers of the DNS are for.
type Check string

const (
	CheckOff  Check = ""     // it is not asked: the newest key signs
	CheckWarn Check = "warn" // the newest key signs, and it is told what the DNS lacks
	CheckOn   Check = "on"   // the newest key that is published signs
)

// Load reads the key directory. Files that have not changed since previous,
// which may be nil, are not read again, and a file that is no longer usable
// keeps its last good key. What is wrong with single files is in Problems; the
// error is for the directory itself.
func Load(options Options, previous *Snapshot) (*Snapshot, error) {
	l := newLoader(options)
	units, err := l.scan()
	if err != nil {
		return nil, err
	}
	s := l.snapshot(units)
	if previous != nil {
		s.shards.keep(previous.shards)
	}
	s.readAll(runtime.GOMAXPROCS(0), previous)
	return s, nil
}

// Scan lists the key directory, and reads the keys of a domain when they are
// first asked for. Until then there is nothing of them in Problems.
func Scan(options Options) (*Snapshot, error) {
	l := newLoader(options)
	units, err := l.scan()
	if err != nil {
		return nil, err
	}
	return l.snapshot(units), nil
}

// AnyDomain returns some domain with a usable key, without reading more than it
// takes. The error is ErrNoKey when there is none, and says what
// is wrong with those that there are.
func AnyDomain(options Options) (string, error) {
	s, err := Scan(options)
	if err != nil {
		return "", err
	}
	for name := range s.shards.all() {
		if len(s.Keys(name)) > 0 {
			return name, nil
		}
	}
	if problems := s.Problems(); len(problems) > 0 {
		return "", fmt.Errorf("no key in %s is usable: %s", options.Dir, problems[0])
	}
	return "", ErrNoKey
}

// loader reads the key directory in units: a file in it, as "example.org.private",
// or a folder, as "example.org/", which holds keys of one domain.
type loader struct {
	Options
	recent  recent
	reading [64]sync.Mutex // of a domain, by its name: one reads its files at a time
	now     func() time.Time

	// remembered is what was known before the start, until all has been read: a
	// key that comes later is a new one.
	remembered atomic.Pointer[map[print]mark]

	misfits map[string][]Problem // of the last scan, by unit: names that give no domain

	// Links that lead out of the directory: units by domain. What they lead to can
	// change without a word.
	linksMu sync.Mutex
	links   map[string][]string
}

func newLoader(options Options) *loader {
	return &loader{Options: options, now: time.Now, links: make(map[string][]string)}
}

// scan lists the directory and returns the units by domain.
func (l *loader) scan() (map[string][]string, error) {
	units := make(map[string][]string)
	err := l.list(func(domain, unit string) { units[domain] = append(units[domain], unit) })
	return units, err
}

// list calls found for each unit of the directory that belongs to a domain.
func (l *loader) list(found func(domain, unit string)) error {
	dir, err := os.Open(l.Dir)
	if err != nil {
		return fmt.Errorf("reading the key directory %s: %w", l.Dir, explain(err, l.Dir))
	}
	defer dir.Close()
	l.misfits = make(map[string][]Problem)
	for {
		// In parts, for there may be hundreds of thousands.
		entries, err := dir.ReadDir(1000)
		for _, entry := range entries {
			if domain, unit := l.unit(entry.Name(), entry.Type()); domain != "" {
				found(domain, unit)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the key directory %s: %w", l.Dir, explain(err, l.Dir))
		}
	}
}

// unit returns the unit of an entry of the key directory, or "" for one that
// has nothing to do with keys. Where no domain can be told, that is a misfit or
// nothing.
func (l *loader) unit(name string, mode fs.FileMode) (domain, unit string) {
	delete(l.misfits, name)
	delete(l.misfits, name+"/")
	if strings.HasPrefix(name, ".") {
		return "", "" // temporary files, Kubernetes' ..data
	}
	folder, err := l.isDir(name, mode)
	if ext := path.Ext(name); err == nil && (!folder || ext == ".private" || ext == ".key") {
		// A folder with the name of a key is what Docker makes of a mount whose
		// source is not there; as a file, it will be complained of.
		c, ok, err := claimOf(name, l.Selectors)
		if err != nil {
			l.misfits[name] = []Problem{{File: filepath.Join(l.Dir, name), Err: err}}
		}
		if err != nil || !ok {
			return "", ""
		}
		return c.domain, name
	}
	unit = name + "/"
	if domain, nameErr := Domain(name); nameErr == nil {
		return domain, unit
	}
	if err != nil {
		l.misfits[unit] = []Problem{{File: filepath.Join(l.Dir, name), Err: explain(err, filepath.Join(l.Dir, name))}}
		return "", unit
	}
	// A folder that has no domain's name should have no key in it.
	entries, err := os.ReadDir(filepath.Join(l.Dir, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		l.misfits[unit] = []Problem{{File: filepath.Join(l.Dir, name), Err: explain(err, filepath.Join(l.Dir, name))}}
	}
	for _, entry := range entries {
		if _, _, err := claimOf(unit+entry.Name(), l.Selectors); err != nil {
			l.misfits[unit] = append(l.misfits[unit], Problem{File: filepath.Join(l.Dir, name, entry.Name()), Err: err})
		}
	}
	return "", unit
}

// isDir reports whether an entry is a folder or a link to one.
func (l *loader) isDir(name string, mode fs.FileMode) (bool, error) {
	if mode&fs.ModeSymlink == 0 {
		return mode.IsDir(), nil
	}
	info, err := os.Stat(filepath.Join(l.Dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && claims(name, l.Selectors):
		return false, nil // as a file, it will be complained of
	}
	return err == nil && info.IsDir(), err
}

// leadsOut reports whether a path in the directory is a link that leads out of it.
func (l *loader) leadsOut(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	root, err := filepath.EvalSymlinks(l.Dir)
	target, targetErr := filepath.EvalSymlinks(path)
	return err != nil || targetErr != nil || !strings.HasPrefix(target, root+string(filepath.Separator))
}

// keepLinks keeps the units of a domain that have links which lead out.
func (l *loader) keepLinks(domain string, units []string) {
	l.linksMu.Lock()
	defer l.linksMu.Unlock()
	if len(units) > 0 {
		l.links[domain] = units
	} else {
		delete(l.links, domain)
	}
}

// leadOut reports whether there are links that lead out.
func (l *loader) leadOut() bool {
	l.linksMu.Lock()
	defer l.linksMu.Unlock()
	return len(l.links) > 0
}

// outward returns a copy of the links that lead out.
func (l *loader) outward() map[string][]string {
	l.linksMu.Lock()
	defer l.linksMu.Unlock()
	return maps.Clone(l.links)
}

// build reads the units of a domain, and those of what was known of it before,
// which may be nil. A file that has not changed is not opened.
func (l *loader) build(domain string, units []string, previous *state) *state {
	now := time.Now()
	var linked []string
	defer func() { l.keepLinks(domain, linked) }()
	var files []*file
	var folder *Problem
	known := func(path string) *file {
		if previous != nil {
			for _, f := range previous.files {
				if f.File == path {
					return f
				}
			}
		}
		return nil
	}
	units = slices.Clone(units)
	for _, unit := range l.units(previous) {
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	for _, unit := range units {
		names := []string{unit}
		out := l.leadsOut(filepath.Join(l.Dir, unit))
		if strings.HasSuffix(unit, "/") {
			var err error
			if names, err = l.inFolder(unit); err != nil {
				folder = l.folderFailed(unit, err, previous, &files)
				continue
			}
		}
		for _, name := range names {
			c, ok, err := claimOf(name, l.Selectors)
			path := filepath.Join(l.Dir, filepath.FromSlash(name))
			out = out || ok && name != unit && l.leadsOut(path)
			switch {
			case err != nil:
				files = append(files, &file{Key: Key{Domain: domain, File: path}, err: err})
			case ok:
				if f := l.take(c, path, known(path), &l.recent); f != nil {
					files = append(files, f)
				}
			}
		}
		if out {
			linked = append(linked, unit)
		}
	}
	return l.newState(withMissing(files, previous, now), folder, previous)
}

// units returns the units that a state is of, of nil none.
func (l *loader) units(s *state) (units []string) {
	if s == nil {
		return nil
	}
	if s.unread != nil {
		return *s.unread
	}
	for _, f := range s.files {
		if unit := l.unitOf(f.File); !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	return units
}

// unitOf returns the unit of a path in the directory.
func (l *loader) unitOf(path string) string {
	name := strings.TrimPrefix(path[len(filepath.Clean(l.Dir)):], "/")
	if folder, _, ok := strings.Cut(name, "/"); ok {
		return folder + "/"
	}
	return name
}

// inFolder returns the names of what is in a folder, by their path below the
// key directory. A folder that has gone is empty.
func (l *loader) inFolder(unit string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(l.Dir, unit))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		names = append(names, unit+entry.Name())
	}
	return names, err
}

// folderFailed keeps what was known of a domain's folder that cannot be read.
func (l *loader) folderFailed(unit string, err error, previous *state, files *[]*file) *Problem {
	shown := filepath.Join(l.Dir, unit)
	p := &Problem{File: shown, Err: explain(err, shown)}
	p.Domain, _ = Domain(strings.TrimSuffix(unit, "/"))
	if previous != nil {
		for _, f := range previous.files {
			if l.unitOf(f.File) == unit {
				*files = append(*files, f)
				p.InForce = true
			}
		}
	}
	return p
}

// withMissing adds the files that were there a moment ago.
func withMissing(files []*file, previous *state, now time.Time) []*file {
	if previous == nil {
		return files
	}
	for _, f := range previous.files {
		there := slices.ContainsFunc(files, func(have *file) bool { return have.File == f.File })
		switch {
		case there || f.Signer == nil:
		case f.gone == 0:
			missing := *f
			missing.gone = now.UnixNano()
			files = append(files, &missing)
		case now.UnixNano()-f.gone < int64(grace):
			files = append(files, f)
		}
	}
	return files
}
