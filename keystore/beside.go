package keystore

import (
	"bufio"
	"fmt"
	"path/filepath"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

// WriteBeside writes a file into the folder of a domain in the key directory dir,
// atomically in place of one of that name. The folder is made if it is missing. Who
// may read the keys may read the file.
func WriteBeside(dir, domain, name string, write func(*bufio.Writer)) error {
	path := filepath.Join(dir, domain, name)
	err := makeDir(filepath.Dir(path))
	var rights access
	if err == nil {
		rights, err = accessIn(dir)
	}
	if err == nil {
		err = atomicfile.Replace(path, 0o644, rights.give, write)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, finding.FileHint(err, existing(filepath.Dir(path))))
	}
	return nil
}
