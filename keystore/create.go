package keystore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// create makes a file that is whole from the first moment it can be seen, and
// reports false where there is one already:
//
//	open(O_EXCL) of a hidden name, write, adjust, fsync, close
//	link to the name, which fails if that exists, unlink the hidden name
//	fsync of the directory
//
// adjust, which may be nil, sets what else belongs to the file.
func create(name string, data []byte, mode fs.FileMode, adjust func(*os.File) error) (created bool, err error) {
	if _, err := os.Lstat(name); err == nil {
		return false, nil
	}
	dir := filepath.Dir(name)
	temp, err := os.CreateTemp(dir, "."+filepath.Base(name)+".*")
	if err != nil {
		return false, err
	}
	defer os.Remove(temp.Name())
	if err := fill(temp, data, mode, adjust); err != nil {
		return false, err
	}
	switch err := os.Link(temp.Name(), name); {
	case errors.Is(err, fs.ErrExist):
		return false, nil
	case err != nil:
		// Not every file system has links. Then the name is taken first, and for
		// a moment the file is not whole, which a reader takes for broken.
		return createInPlace(name, data, mode, adjust)
	}
	return true, syncDir(dir)
}

func createInPlace(name string, data []byte, mode fs.FileMode, adjust func(*os.File) error) (created bool, err error) {
	file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := fill(file, data, mode, adjust); err != nil {
		os.Remove(name) // ours, and not whole
		return false, err
	}
	return true, syncDir(filepath.Dir(name))
}

// fill writes a new file and closes it.
func fill(file *os.File, data []byte, mode fs.FileMode, adjust func(*os.File) error) error {
	_, err := file.Write(data)
	err = errors.Join(err, file.Chmod(mode))
	if adjust != nil {
		err = errors.Join(err, adjust(file))
	}
	return errors.Join(err, file.Sync(), file.Close())
}

func syncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(opened.Sync(), opened.Close())
}
