// Package regular reads files that must be regular ones. What has the name of such a
// file in a directory of others may be anything: opening a FIFO or a device can block
// or do something, and so can reading a file of /proc, which is regular and has a size
// of 0. It knows nothing of keys or of Postfix, so every package may import it.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"signpost/keystore/finding"
)

// Open opens a regular file, and returns what stat says of it. Only a file that has a
// size may be read.
func Open(path string) (*os.File, fs.FileInfo, error) {
	info, err := os.Stat(path)
	if err == nil {
		err = check(path, info)
	}
	if err != nil {
		return nil, nil, err
	}
	// It can be replaced in between, and then must not block.
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	if info, err = file.Stat(); err == nil {
		err = check(path, info)
	}
	if err != nil {
		file.Close()
		return nil, nil, err
	}
	return file, info, nil
}

// Read returns the content of a regular file of at most limit bytes.
func Read(path string, limit int64) ([]byte, error) {
	file, _, err := Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	data, _, err := ReadOpened(file, limit)
	return data, err
}

// ReadOpened is Read for a file that was opened without blocking, and returns what stat
// says of it too.
func ReadOpened(file *os.File, limit int64) ([]byte, fs.FileInfo, error) {
	info, err := file.Stat()
	if err == nil {
		err = check(file.Name(), info)
	}
	if err != nil || info.Size() == 0 {
		return nil, info, err
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = &fs.PathError{Op: "read", Path: file.Name(), Err: fmt.Errorf("it is larger than %d bytes", limit)}
	}
	return data, info, err
}

func check(path string, info fs.FileInfo) error {
	switch {
	case info.IsDir():
		return &fs.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	case !info.Mode().IsRegular():
		irregular := finding.WithHint(errors.New("it is not a regular file"), "remove it or rename it")
		return &fs.PathError{Op: "read", Path: path, Err: irregular}
	}
	return nil
}
