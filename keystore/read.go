package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"signpost/keystore/finding"
)

// read reads the units of a domain, and those of what was known of it before,
// which may be nil. A file that has not changed is not opened.
func (src *source) read(domain string, units []string, previous *DomainKeys) *DomainKeys {
	now := time.Now()
	var linked []string
	defer func() { src.keepLinks(domain, linked) }()
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
	for _, unit := range src.units(previous) {
		if !slices.Contains(units, unit) {
			units = append(units, unit)
		}
	}
	for _, unit := range units {
		names := []string{unit}
		out := src.linksOut(filepath.Join(src.Dir, unit))
		if strings.HasSuffix(unit, "/") {
			var err error
			if names, err = src.inFolder(unit); err != nil {
				folder = src.folderFailed(unit, err, previous, &files)
				continue
			}
		}
		for _, name := range names {
			c, ok, err := claimOf(name, src.Selectors)
			path := filepath.Join(src.Dir, filepath.FromSlash(name))
			out = out || ok && name != unit && src.linksOut(path)
			switch {
			case err != nil:
				files = append(files, &file{Key: Key{Domain: domain, File: path}, err: err})
			case ok:
				if f := src.load(c, path, known(path), &src.recent); f != nil {
					files = append(files, f)
				}
			}
		}
		if out {
			linked = append(linked, unit)
		}
	}
	return newDomainKeys(withMissing(files, previous, now), folder, previous)
}

// units returns the units of a domain's keys; of nil none.
func (src *source) units(s *DomainKeys) (units []string) {
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
func (src *source) unitOf(path string) string {
	name := strings.TrimPrefix(path[len(filepath.Clean(src.Dir)):], "/")
	if folder, _, ok := strings.Cut(name, "/"); ok {
		return folder + "/"
	}
	return name
}

// inFolder returns the names of what is in a folder, by their path below the
// key directory. A folder that has gone is empty.
func (src *source) inFolder(unit string) (names []string, err error) {
	entries, err := os.ReadDir(filepath.Join(src.Dir, unit))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		names = append(names, unit+entry.Name())
	}
	return names, err
}

// folderFailed keeps what was known of a domain's folder that cannot be read.
func (src *source) folderFailed(
	unit string, err error, previous *DomainKeys, files *[]*file,
) *Problem {
	shown := filepath.Join(src.Dir, unit)
	p := &Problem{File: shown, Err: finding.FileHint(err, shown)}
	p.Domain, _ = Domain(strings.TrimSuffix(unit, "/"))
	if previous != nil {
		for _, f := range previous.files {
			if src.unitOf(f.File) == unit {
				*files = append(*files, f)
				p.InForce = true
			}
		}
	}
	return p
}

// withMissing adds the files that were there a moment ago.
func withMissing(files []*file, previous *DomainKeys, now time.Time) []*file {
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

// unchanged reports whether a unit is as it was when it was last read.
func (src *source) unchanged(known *DomainKeys, unit string) bool {
	names := []string{unit}
	if strings.HasSuffix(unit, "/") {
		var err error
		if names, err = src.inFolder(unit); err != nil {
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
func (src *source) domainOf(unit string) (string, bool) {
	if folder, ok := strings.CutSuffix(unit, "/"); ok {
		domain, err := Domain(folder)
		return domain, err == nil
	}
	c, ok, err := claimOf(unit, src.Selectors)
	return c.domain, ok && err == nil
}
