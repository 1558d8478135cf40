package place

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// maxKey bounds a key file.
const maxKey = 64 << 10

// directory is a key directory.
type directory struct{ options keystore.Options }

// Directory returns a key directory. It reads all keys, whichever are asked for.
func Directory(options keystore.Options) Place { return directory{options} }

func (d directory) Name() string { return d.options.Dir }

func (d directory) Load(context.Context, ...string) (*keystore.Snapshot, error) {
	return keystore.Load(d.options)
}

func (d directory) Domains(context.Context) ([]string, error) { return keystore.ListDomains(d.options) }

func (d directory) Any(context.Context) (string, error) { return keystore.AnyDomain(d.options) }

func (d directory) Where(domain, selector string) (string, bool) {
	name := filepath.Join(d.options.Dir, domain, selector+".private")
	_, err := os.Lstat(name)
	return name, err == nil
}

func (d directory) Make(_ context.Context, order keystore.Order) (keystore.Made, error) {
	return keystore.Make(d.options.Dir, order)
}

func (d directory) Install(
	_ context.Context, domain, selector string, key []byte, made time.Time,
) (string, error) {
	return keystore.Install(d.options.Dir, domain, selector, key, made)
}

func (d directory) Retire(_ context.Context, key *keystore.Key) (string, error) {
	to, err := keystore.Retire(d.options.Dir, key)
	if err != nil {
		if _, err := os.Lstat(key.File); err == nil {
			to = ""
		}
	}
	return to, err
}

// Select does nothing: who else signs with the files of a directory has its own
// configuration.
func (d directory) Select(context.Context, string, string) error { return nil }

func (d directory) Secret(_ context.Context, key *keystore.Key) ([]byte, error) {
	data, err := regular.Read(key.File, maxKey)
	if err != nil {
		return nil, fmt.Errorf("reading key %s: %w", key.File, finding.FileHint(err, key.File))
	}
	return data, sameKey(key, data)
}

// Used looks for files of the layout that Make writes, and for their records.
func (d directory) Used(_ context.Context, domain, selector string) (Use, error) {
	there := func(dir string) bool {
		return slices.ContainsFunc([]string{".private", ".key", ".txt"}, func(ending string) bool {
			_, err := os.Lstat(filepath.Join(dir, domain, selector+ending))
			return err == nil
		})
	}
	switch {
	case there(d.options.Dir):
		return Present, nil
	case there(filepath.Join(d.options.Dir, keystore.RetiredFolder)):
		return Archived, nil
	}
	return Free, nil
}

func (d directory) NotesName(domain string) string {
	return filepath.Join(d.options.Dir, domain, keystore.NotesFile)
}

// Notes has the notes themselves as their revision.
func (d directory) Notes(_ context.Context, domain string) ([]byte, string, error) {
	notes, err := keystore.ReadNotes(d.options.Dir, domain)
	return notes, string(notes), err
}

func (d directory) WriteNotes(_ context.Context, domain string, notes []byte, revision string) (string, error) {
	return string(notes), keystore.WriteNotes(d.options.Dir, domain, notes, []byte(revision))
}

// sameKey returns an error if data is another key than that. It wipes data then.
func sameKey(key *keystore.Key, data []byte) error {
	signer, err := keystore.ParsePrivate(data)
	if err == nil {
		there := &keystore.Key{Domain: key.Domain, Selector: key.Selector, Signer: signer}
		if key.Equal(there) {
			return nil
		}
		err = finding.WithHint(fmt.Errorf("key %s was replaced in the meantime", key.File), "do it again")
	}
	clear(data)
	return err
}
