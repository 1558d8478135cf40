// Package place is where signpost makes, imports and archives keys: a key directory, a
// store that is reached over the network, or several of them.
package place

import (
	"context"
	"time"

	"signpost/keystore"
)

// Place is where keys are. Domains are A-labels, lower case. Several goroutines use it at
// once, once the keys are loaded.
type Place interface {
	// Name is the place for people: a directory, or a URL without passwords.
	Name() string

	// Load reads the keys of these domains, and perhaps of others; of all without any.
	Load(ctx context.Context, domains ...string) (*keystore.Snapshot, error)

	// Domains returns the domains that there are keys for, in order, without reading those.
	Domains(ctx context.Context) ([]string, error)

	// Any returns some domain with a usable key. It reads no more than it needs to. The
	// error is keystore.ErrNoKey when there is no key, and says what is wrong when there are
	// only unusable ones.
	Any(ctx context.Context) (string, error)

	// Where is where Install puts a key, for people, and whether something has its name
	// there, as far as that is known without asking a store.
	Where(domain, selector string) (name string, taken bool)

	// Make makes a key. It never overwrites: the error is fs.ErrExist when there is one
	// of that name. A record that cannot be written beside it is in RecordErr.
	Make(ctx context.Context, order keystore.Order) (keystore.Made, error)

	// Install puts in a private key, as keystore.ParsePrivate reads it, with the time when it
	// was made. It returns where it is now. The error is fs.ErrExist when there is one of
	// that name.
	Install(ctx context.Context, domain, selector string, key []byte, made time.Time) (string, error)

	// Retire takes a key that was loaded out of use and keeps it, where no program signs
	// with it. It returns where; "" where it is in use still.
	Retire(ctx context.Context, key *keystore.Key) (string, error)

	// Select has other programs that share a store sign with a key of a domain, in place of
	// one of its type. It is for a key that signpostd signs with.
	Select(ctx context.Context, domain, selector string) error

	// Secret returns the private key of one that was loaded, as keystore.ParsePrivate reads
	// it. Who gets it wipes it.
	Secret(ctx context.Context, key *keystore.Key) ([]byte, error)

	// Used returns what has the name of a key.
	Used(ctx context.Context, domain, selector string) (Use, error)

	// NotesName is where the notes of a domain are, for people.
	NotesName(domain string) string

	// Notes returns what WriteNotes keeps of a domain, and its revision; nothing, with its
	// own revision, where there are none.
	Notes(ctx context.Context, domain string) (notes []byte, revision string, err error)

	// WriteNotes replaces the notes of a domain, or removes them where they are empty, if
	// the revision is theirs still, and returns the new one. Else the error is
	// keystore.ErrConflict.
	WriteNotes(ctx context.Context, domain string, notes []byte, revision string) (string, error)
}

// Use is what has the name of a key.
type Use int

// The uses of a name.
const (
	Free     Use = iota // nothing, as far as the place remembers
	Present             // a key, usable or not
	Archived            // a key that was retired
)
