package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

// RetiredFolder is where Retire puts keys, in the key directory.
const RetiredFolder = ".retired"

// Retire moves the file of a key, and the record beside it, to a folder that
// signpostd ignores: to .retired/<domain>/<selector>.private in the key directory,
// with a number when there is a key of that name. Nothing is overwritten. It
// returns where the key is now.
func Retire(dir string, key *Key) (string, error) {
	folder := filepath.Join(dir, RetiredFolder, key.Domain)
	target := filepath.Join(folder, key.Selector)
	fail := func(err error) (string, error) {
		return target + ".private", fmt.Errorf("moving key %s to %s.private: %w",
			key.File, target, finding.FileHint(err, existing(folder)))
	}
	if err := makeDir(folder); err != nil {
		return fail(err)
	}
	for n := 2; ; n++ {
		_, keyErr := os.Lstat(target + ".private")
		_, textErr := os.Lstat(target + ".txt")
		if keyErr != nil && textErr != nil {
			break
		}
		target = filepath.Join(folder, fmt.Sprintf("%s.%d", key.Selector, n))
	}
	// The key comes last: as long as it is there, another run goes on.
	if err := os.Rename(RecordFile(key.File), target+".txt"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := move(key.File, target+".private"); err != nil {
		return fail(err)
	}
	err := errors.Join(atomicfile.SyncDir(folder), atomicfile.SyncDir(filepath.Dir(key.File)))
	return target + ".private", err
}

// move renames a file. A symlink with a relative target gets the absolute one, for it
// would lead nowhere from another directory.
func move(from, to string) error {
	target, err := os.Readlink(from)
	if err != nil || filepath.IsAbs(target) {
		return os.Rename(from, to)
	}
	dir, err := filepath.Abs(filepath.Dir(from))
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err == nil {
		err = os.Symlink(filepath.Join(dir, target), to)
	}
	if err != nil {
		return err
	}
	return os.Remove(from)
}
