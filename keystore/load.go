package keystore

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Options says where keys are and what is required of them.
type Options struct {
	Dir       string
	Selectors Selectors // of files named after their domain alone
	MinBits   int       // the least size of an RSA key; MinBits when lower
	// RequireSafe refuses key files that group or others can read or write.
	RequireSafe bool
	// RemovalGrace is how long a file must be absent before a Store drops its key;
	// DefaultRemovalGrace when 0.
	RemovalGrace time.Duration
	// Lookup is how long a message waits for a store that is reached over the network, when
	// its domain is not known yet; DefaultLookup when 0.
	Lookup time.Duration
	// Cache is the directory for an encrypted copy of the last good keys of such stores, and
	// CacheKey the file of its key; "" for none, and for one in that directory.
	Cache, CacheKey string
}

// Load reads the key directory. What is wrong with single files is in Problems; the
// error is for the directory itself.
func Load(options Options) (*Snapshot, error) {
	src := newKeyDirectory(options)
	units, root, err := src.scan()
	if err != nil {
		return nil, err
	}
	s := src.snapshot(units, root)
	eachShard(s.Len(), func(i int) {
		for name, d := range s.shards[i] {
			if read := src.read(name, *d.unread, d, nil); read.empty() {
				delete(s.shards[i], name)
			} else {
				s.shards[i][name] = read
			}
		}
	})
	return s, nil
}

// ListDomains returns the domains that the directory names keys for, in order,
// without reading those.
func ListDomains(options Options) ([]string, error) {
	units, _, err := newKeyDirectory(options).scan()
	return slices.Sorted(maps.Keys(units)), err
}

// eachShard calls work for each shard of n domains, several at once: most of the
// time goes into the arithmetic of parsing RSA keys.
func eachShard(n int, work func(i int)) {
	var next atomic.Int64
	some := func() {
		for i := next.Add(1) - 1; i < int64(len(shards{})); i = next.Add(1) - 1 {
			work(int(i))
		}
	}
	var running sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), n) - 1 {
		running.Go(some)
	}
	some()
	running.Wait()
}

// AnyDomain returns some domain with a usable key. It reads no more than it needs to.
// The error is ErrNoKey when there is no key, and says what is wrong when there
// are only unusable ones.
func AnyDomain(options Options) (string, error) {
	src := newKeyDirectory(options)
	units, _, err := src.scan()
	if err != nil {
		return "", err
	}
	problems := src.sortedInvalid()
	for name, list := range units {
		d := src.read(name, list, nil, nil)
		if len(d.keys) > 0 {
			return name, nil
		}
		problems = append(problems, d.Problems()...)
	}
	if len(problems) > 0 {
		return "", fmt.Errorf("no key in %s is usable: %w", options.Dir, problems[0])
	}
	return "", ErrNoKey
}
