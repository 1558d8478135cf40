// Package atomicfile writes files that are whole whenever somebody looks at
// them: the content goes to a hidden file in the same directory, is synced, and
// only then gets its name. It knows nothing of keys or of Postfix, so every
// package may import it.
package atomicfile

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Create writes a new file, and reports false where there is one already, which
// it leaves alone:
//
//	open(O_EXCL) of a hidden name, write, adjust, fsync, close
//	link to the name, which fails if that exists, unlink the hidden name
//	fsync of the directory
//
// adjust, which may be nil, sets what else belongs to the file, such as its
// owner.
func Create(name string, data []byte, mode fs.FileMode, adjust func(*os.File) error) (created bool, err error) {
	if _, err := os.Lstat(name); err == nil {
		return false, nil
	}
	staged, err := Stage(name, mode, adjust, func(w *bufio.Writer) { w.Write(data) })
	if err != nil {
		return false, err
	}
	defer staged.Discard()
	switch err := os.Link(staged.temp, name); {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		// Not every file system has links. Then the name is taken first, and a
		// reader may see the file for a moment before it is whole.
		return createInPlace(name, data, mode, adjust)
	}
	return true, SyncDir(filepath.Dir(name))
}

func createInPlace(name string, data []byte, mode fs.FileMode, adjust func(*os.File) error) (created bool, err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := fill(file, mode, adjust, func(w *bufio.Writer) { w.Write(data) }); err != nil {
		os.Remove(name) // ours, and not whole
		return false, err
	}
	return true, SyncDir(filepath.Dir(name))
}

// Replace writes a file in place of the one that has the name, if there is one.
// write need not check for errors: the first stays with the writer.
func Replace(name string, mode fs.FileMode, adjust func(*os.File) error, write func(*bufio.Writer)) error {
	staged, err := Stage(name, mode, adjust, write)
	if err != nil {
		return err
	}
	defer staged.Discard()
	return staged.Commit()
}

// Like returns the mode of a file, and what gives another its owner; where there is no such
// file, the mode that is given, and nothing.
func Like(name string, mode fs.FileMode) (fs.FileMode, func(*os.File) error, error) {
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return mode, nil, nil
	}
	if err != nil {
		return 0, nil, err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Mode().Perm(), nil, nil
	}
	return info.Mode().Perm(), func(file *os.File) error { return file.Chown(int(owner.Uid), int(owner.Gid)) }, nil
}

// Staged is the new content of a file, on disk under a hidden name. Several
// files are replaced together by staging all before the first Commit.
type Staged struct {
	temp, name string
}

// Stage does what Replace does before the rename:
//
//	open(O_EXCL) of a hidden name, write, adjust, fsync, close
//
// Discard must be called afterwards, also after Commit.
func Stage(name string, mode fs.FileMode, adjust func(*os.File) error, write func(*bufio.Writer)) (*Staged, error) {
	temp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return nil, err
	}
	if err := fill(temp, mode, adjust, write); err != nil {
		os.Remove(temp.Name())
		return nil, err
	}
	return &Staged{temp: temp.Name(), name: name}, nil
}

// Commit gives the file its name: rename, fsync of the directory.
func (s *Staged) Commit() error {
	if err := os.Rename(s.temp, s.name); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(s.name))
}

// Discard removes what was staged and not committed.
func (s *Staged) Discard() { os.Remove(s.temp) }

// fill writes a new file and closes it.
func fill(file *os.File, mode fs.FileMode, adjust func(*os.File) error, write func(*bufio.Writer)) error {
	w := bufio.NewWriter(file)
	write(w)
	err := errors.Join(w.Flush(), file.Chmod(mode))
	if adjust != nil {
		err = errors.Join(err, adjust(file))
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	return errors.Join(file.Sync(), file.Close())
}

// SyncDir makes the names in a directory safe, after a rename or an unlink.
func SyncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
