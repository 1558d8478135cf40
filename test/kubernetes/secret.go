package kubernetes

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// Mount brings a folder to what a Secret has, as the kubelet does: a new folder with all
// files, which ..data then leads to; links to the files that are new; and the links of
// those that are gone are removed after that, and the folder before.
func Mount(dir string, data map[string][]byte) error {
	before, _ := os.Readlink(filepath.Join(dir, "..data"))
	version, err := os.MkdirTemp(dir, "..2026_11_29_08_35_35.")
	if err != nil {
		return err
	}
	failed := []error{os.Chmod(version, 0o755)}
	for name, content := range data {
		failed = append(failed, os.WriteFile(filepath.Join(version, name), content, 0o444))
	}
	failed = append(failed, os.Symlink(filepath.Base(version), filepath.Join(dir, "..data_tmp")),
		os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	for name := range data {
		err := os.Symlink(filepath.Join("..data", name), filepath.Join(dir, name))
		if !errors.Is(err, os.ErrExist) {
			failed = append(failed, err)
		}
	}
	entries, err := os.ReadDir(dir)
	failed = append(failed, err)
	for _, entry := range entries {
		path := filepath.Join(dir, entry.Name())
		target, _ := os.Readlink(path)
		if _, still := data[entry.Name()]; !still && strings.HasPrefix(target, "..data/") {
			failed = append(failed, os.Remove(path))
		}
	}
	if before != "" {
		failed = append(failed, os.RemoveAll(filepath.Join(dir, before)))
	}
	return errors.Join(failed...)
}
