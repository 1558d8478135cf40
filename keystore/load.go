package keystore

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// Options says where keys are and what is required of them.
type Options struct {
	Dir       string
	Selectors Selectors // of files named after their domain alone
	MinBits   int       // the least size of an RSA key; MinBits when lower
	// RequireSafe refuses key files that group or others can read or write.
	RequireSafe bool
}

// Load reads the key directory. What is wrong with single files is in Problems; the
// error is for the directory itself.
func Load(options Options) (*Snapshot, error) {
	return load(options, nil, func(string) bool { return true })
}

// ListDomains returns the domains that the directory names keys for, in order,
// without reading those.
func ListDomains(options Options) ([]string, error) {
	units, err := newSource(options).scan()
	return slices.Sorted(maps.Keys(units)), err
}

// LoadDomains reads the keys of these domains alone.
func LoadDomains(options Options, domains []string) (*Snapshot, error) {
	wanted := make(map[string]bool)
	for _, name := range domains {
		wanted[name] = true
	}
	return load(options, nil, func(name string) bool { return wanted[name] })
}

// load reads the domains that are wanted. Files that have not changed since previous,
// which may be nil, are not read again, and a file that is no longer usable
// keeps its last good key.
func load(options Options, previous *Snapshot, wanted func(domain string) bool) (*Snapshot, error) {
	src := newSource(options)
	units, err := src.scan()
	if err != nil {
		return nil, err
	}
	maps.DeleteFunc(units, func(name string, _ []string) bool { return !wanted(name) })
	s := src.snapshot(units)
	if previous != nil {
		// Keys whose files have just gone stay for the grace period.
		for name, d := range previous.shards.all() {
			if s.shards.find(name) == nil && len(d.files) > 0 {
				s.shards.of(name)[name] = &DomainKeys{unread: new([]string)}
			}
		}
	}
	eachShard(s.Len(), func(i int) {
		for name, d := range s.shards[i] {
			var before *DomainKeys
			if previous != nil {
				before = previous.shards.find(name)
			}
			if read := src.read(name, *d.unread, before); read.empty() {
				delete(s.shards[i], name)
			} else {
				s.shards[i][name] = read
			}
		}
	})
	return s, nil
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
	src := newSource(options)
	units, err := src.scan()
	if err != nil {
		return "", err
	}
	problems := src.sortedInvalid()
	for name, list := range units {
		d := src.read(name, list, nil)
		if len(d.keys) > 0 {
			return name, nil
		}
		problems = append(problems, d.problems()...)
	}
	if len(problems) > 0 {
		return "", fmt.Errorf("no key in %s is usable: %w", options.Dir, problems[0])
	}
	return "", ErrNoKey
}
