package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

// Install puts a private key, as ParsePrivate reads it, into the key directory
// dir as <domain>/<selector>.private, with the time given, which says how old
// the key is. It returns the path, and an error that is fs.ErrExist when there
// is a file of that name: no file is ever overwritten, and none is half
// written. The directories are made where they are missing.
//
// When run by root, the files belong to the owner of dir, so that a signpostd
// that runs as that user can read them; in a directory of root, to that of the keys
// that are there, or of the domain's. The mode is 0400, or 0440 in a directory of root that is closed to all
// but a group.
func Install(dir, domain, selector string, data []byte, modTime time.Time) (string, error) {
	name := filepath.Join(dir, domain, selector+".private")
	return name, install(dir, name, data, modTime)
}

// install makes a key file in the key directory dir or in a folder of it.
func install(dir, name string, data []byte, modTime time.Time) error {
	fail := func(err error) error {
		return fmt.Errorf("writing key %s: %w", name, finding.FileHint(err, existing(filepath.Dir(name))))
	}
	if err := makeDir(filepath.Dir(name)); err != nil {
		return fail(err)
	}
	access, err := accessOf(dir, name)
	if err != nil {
		return fail(err)
	}
	created, err := atomicfile.Create(name, data, access.mode, func(file *os.File) error {
		return errors.Join(access.give(file), os.Chtimes(file.Name(), modTime, modTime))
	})
	if err != nil {
		return fail(err)
	}
	if !created {
		return finding.WithHint(fmt.Errorf("writing key %s: %w", name, fs.ErrExist),
			"keys are never overwritten, move it away first")
	}
	return nil
}

// makeDir makes a directory and its missing parents. Each belongs to the owner of its
// parent, and has no permission that the parent lacks.
func makeDir(dir string) error {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return &fs.PathError{Op: "mkdir", Path: dir, Err: syscall.ENOTDIR}
	} else if err == nil {
		return nil
	}
	above := filepath.Dir(dir)
	if above != dir {
		if err := makeDir(above); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil // another process was first
		}
		return err
	}
	access, err := accessIn(above)
	if err != nil {
		return err
	}
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Chmod(access.dirMode), access.give(opened), opened.Close())
}

// existing returns dir, or the nearest directory above it that is there.
func existing(dir string) string {
	for {
		if _, err := os.Stat(dir); err == nil || filepath.Dir(dir) == dir {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// access is the owner and mode of new files in a directory.
type access struct {
	mode     fs.FileMode // of key files
	dirMode  fs.FileMode
	uid, gid int // -1 to leave the owner as it is, if this is not run by root
}

func (a access) give(file *os.File) error {
	if a.uid < 0 {
		return nil
	}
	return file.Chown(a.uid, a.gid)
}

// accessOf is that of a new file of the key directory dir: where nobody is known that its
// keys are for, there may be keys of the domain.
func accessOf(dir, name string) (access, error) {
	a, err := accessIn(dir)
	if folder := filepath.Dir(name); err == nil && a.uid == 0 && a.mode == 0o400 && folder != dir {
		return accessIn(folder)
	}
	return a, err
}

// accessIn derives it from the directory. A directory of root and a group that others
// cannot enter is for programs of that group, so they may read new keys too: with
// 0400 only root could.
func accessIn(dir string) (access, error) {
	a := access{mode: 0o400, dirMode: 0o755, uid: -1, gid: -1}
	info, err := os.Stat(dir)
	if err != nil {
		return a, err
	}
	a.dirMode = info.Mode().Perm()&0o755 | 0o700
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 {
		return a, nil
	}
	a.uid, a.gid = int(sys.Uid), int(sys.Gid)
	if sys.Uid != 0 {
		return a, nil
	}
	if mode := info.Mode().Perm(); sys.Gid != 0 && mode&0o050 == 0o050 && mode&0o007 == 0 {
		a.mode = 0o440
		return a, nil
	}
	uid, gid, err := ownerOfKeys(dir)
	if uid >= 0 {
		a.uid, a.gid = uid, gid
	}
	return a, err
}

// ownerOfKeys returns who owns the keys in a directory of root, as boky/postfix leaves it,
// whose OpenDKIM is another user; -1 if they have no owner in common, or root is.
func ownerOfKeys(dir string) (uid, gid int, err error) {
	entries, err := os.ReadDir(dir)
	uid, gid = -1, -1
	for _, entry := range entries {
		if ext := filepath.Ext(entry.Name()); ext != ".private" && ext != ".key" {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return -1, -1, err
		}
		sys, ok := info.Sys().(*syscall.Stat_t)
		if !ok || sys.Uid == 0 || uid >= 0 && (uid != int(sys.Uid) || gid != int(sys.Gid)) {
			return -1, -1, nil
		}
		uid, gid = int(sys.Uid), int(sys.Gid)
	}
	return uid, gid, err
}
