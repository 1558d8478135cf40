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

	"signpost/keystore/finding"
)

// source is the key directory as a source of keys: it lists the domains, and reads
// the keys of one. A unit is what belongs to one domain: a file, as
// "example.org.private", or a folder, as "example.org/".
type source struct {
	Options
	recent recent

	invalid map[string][]Problem // of the last scan, by unit: files whose names give no domain

	// Symlinks to targets outside the directory: units by domain. No event comes
	// when such a target changes.
	linksMu sync.Mutex
	links   map[string][]string
}

func newSource(options Options) *source {
	return &source{Options: options, links: make(map[string][]string)}
}

// scan lists the directory and returns the units by domain.
func (src *source) scan() (map[string][]string, error) {
	units := make(map[string][]string)
	err := src.list(func(domain, unit string) { units[domain] = append(units[domain], unit) })
	return units, err
}

// list calls found for each unit of the directory that belongs to a domain.
func (src *source) list(found func(domain, unit string)) error {
	dir, err := os.Open(src.Dir)
	if err != nil {
		return src.failed(err)
	}
	defer dir.Close()
	src.invalid = make(map[string][]Problem)
	for {
		// In parts: there may be hundreds of thousands.
		entries, err := dir.ReadDir(1000)
		for _, entry := range entries {
			if domain, unit := src.unit(entry.Name(), entry.Type()); domain != "" {
				found(domain, unit)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return src.failed(err)
		}
	}
}

// failed returns the error of reading the directory.
func (src *source) failed(err error) error {
	err = fmt.Errorf("reading the key directory %s: %w", src.Dir, finding.FileHint(err, src.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return finding.WithHint(err, "make the directory, or give another with --keys")
	}
	return err
}

// unit returns the unit of an entry of the key directory, or "" for one that
// has nothing to do with keys. An entry whose name gives no domain is an invalid
// file or ignored.
func (src *source) unit(name string, mode fs.FileMode) (domain, unit string) {
	delete(src.invalid, name)
	delete(src.invalid, name+"/")
	if strings.HasPrefix(name, ".") {
		return "", "" // temporary files, Kubernetes' ..data
	}
	file := filepath.Join(src.Dir, name)
	folder, err := src.isDir(name, mode)
	if ext := path.Ext(name); err == nil && (!folder || ext == ".private" || ext == ".key") {
		// A folder with the name of a key is what Docker makes of a mount whose
		// source is missing; it is reported as an invalid file.
		c, ok, err := claimOf(name, src.Selectors)
		if err != nil {
			src.invalid[name] = []Problem{{File: file, Err: err}}
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
		src.invalid[unit] = []Problem{{File: file, Err: finding.FileHint(err, file)}}
		return "", unit
	}
	// A folder whose name is not a domain should contain no key.
	entries, err := os.ReadDir(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		src.invalid[unit] = []Problem{{File: file, Err: finding.FileHint(err, file)}}
	}
	for _, entry := range entries {
		if _, _, err := claimOf(unit+entry.Name(), src.Selectors); err != nil {
			src.invalid[unit] = append(src.invalid[unit],
				Problem{File: filepath.Join(file, entry.Name()), Err: err})
		}
	}
	return "", unit
}

// isDir reports whether an entry is a folder or a symlink to one.
func (src *source) isDir(name string, mode fs.FileMode) (bool, error) {
	if mode&fs.ModeSymlink == 0 {
		return mode.IsDir(), nil
	}
	info, err := os.Stat(filepath.Join(src.Dir, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && claims(name, src.Selectors):
		return false, nil // reported as an invalid file
	}
	return err == nil && info.IsDir(), err
}

// snapshot returns a snapshot of domains that were not read yet, by their units.
func (src *source) snapshot(units map[string][]string) *Snapshot {
	s := &Snapshot{shards: newShards(), invalid: src.sortedInvalid()}
	for name, list := range units {
		s.shards.of(name)[name] = &DomainKeys{unread: &list}
	}
	return s
}

func (src *source) sortedInvalid() []Problem {
	all := []Problem{}
	for _, problems := range src.invalid {
		all = append(all, problems...)
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	return all
}
