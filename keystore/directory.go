package keystore

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"signpost/keystore/finding"
)

// keyDirectory is the key directory as a source of keys: it lists the domains, and reads
// the keys of one. A unit is what belongs to one domain: a file, as
// "example.org.private", or a folder, as "example.org/".
type keyDirectory struct {
	Options
	recent recent
	strays strays

	invalid map[string][]Problem // of the last scan, by unit: files whose names give no domain

	// Symlinks to targets outside the directory: units by domain. No event comes
	// when such a target changes.
	linksMu sync.Mutex
	links   map[string][]string
}

func newKeyDirectory(options Options) *keyDirectory {
	return &keyDirectory{Options: options, links: make(map[string][]string)}
}

// scan lists the directory and returns the units by domain, and which directory it was.
func (src *keyDirectory) scan() (units map[string][]string, root uint32, err error) {
	dir, root, err := src.open()
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	units = make(map[string][]string)
	err = src.list(dir, func(domain, unit string) { units[domain] = append(units[domain], unit) })
	return units, root, err
}

// open opens the directory, and says which one it is.
func (src *keyDirectory) open() (dir *os.File, root uint32, err error) {
	dir, err = os.OpenFile(src.Dir, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if err != nil {
		return nil, 0, src.failed(err)
	}
	if root, err = rootOf(int(dir.Fd()), ""); err != nil {
		dir.Close()
		return nil, 0, src.failed(err)
	}
	return dir, root, nil
}

// list calls found for each unit of the directory that belongs to a domain.
func (src *keyDirectory) list(dir *os.File, found func(domain, unit string)) error {
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
func (src *keyDirectory) failed(err error) error {
	err = fmt.Errorf("reading the key directory %s: %w", src.Dir, finding.ReadHint(err, src.Dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return finding.WithHint(err, "make the directory, or give another with --keys")
	case errors.Is(err, syscall.ENOTDIR):
		return finding.WithHint(err, "give the directory that has the keys")
	}
	return err
}

// unit returns the unit of an entry of the key directory, or "" for one that
// has nothing to do with keys. An entry whose name gives no domain is an invalid
// file or ignored.
func (src *keyDirectory) unit(name string, mode fs.FileMode) (domain, unit string) {
	delete(src.invalid, name)
	delete(src.invalid, name+"/")
	if strings.HasPrefix(name, ".") {
		return "", "" // temporary files, Kubernetes' ..data
	}
	file := filepath.Join(src.Dir, name)
	folder, err := src.isDir(name, mode)
	if err == nil && (!folder || named(name)) {
		// A folder with the name of a key is what Docker makes of a mount whose
		// source is missing; it is reported as an invalid file.
		c, ok, err := claimOf(name, src.Selectors)
		if err != nil {
			src.invalid[name] = []Problem{{File: file, Err: err}}
		}
		if err != nil || !ok {
			if err == nil {
				src.strays.note(name)
			}
			return "", ""
		}
		return c.domain, name
	}
	unit = name + "/"
	if domain, nameErr := Domain(name); nameErr == nil {
		return domain, unit
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", "" // a symlink that leads nowhere, or removed since the listing
	}
	if err != nil {
		src.invalid[unit] = []Problem{{File: file, Err: finding.ReadHint(err, file)}}
		return "", unit
	}
	// A folder whose name is not a domain should contain no key.
	entries, err := os.ReadDir(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		src.invalid[unit] = []Problem{{File: file, Err: finding.ReadHint(err, file)}}
	}
	for _, entry := range entries {
		switch _, ok, err := claimOf(unit+entry.Name(), src.Selectors); {
		case err != nil:
			src.invalid[unit] = append(src.invalid[unit],
				Problem{File: filepath.Join(file, entry.Name()), Err: err})
		case !ok:
			src.strays.note(unit + entry.Name())
		}
	}
	return "", unit
}

// isDir reports whether an entry is a folder or a symlink to one.
func (src *keyDirectory) isDir(name string, mode fs.FileMode) (bool, error) {
	if mode&fs.ModeSymlink == 0 {
		return mode.IsDir(), nil
	}
	info, err := os.Stat(filepath.Join(src.Dir, name))
	switch {
	case err != nil && claims(name, src.Selectors):
		return false, nil // reported as an invalid file
	}
	return err == nil && info.IsDir(), err
}

// snapshot returns a snapshot of domains that were not read yet, by their units.
func (src *keyDirectory) snapshot(units map[string][]string, root uint32) *Snapshot {
	s := &Snapshot{shards: newShards(), invalid: src.sortedInvalid()}
	for name, list := range units {
		s.shards.of(name)[name] = &DomainKeys{unread: &list, at: place{root: root}}
	}
	return s
}

func (src *keyDirectory) sortedInvalid() []Problem {
	all := []Problem{}
	for _, problems := range src.invalid {
		all = append(all, problems...)
	}
	slices.SortFunc(all, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	return all
}
