package reports

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"signpost/keystore/finding"
)

// path reads what a path leads to, through symlinks as for any program. A pipe is read as well,
// for shells hand over the output of commands so.
func (s *search) path(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		return s.folder(path)
	}
	if mode := info.Mode(); !mode.IsRegular() && mode.Type() != fs.ModeNamedPipe {
		return finding.WithHint(fmt.Errorf("%s is neither a file nor a folder", path), "use - for stdin")
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, finding.ReadHint(err, path))
	}
	defer file.Close()
	s.opened(path, file, info)
	return nil
}

// opened reads a file that is open. An archive is read where it is, not in memory.
func (s *search) opened(path string, file *os.File, info fs.FileInfo) {
	if info.Mode().IsRegular() {
		s.file(path, io.NewSectionReader(file, 0, info.Size()))
	} else {
		s.file(path, file)
	}
}

// Files calls each for every file that Read opens of a path, with what a symlink leads to,
// until that returns false, and with an error for a folder in it that cannot be read. The error
// is for a path that cannot be opened.
func Files(path string, each func(path string, info fs.FileInfo, err error) bool) error {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		if err == nil {
			each(path, info, nil)
		}
		return err
	}
	return walk(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil && !each(path, nil, err) {
			return fs.SkipAll
		}
		if err != nil || !d.Type().IsRegular() && d.Type() != fs.ModeSymlink {
			return nil
		}
		info, err := os.Stat(path)
		if err == nil && info.Mode().IsRegular() && !each(path, info, nil) {
			return fs.SkipAll
		}
		return nil
	})
}

// walk goes through a folder and those below it, and tells of what is to be read.
func walk(root string, each fs.WalkDirFunc) error {
	m := &maildirs{}
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		dir, name := filepath.Dir(path), filepath.Base(path)
		hidden := strings.HasPrefix(name, ".") && path != root
		switch {
		case err != nil && path == root:
			return fmt.Errorf("reading %s: %w", path, finding.ReadHint(err, path))
		case errors.Is(err, fs.ErrNotExist):
			// It was moved while we looked, as is usual in a maildir.
		case err != nil:
			return each(path, d, err)
		case d.IsDir():
			within := name == "tmp" && isMaildir(dir)
			if path != root && (within || hidden && !isMaildir(path)) {
				return fs.SkipDir
			}
		case !hidden && !m.has(dir):
			return each(path, d, nil)
		}
		return nil
	})
}

// maildirs remembers the last answer of isMaildir.
type maildirs struct {
	dir string
	is  bool
}

func (m *maildirs) has(dir string) bool {
	if m.dir != dir {
		m.dir, m.is = dir, isMaildir(dir)
	}
	return m.is
}

// isMaildir reports whether a folder is a maildir, where messages are only in cur and new.
func isMaildir(dir string) bool {
	for _, name := range []string{"cur", "new"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}
