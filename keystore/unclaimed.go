package keystore

import (
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Unclaimed returns the files below a key directory that contain a private key, but
// whose name matches no layout, so that signpostd ignores them. Files that cannot
// be read are left out.
func Unclaimed(dir string) []string {
	var found []string
	look := func(name string, entry os.DirEntry) {
		if strings.HasPrefix(entry.Name(), ".") || claims(name, Selectors{}) {
			return
		}
		if file := filepath.Join(dir, filepath.FromSlash(name)); holdsKey(file) {
			found = append(found, file)
		}
	}
	entries, _ := os.ReadDir(dir)
	for _, entry := range entries {
		if !entry.IsDir() {
			look(entry.Name(), entry)
			continue
		}
		if strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		inner, _ := os.ReadDir(filepath.Join(dir, entry.Name()))
		for _, file := range inner {
			look(path.Join(entry.Name(), file.Name()), file)
		}
	}
	return found
}

func holdsKey(name string) bool {
	info, err := os.Stat(name)
	if err != nil || !info.Mode().IsRegular() || info.Size() > maxFile {
		return false
	}
	file, err := os.Open(name)
	if err != nil {
		return false
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxFile))
	if err != nil || !strings.Contains(string(data), "-----BEGIN ") {
		return false
	}
	_, err = ParsePrivate(data)
	return err == nil
}
