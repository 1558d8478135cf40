package postfix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	publicMode = 0o644
	secretMode = 0o600
)

// Write makes the change. A file is replaced by renaming a new one over it, and
// only when all the new ones are safe on disk, so an error leaves everything as
// it was. A file keeps its mode and owner; what is as wanted is not touched.
func (c *Change) Write() error {
	staged := make([]string, len(c.files))
	defer func() {
		for _, temp := range staged {
			if temp != "" {
				os.Remove(temp)
			}
		}
	}()
	for i, e := range c.files {
		if e.new == nil {
			continue
		}
		temp, err := e.stage()
		if err != nil {
			hint := "it takes a writable directory and, to keep the owner, root"
			if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
				hint = "nothing has been changed; make room and try again"
			}
			return fmt.Errorf("writing %s: %w; hint: %s", e.path, err, hint)
		}
		staged[i] = temp
	}
	for i, e := range c.files {
		if err := e.commit(staged[i]); err != nil {
			return err
		}
		staged[i] = ""
	}
	return nil
}

// stage writes the new content to a file beside the old one:
// open, chown, chmod, write, fsync, close.
func (e edit) stage() (temp string, err error) {
	file, err := os.CreateTemp(filepath.Dir(e.path), ".signpost-*")
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			file.Close()
			os.Remove(file.Name())
		}
	}()
	mode := fs.FileMode(publicMode)
	info, err := os.Stat(e.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	default:
		mode = info.Mode().Perm()
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && !e.secret {
			if err = file.Chown(int(owner.Uid), int(owner.Gid)); err != nil {
				return "", err
			}
		}
	}
	// The relay's password belongs to whoever runs this, root: Postfix opens
	// its maps before it gives up its privileges.
	if e.secret {
		mode = secretMode
	}
	if err = file.Chmod(mode); err != nil {
		return "", err
	}
	if _, err = file.Write(e.new); err != nil {
		return "", err
	}
	if err = file.Sync(); err != nil {
		return "", err
	}
	return file.Name(), file.Close()
}

// commit puts the staged file in place, or removes a file that is not wanted:
// rename or unlink, fsync of the directory.
func (e edit) commit(temp string) error {
	var err error
	if e.new == nil {
		err = os.Remove(e.path)
	} else {
		err = os.Rename(temp, e.path)
	}
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("replacing %s: %w; hint: mount the directory, not the single file", e.path, err)
	}
	if err != nil {
		return fmt.Errorf("replacing %s: %w; hint: it takes a writable directory", e.path, err)
	}
	dir, err := os.Open(filepath.Dir(e.path))
	if err != nil {
		return fmt.Errorf("syncing the directory of %s: %w", e.path, err)
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return fmt.Errorf("syncing the directory of %s: %w", e.path, err)
	}
	return nil
}
