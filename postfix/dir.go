package postfix

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"signpost/keystore/finding"
)

// Dir is a configuration directory as it is on disk.
type Dir struct {
	Path string  // absolute
	Main *MainCF // empty when there is no main.cf
}

// Open reads main.cf of a configuration directory. A main.cf that is not there
// is an empty one: Debian writes none when it is installed without questions.
func Open(dir string) (*Dir, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("configuration directory %q: %w", dir, err)
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, finding.WithHint(fmt.Errorf("configuration directory: %w", err),
			"install Postfix, or name the directory that has main.cf")
	}
	if !info.IsDir() {
		return nil, finding.WithHint(fmt.Errorf("configuration directory %s: not a directory", path),
			"name the directory that has main.cf")
	}
	name := filepath.Join(path, "main.cf")
	data, err := readFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, finding.WithHint(fmt.Errorf("main.cf: %w", err), "run this as root")
	}
	main, err := ParseMain(name, data)
	if err != nil {
		return nil, err
	}
	return &Dir{Path: path, Main: main}, nil
}
