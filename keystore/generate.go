package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/regular"
)

// Generated is a key in the flat layout.
type Generated struct {
	File   string // of the private key
	Record record.DKIM
	New    bool // it was made now
	// RecordErr says why the record is not beside it. The key counts all the same.
	RecordErr error
}

// Generate makes an RSA key of 2048 bits for domain, as <domain>.private with
// its record in <domain>.txt beside it. A file that is there is never
// overwritten: then only a missing record is written. Any number of processes
// may do this at once; the one that comes first makes the key.
func Generate(dir, domain, selector string) (Generated, error) {
	g := Generated{File: filepath.Join(dir, domain+".private")}
	fail := func(doing, name string, err error) (Generated, error) {
		return g, fmt.Errorf("%s %s: %w", doing, name, finding.FileHint(err, dir))
	}
	switch _, err := os.Lstat(g.File); {
	case errors.Is(err, fs.ErrNotExist):
		key, err := newKey(RSA, WeakBits)
		if err != nil {
			return fail("making key", g.File, err)
		}
		block, err := encode(key)
		if err != nil {
			return fail("making key", g.File, err)
		}
		if g.New, err = atomicfile.Create(g.File, block, 0o400, nil); err != nil {
			return fail("writing key", g.File, err)
		}
	case err != nil:
		return fail("looking for key", g.File, err)
	}

	// From the file, not from memory: another process may have been first.
	data, err := regular.Read(g.File, maxFile)
	if err != nil {
		return g, fmt.Errorf("reading key %s: %w", g.File, finding.FileHint(err, g.File))
	}
	signer, err := ParsePrivate(data)
	if err != nil {
		return g, fmt.Errorf("reading key %s: %w", g.File, err)
	}
	if g.Record, err = record.ForKey(signer.Public()); err != nil {
		return g, fmt.Errorf("record of key %s: %w", g.File, err)
	}
	text := filepath.Join(dir, domain+".txt")
	if _, err := atomicfile.Create(text, []byte(g.Record.Genkey(selector, domain)), 0o644, nil); err != nil {
		_, g.RecordErr = fail("writing record", text, err)
	}
	return g, nil
}
