package finding

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// FileHint adds to an error of the file system what to do about it. The path is the
// one that could not be used; the error no longer names it.
func FileHint(err error, path string) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return WithHint(err,
			"make the directory, or give another")
	}
	if errors.Is(err, syscall.EROFS) {
		return WithHint(err,
			"do it where the directory can be written, such as outside of the container that has it read-only")
	}
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	owner := "its owner"
	if info, statErr := os.Stat(path); statErr == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = fmt.Sprintf("its owner (user %d:%d, mode %04o)", sys.Uid, sys.Gid, info.Mode().Perm())
		}
	}
	return WithHint(fmt.Errorf("%w for user %d", err, os.Geteuid()),
		"run this as %s, or give user %d access", owner, os.Geteuid())
}
