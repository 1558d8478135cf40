package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

// Retire moves the file of a key, and the record beside it, to a folder that
// signpostd ignores: to .retired/<domain>/<selector>.private in the key directory,
// with a number when there is a key of that name. Nothing is overwritten. It
// returns where the key is now.
func Retire(dir string, key *Key) (string, error) {
	folder := filepath.Join(dir, ".retired", key.Domain)
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
	text := strings.TrimSuffix(strings.TrimSuffix(key.File, ".private"), ".key") + ".txt"
	if err := os.Rename(text, target+".txt"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	if err := os.Rename(key.File, target+".private"); err != nil {
		return fail(err)
	}
	err := errors.Join(atomicfile.SyncDir(folder), atomicfile.SyncDir(filepath.Dir(key.File)))
	return target + ".private", err
}
