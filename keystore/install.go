package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Install puts a private key, as ParsePrivate reads it, into the key directory
// dir as <domain>/<selector>.private, with mode 0400 and the time given, which
// says how old the key is. It returns the path, and an error that is
// fs.ErrExist when there is a file of that name: no file is ever overwritten,
// and none is half written. The directories are made where they are missing.
// Run by root, what is made belongs to the owner of dir, so that a signpostd
// that runs as that user can read it.
func Install(dir, domain, selector string, data []byte, modTime time.Time) (string, error) {
	folder := filepath.Join(dir, domain)
	name := filepath.Join(folder, selector+".private")
	fail := func(err error) (string, error) {
		return name, fmt.Errorf("writing key %s: %w", name, explain(err, folder))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fail(err)
	}
	give, err := ownerOf(dir)
	if err != nil {
		return fail(err)
	}
	switch err := os.Mkdir(folder, 0o755); {
	case err == nil:
		err = give(folder)
		if err != nil {
			return fail(err)
		}
	case !errors.Is(err, fs.ErrExist):
		return fail(err)
	}
	created, err := create(name, data, 0o400, func(file *os.File) error {
		return errors.Join(give(file.Name()), os.Chtimes(file.Name(), modTime, modTime))
	})
	if err != nil {
		return fail(err)
	}
	if !created {
		return name, fmt.Errorf("writing key %s: %w; hint: keys are never overwritten, move it away first", name, fs.ErrExist)
	}
	return name, nil
}

// ownerOf returns what gives a file to the owner of dir, where we may do that
// and it is somebody else.
func ownerOf(dir string) (func(name string) error, error) {
	info, err := os.Stat(dir)
	if err != nil {
		return nil, err
	}
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok || os.Geteuid() != 0 || sys.Uid == 0 && sys.Gid == 0 {
		return func(string) error { return nil }, nil
	}
	return func(name string) error { return os.Lchown(name, int(sys.Uid), int(sys.Gid)) }, nil
}
