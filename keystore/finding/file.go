package finding

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// FileHint adds to an error of the file system what to do about it. The path is the
// one that could not be used; the error no longer names it.
func FileHint(err error, path string) error { return fileHint(err, path, unix.R_OK|unix.W_OK) }

// ReadHint is FileHint for one that could not be read.
func ReadHint(err error, path string) error { return fileHint(err, path, unix.R_OK) }

func fileHint(err error, path string, access uint32) error {
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
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return WithHint(err, "make room on the file system of %s", path)
	}
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
		access |= unix.X_OK
	}
	if unix.Faccessat(unix.AT_FDCWD, path, access, unix.AT_EACCESS) == nil {
		// Landlock decides when a file is opened; access(2) knows only its mode.
		return WithHint(fmt.Errorf("%w, though its mode allows it", err), "signpostd is confined to the "+
			"directories that it found when it started: restart it, or look for SELinux or AppArmor")
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
