package keystore

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// NotesFile is where signpost rotate keeps how far a rotation is, in the folder of the
// domain. The name is hidden from the layouts.
const NotesFile = ".rotation"

// maxNotes is far more than the keys of a domain take.
const maxNotes = 1 << 20

// ReadNotes returns what signpost rotate keeps of a domain in the key directory dir;
// nothing where there is none.
func ReadNotes(dir, domain string) ([]byte, error) {
	path := filepath.Join(dir, domain, NotesFile)
	data, err := regular.Read(path, maxNotes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, finding.ReadHint(err, path))
	}
	if len(data) == 0 {
		return nil, finding.WithHint(fmt.Errorf("reading %s: it is empty", path),
			"remove it, the rotation then goes on from what the DNS says")
	}
	return data, nil
}

// WriteNotes replaces what ReadNotes returned before, or removes it where notes is empty.
// The error is ErrConflict if it has changed since. Who may read the keys may read it.
func WriteNotes(dir, domain string, notes, before []byte) error {
	path := filepath.Join(dir, domain, NotesFile)
	err := makeDir(filepath.Dir(path))
	if err == nil {
		err = writeNotes(dir, path, domain, notes, before)
	}
	switch {
	case errors.Is(err, ErrConflict):
		return fmt.Errorf("writing %s: %w", path, err)
	case err != nil:
		return fmt.Errorf("writing %s: %w", path, finding.FileHint(err, existing(filepath.Dir(path))))
	}
	return nil
}

func writeNotes(dir, path, domain string, notes, before []byte) error {
	rights, err := accessIn(dir)
	if err != nil {
		return err
	}
	if len(before) == 0 && len(notes) > 0 {
		created, err := atomicfile.Create(path, notes, 0o644, rights.give)
		if err == nil && !created {
			err = ErrConflict
		}
		return err
	}
	// Two that replace the same notes wait for each other. Where the file system has no
	// such locks, a key is made only once all the same: its file is never overwritten.
	if folder, err := os.Open(filepath.Dir(path)); err == nil {
		defer folder.Close()
		_ = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX)
	}
	switch now, err := ReadNotes(dir, domain); {
	case err != nil:
		return err
	case !bytes.Equal(now, before):
		return ErrConflict
	case len(notes) > 0:
		return atomicfile.Replace(path, 0o644, rights.give, func(w *bufio.Writer) { w.Write(notes) })
	}
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// Notes returns what signpost rotate keeps of a domain.
func (s *Store) Notes(domain string) ([]byte, error) { return ReadNotes(s.source.Dir, domain) }
