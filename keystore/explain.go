package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"signpost/keystore/finding"
)

// explain says what to do about an error of the file system, without naming
// the path twice.
func explain(err error, shown string) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return finding.WithHint(err,
			"make the directory, or give another with --keys")
	}
	if errors.Is(err, syscall.EROFS) {
		return finding.WithHint(err,
			"do it where the directory can be written, such as outside of the container that has it read-only")
	}
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	owner := "its owner"
	if info, statErr := os.Stat(shown); statErr == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = fmt.Sprintf("its owner (user %d:%d, mode %04o)", sys.Uid, sys.Gid, info.Mode().Perm())
		}
	}
	return finding.WithHint(fmt.Errorf("%w for user %d", err, os.Geteuid()),
		"run this as %s, or give user %d access", owner, os.Geteuid())
}

// FileError adds to an error of the file system what to do about it. The path is
// the one that could not be used.
func FileError(err error, path string) error { return explain(err, path) }
