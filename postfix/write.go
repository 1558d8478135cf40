package postfix

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

const (
	publicMode = 0o644
	secretMode = 0o600
)

// Write makes the change. A file is replaced by renaming a new one over it, and
// only when all the new ones are safe on disk, so an error leaves everything as
// it was. A file keeps its mode and owner; what is as wanted is not touched. It is an
// error when somebody has changed a file since the change was worked out.
func (c *Change) Write() error {
	staged := make([]*atomicfile.Staged, len(c.files))
	for i, e := range c.files {
		if err := e.stillOld(); err != nil {
			return err
		}
		if e.new == nil {
			continue
		}
		var err error
		if staged[i], err = e.stage(); err != nil {
			err = fmt.Errorf("writing %s: %w", e.path, err)
			if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
				return finding.WithHint(err, "nothing has been changed; make room and try again")
			}
			return finding.WithHint(err, "it takes a writable directory and, to keep the owner, root")
		}
		defer staged[i].Discard()
	}
	for i, e := range c.files {
		if err := e.commit(staged[i]); err != nil {
			return err
		}
		c.files[i].written = true
	}
	return nil
}

// stillOld makes sure that a file is as it was read.
func (e edit) stillOld() error {
	now, err := readFile(e.path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if (err != nil) != (e.old == nil) || !bytes.Equal(now, e.old) {
		return finding.WithHint(fmt.Errorf("%s was changed by somebody else in the meantime", e.path),
			"look at it, and do this again")
	}
	return nil
}

// stage writes the new content to a hidden file beside the old one, with the
// mode and the owner of that.
func (e edit) stage() (*atomicfile.Staged, error) {
	// The relay's password belongs to whoever runs this, root: Postfix opens
	// its maps before it gives up its privileges.
	mode, adjust := fs.FileMode(secretMode), (func(*os.File) error)(nil)
	if !e.secret {
		var err error
		if mode, adjust, err = atomicfile.Like(e.path, publicMode); err != nil {
			return nil, err
		}
	}
	return atomicfile.Stage(e.path, mode, adjust, func(w *bufio.Writer) { w.Write(e.new) })
}

// commit puts the staged file in place, or removes a file that is not wanted.
func (e edit) commit(staged *atomicfile.Staged) error {
	var err error
	if staged != nil {
		err = staged.Commit()
	} else {
		err = errors.Join(os.Remove(e.path), atomicfile.SyncDir(filepath.Dir(e.path)))
	}
	if err == nil {
		return nil
	}
	err = fmt.Errorf("replacing %s: %w", e.path, err)
	if errors.Is(err, syscall.EBUSY) {
		return finding.WithHint(err, "mount the directory, not the single file")
	}
	return finding.WithHint(err, "it takes a writable directory")
}
