package keystore

import (
	"context"
	"errors"
	"time"
)

// A Backend is a store of keys that is reached over the network, such as Redis or Vault,
// with its layout. Domains are given and returned as A-labels, lower case. All calls end
// with their context, and several goroutines use it at once.
//
// An error is never "not there": it says that the store did not answer, or not wholly, or
// refused. An answer without error is whole. Errors name the store, not its passwords,
// and have a hint where there is something to do.
type Backend interface {
	// Name is the store for people and the log, as "redis://db.example:6379/0", without
	// passwords.
	Name() string

	// List calls found for every domain that the store names keys for, in any order. The
	// version changes whenever a key of the domain does; it is "" where the store does not
	// tell without reading the keys, and then they are read again in turn. The error is
	// ErrNoList, at once, where the store cannot be listed.
	List(ctx context.Context, found func(domain, version string)) error

	// Read returns the keys of domains, in their order: nothing for one that has none. It
	// takes as few round trips as the store allows.
	Read(ctx context.Context, domains []string) ([][]Entry, error)

	// Watch calls ready once what changes from then on is reported, and changed with the
	// domains whose keys may have changed; without any, all may have. It returns when ctx
	// ends or what is reported has gaps, and ErrNoWatch at once where the store reports
	// nothing.
	Watch(ctx context.Context, ready func(), changed func(domains ...string)) error

	// Add stores a key, in one step, under a name that is free: PEM with PKCS#8. The error is
	// fs.ErrExist where a key has it, whoever came first. It returns the place of the key,
	// as Entry has it.
	Add(ctx context.Context, domain, selector string, key []byte, made time.Time) (place string, err error)

	// Retire takes a key out of use and keeps it in a place that no program signs from,
	// which it returns. Only the key with that public half is: another one that took its
	// name in the meantime stays, with an error.
	Retire(ctx context.Context, key *Key) (place string, err error)

	// Notes returns what WriteNotes keeps of a domain, and its revision; nothing, with its
	// own revision, where there are none.
	Notes(ctx context.Context, domain string) (notes []byte, revision string, err error)

	// WriteNotes replaces the notes of a domain, or removes them where they are empty, if
	// the revision is theirs still. Else the error is ErrConflict.
	WriteNotes(ctx context.Context, domain string, notes []byte, revision string) error

	// Close ends its connections.
	Close() error
}

// Ignoring is a Backend that says what it ignores: entries whose names give no domain, as
// of the last List, a hundred at most.
type Ignoring interface{ Ignored() []string }

// Reaching is a Backend that says what it needs while signpostd runs with few rights.
type Reaching interface {
	// Ports are the TCP ports that it connects to; nil is for all, where they are told by
	// what it connects to, as by the nodes of a cluster.
	Ports() []uint16
	// Files are what it reads after the start: passwords, tokens, certificates.
	Files() []string
}

// Selecting is a Backend whose other users sign with the keys that it names, published or
// not.
type Selecting interface {
	// Select has them sign with that key of its type from now on. It is for the one that
	// signpostd signs with; where they have nothing to be told, it does nothing.
	Select(ctx context.Context, domain, selector string) error
}

// Archiving is a Backend that remembers the names of keys that were retired.
type Archiving interface {
	// Archived reports whether a key of that name was.
	Archived(ctx context.Context, domain, selector string) (bool, error)
}

// Entry is a key as a store has it.
type Entry struct {
	Selector string
	Place    string // for people, as "redis://db.example:6379/0: DKIM_PRIV_KEYS mail.example.org"
	// Data is the private key as ParsePrivate reads it. Who reads it wipes it.
	Data []byte
	Made time.Time // zero where the store does not tell
	// NotBefore and NotAfter are when it may sign; zero for always.
	NotBefore, NotAfter time.Time
	// Err says why there is a key and no data.
	Err error
}

// ErrNoWatch says that a store does not report changes.
var ErrNoWatch = errors.New("the store does not report changes")

// ErrNoList says that a store cannot be listed: then it is asked for every domain on first
// use.
var ErrNoList = errors.New("the store cannot be listed")

// ErrConflict says that somebody else has changed what was to be replaced.
var ErrConflict = errors.New("somebody else has changed it in the meantime")

// ErrNoAnswer says that whether there is a key is not known, for the store has not
// answered yet.
var ErrNoAnswer = errors.New("the key store does not answer")
