package keystore

import (
	"context"
	"time"
)

// A Source is where keys come from: a directory, a store that is reached over the network,
// or several of them. What it shows follows them, and goes on with the last good keys where
// they fail.
type Source interface {
	// Name is the source for people: the key directory, or a URL without passwords.
	Name() string

	// Snapshot returns what is in force now.
	Snapshot() *Snapshot

	// Domain returns the keys of a domain, and reads them if that was not done yet. Only
	// callers that want the same domain wait for that.
	Domain(name string) *DomainKeys

	// Notes returns what signpost rotate keeps of a domain beside its keys; nothing where
	// there is none.
	Notes(domain string) ([]byte, error)

	// Observe has changed called whenever the keys of a domain have changed, with added
	// when one of them is new, and readAll when the keys of all domains have been
	// read, which may be now. It is called once, before Watch.
	Observe(changed func(domain string, added bool), readAll func())

	// Watch follows the source until ctx ends, and reads all of it anew every rescan.
	Watch(ctx context.Context, rescan time.Duration)

	// ReadAll reads all domains that were not read yet.
	ReadAll()

	// Reload reads what has changed. No key is dropped whose absence is not proven.
	Reload() error

	// Accept reads the source again for an operator: what it says now counts, even if it has
	// lost all keys or is another one than before.
	Accept() error

	// Reloads returns how often the source was read again since the start, and how often
	// that failed.
	Reloads() (reloads, failed int64)

	// Revision is a number that grows whenever the keys change, or some were read for the
	// first time.
	Revision() int64

	// Reading returns how many domains there are, and the keys of how many were not read yet.
	// A domain that several sources have counts in each.
	Reading() (domains, unread int)

	// Held returns which keys are held in force though they cannot be found.
	Held() Held

	// Answers returns how the stores answer that are reached over the network.
	Answers() []Answers
}
