package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"signpost/keystore/finding"
)

// read reads the units of a domain, and those of what was known of it before,
// which may be nil. A file that has not changed is not opened. One that is missing stays
// until that is proven. If nothing has changed, it returns what was known before.
func (src *keyDirectory) read(
	domain string, units []string, previous *DomainKeys, proof *proof,
) *DomainKeys {
	var linked, whole []string
	defer func() { src.keepLinks(domain, linked) }()
	var files []*file
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
	for _, unit := range src.units(previous) {
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	at, unseen := place{root: src.here()}, false
	for _, unit := range units {
		names := []string{unit}
		out := src.linksOut(filepath.Join(src.Dir, unit))
		if strings.HasSuffix(unit, "/") {
			var mount uint32
			var err error
			if names, mount, err = src.inFolder(unit); err != nil {
				files = append(files, src.folderFailed(domain, unit, err, previous)...)
				unseen, names = true, nil
			}
			if mount != 0 {
				whole = append(whole, unit)
				unseen = unseen || at.folder != 0 && at.folder != mount
				at.folder = mount
			}
		}
		for _, name := range names {
			c, ok, err := claimOf(name, src.Selectors)
			path := filepath.Join(src.Dir, filepath.FromSlash(name))
			out = out || ok && name != unit && src.linksOut(path)
			switch {
			case err != nil:
				f := &file{Key: Key{Domain: domain, File: path}, err: err}
				if before := known(path); before != nil && before.fails(err) {
					f = before
				}
				files = append(files, f)
			case ok:
				if f := src.load(c, path, known(path), &src.recent); f != nil {
					files = append(files, f)
				}
			case name != unit:
				src.strays.note(name)
			}
		}
		if out {
			linked = append(linked, unit)
		}
	}
	if at.root != src.here() || unseen && (previous == nil || previous.at.root != at.root) {
		at = place{} // where the files were seen is not certain
	} else if unseen {
		at = previous.at
	}
	files = src.keepMissing(files, whole, domain, previous, proof)
	return newDomainKeys(files, at, previous)
}

// units returns the units of a domain's keys; of nil none.
func (src *keyDirectory) units(s *DomainKeys) (units []string) {
	if s == nil {
		return nil
	}
	if s.unread != nil {
		return *s.unread
	}
	for _, f := range s.files {
		if unit := src.unitOf(f.File); !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	return units
}

// unitOf returns the unit of a path in the directory.
func (src *keyDirectory) unitOf(path string) string {
	folder, _, ok := strings.Cut(src.pathIn(path), "/")
	if ok {
		return folder + "/"
	}
	return folder
}

// path returns the path of a unit; that of a folder ends in a slash.
func (src *keyDirectory) path(unit string) string {
	path := filepath.Join(src.Dir, unit)
	if strings.HasSuffix(unit, "/") {
		path += "/"
	}
	return path
}

// pathIn returns a path in the directory without that of the directory, which in "." it
// does not have.
func (src *keyDirectory) pathIn(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, filepath.Clean(src.Dir)), "/")
}

// inFolder returns the names of what is in a folder, by their path below the
// key directory, and the mount that it is on: 0 for a folder that has gone.
func (src *keyDirectory) inFolder(unit string) (names []string, mount uint32, err error) {
	path := filepath.Join(src.Dir, unit)
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if absent(path) {
			return nil, 0, nil
		}
		return nil, 0, notFound()
	}
	if err != nil {
		return nil, 0, err
	}
	defer dir.Close()
	if mount, err = mountOf(int(dir.Fd()), ""); err != nil {
		return nil, 0, err
	}
	all, err := dir.Readdirnames(-1)
	slices.Sort(all)
	for i, name := range all {
		all[i] = unit + name
	}
	return all, mount, err
}

// folderFailed returns what there is of a domain's folder that cannot be read: what
// was known of it, and why it cannot.
func (src *keyDirectory) folderFailed(
	domain, unit string, err error, previous *DomainKeys,
) (files []*file) {
	path := src.path(unit)
	failed := &file{Key: Key{Domain: domain, File: path},
		err: finding.ReadHint(err, filepath.Clean(path))}
	if previous == nil {
		return []*file{failed}
	}
	for _, f := range previous.files {
		switch {
		case f.File == path && f.fails(failed.err):
			failed = f
		case f.File != path && src.unitOf(f.File) == unit:
			files = append(files, f)
		}
	}
	return append(files, failed)
}

// unchanged reports whether a unit is as it was when it was last read, in the same place.
func (src *keyDirectory) unchanged(known *DomainKeys, unit string, root uint32) bool {
	if known.at.root != root {
		return false
	}
	names := []string{unit}
	if strings.HasSuffix(unit, "/") {
		var mount uint32
		var err error
		if names, mount, err = src.inFolder(unit); err != nil || mount != known.at.folder {
			return false
		}
	}
	there := 0
	for _, name := range names {
		path := filepath.Join(src.Dir, filepath.FromSlash(name))
		i := slices.IndexFunc(known.files, func(f *file) bool { return f.File == path })
		if i < 0 {
			if claims(name, src.Selectors) {
				return false
			}
			continue
		}
		info, err := os.Stat(path)
		if err != nil {
			return false
		}
		if now, _ := stampOf(info, time.Now()); !known.files[i].unchanged(now) {
			return false
		}
		there++
	}
	for _, f := range known.files {
		if src.unitOf(f.File) == unit {
			there--
		}
	}
	return there == 0
}

// domainOf returns the domain of a unit by its name alone.
func (src *keyDirectory) domainOf(unit string) (string, bool) {
	if folder, ok := strings.CutSuffix(unit, "/"); ok {
		domain, err := Domain(folder)
		return domain, err == nil
	}
	c, ok, err := claimOf(unit, src.Selectors)
	return c.domain, ok && err == nil
}
