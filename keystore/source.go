package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// source is the key directory as a source of keys: it lists the domains, and reads
// the keys of one. A unit is what belongs to one domain: a file, as
// "example.org.private", or a folder, as "example.org/".
type source struct {
	Options
	recent recent

	misfits map[string][]Problem // of the last scan, by unit: names that give no domain

	// Symlinks to targets outside the directory: units by domain. No event comes
	// when such a target changes.
	linksMu sync.Mutex
	links   map[string][]string
}

func newSource(options Options) *source {
	return &source{Options: options, links: make(map[string][]string)}
}

// scan lists the directory and returns the units by domain.
func (l *source) scan() (map[string][]string, error) {
	units := make(map[string][]string)
	err := l.list(func(domain, unit string) { units[domain] = append(units[domain], unit) })
	return units, err
}

// list calls found for each unit of the directory that belongs to a domain.
func (l *source) list(found func(domain, unit string)) error {
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
func (l *source) unit(name string, mode fs.FileMode) (domain, unit string) {
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
func (l *source) isDir(name string, mode fs.FileMode) (bool, error) {
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

// snapshot returns a snapshot of domains that were not read yet, by their units.
func (l *source) snapshot(units map[string][]string) *Snapshot {
	s := &Snapshot{shards: newShards(), misfits: l.sortedMisfits()}
	for name, list := range units {
		s.shards.of(name)[name] = &DomainKeys{unread: &list}
	}
	return s
}

func (l *source) sortedMisfits() []Problem {
	all := []Problem{}
	for _, problems := range l.misfits {
		all = append(all, problems...)
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	return all
}
