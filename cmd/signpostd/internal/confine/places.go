package confine

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// KeyPlaces returns what must be readable for the keys of a directory to be read again
// however they are changed. A rule of Landlock holds for the directory itself, whatever
// its name becomes, and not for another that takes its place. So these are
//
//   - the directory, and the one it is in, where another may take its place
//   - of each symlink on the way to it or in it, the directory of its target, where the
//     next target will be: a release, ..data of Kubernetes, the archive of certbot
//
// but no directory that is shared by many programs, such as /etc. There it is the
// directory or file alone, and what takes its place cannot be read.
func KeyPlaces(dir string) []string {
	s := newSearch()
	s.follow(dir)
	root := real(dir)
	s.found[root] = true
	s.around(root)
	for _, entry := range entries(dir) {
		path := filepath.Join(dir, entry.Name())
		folder := entry.IsDir()
		if entry.Type()&fs.ModeSymlink != 0 {
			s.follow(path)
			folder, _ = isDir(path)
		}
		if !folder {
			continue
		}
		for _, inner := range entries(path) {
			if inner.Type()&fs.ModeSymlink != 0 {
				s.follow(filepath.Join(path, inner.Name()))
			}
		}
	}
	return s.places()
}

// FilePlaces returns the same for single files.
func FilePlaces(files ...string) []string {
	s := newSearch()
	for _, file := range files {
		s.follow(file)
		s.found[real(file)] = true
	}
	return s.places()
}

// real returns the absolute path without symlinks, as far as it is there.
func real(path string) string {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// entries returns those of a directory, in no order; none of what is no directory.
func entries(dir string) []fs.DirEntry {
	opened, err := os.Open(dir)
	if err != nil {
		return nil
	}
	defer opened.Close()
	list, _ := opened.ReadDir(-1) // what could be read, at an error
	return list
}

// search looks for symlinks and where they lead.
type search struct {
	found    map[string]bool
	followed map[string]bool // paths
}

func newSearch() *search {
	return &search{found: make(map[string]bool), followed: make(map[string]bool)}
}

// follow finds the symlinks on the way of a path, and of their targets.
func (s *search) follow(path string) {
	path, err := filepath.Abs(path)
	if err != nil || s.followed[path] || path == "/" {
		return
	}
	s.followed[path] = true
	s.follow(filepath.Dir(path))
	target, err := os.Readlink(path)
	if err != nil {
		return // no symlink
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(path), target)
	}
	s.follow(target)
	// A target that is not there yet will be beside where it points.
	if dir, err := filepath.EvalSymlinks(filepath.Dir(target)); err == nil {
		s.around(filepath.Join(dir, filepath.Base(target)))
	}
}

// around keeps the directory of a path without symlinks, or, where that is shared, the
// path itself unless that is shared too.
func (s *search) around(path string) {
	if dir := filepath.Dir(path); !Shared(dir) {
		s.found[dir] = true
	} else if dir, there := isDir(path); there && !(dir && Shared(path)) {
		s.found[path] = true
	}
}

// places returns what was found, in order, without what is in a directory that was found.
func (s *search) places() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(s.found)), func(path string) bool {
		for dir := filepath.Dir(path); dir != path; path, dir = dir, filepath.Dir(dir) {
			if s.found[dir] {
				return true
			}
		}
		return false
	})
}

// Shared reports whether a directory has things of many programs, or of a person.
func Shared(dir string) bool {
	dir = real(dir)
	names := strings.Split(strings.Trim(dir, "/"), "/")
	switch len(names) {
	case 1:
		return true // "/", /etc, /data
	case 2:
		return slices.Contains([]string{"var", "usr", "home", "proc", "sys", "dev"}, names[0]) ||
			slices.Contains([]string{"/etc/ssl", "/etc/pki", "/etc/postfix", "/run/user"}, dir)
	}
	return dir == "/var/spool/postfix" || names[0] == "proc"
}
