package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// explain says what to do about an error of the file system, without naming
// the path twice.
func explain(err error, shown string) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; hint: make the directory, or give another with --keys", err)
	}
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w; hint: do it where the directory can be written, such as outside of the container that has it read-only", err)
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
	return fmt.Errorf("%w for user %d; hint: run this as %s, or give user %d access", err, os.Geteuid(), owner, os.Geteuid())
}

// FileError adds to an error of the file system what to do about it. The path is
// the one that could not be used.
func FileError(err error, path string) error { return explain(err, path) }
