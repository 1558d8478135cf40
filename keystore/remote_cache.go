package keystore

import (
	"context"
	"time"

	"signpost/keystore/finding"
)

// loadCache puts in force what the local copy has of keys that were not read yet, the first
// time that it is called. What the store says of them counts when it is read again.
func (r *Remote) loadCache() {
	if r.cache == nil || r.copied.Swap(true) {
		return
	}
	all, written, err := r.cache.load(&r.recent)
	if err != nil {
		r.log.Error("no key from the local copy", finding.Attr(err))
		return
	}
	var changes []change
	for name, d := range all {
		was := r.Snapshot().shards.find(name)
		if was == nil && r.listed.Load() && !r.noList.Load() || was != nil && was.unread == nil {
			continue // the store says otherwise
		}
		changes = append(changes, change{name, was, d})
	}
	r.replace(changes, nil)
	if len(changes) > 0 {
		r.log.Warn("keys from the local copy, for the store has not given them yet", "keys", r.name,
			"domains", len(changes), "written", written.UTC().Format(time.RFC3339))
	}
}

// How long a change to the keys waits to be written to the local copy with others, and how
// many times longer than writing takes nothing is written.
const (
	cacheSoon = 10 * time.Second
	cacheIdle = 50
)

// keepCache keeps the local copy up to date until ctx ends, once all keys were read.
func (r *Remote) keepCache(ctx context.Context) {
	if r.cache == nil {
		return
	}
	written, failed := int64(-1), ""
	save := func() (took time.Duration) {
		start, revision := time.Now(), r.Revision()
		if !r.loaded.Load() || revision == written {
			return 0
		}
		err := r.cache.save(r.Snapshot())
		text := ""
		if err == nil {
			written = revision
		} else {
			text = finding.Text(err)
		}
		if err != nil && text != failed {
			r.log.Error("cannot write the local copy of the keys", "keys", r.name, finding.Attr(err))
		}
		failed = text
		return time.Since(start)
	}
	for wait := time.Second; ; wait = max(cacheSoon, cacheIdle*save()) {
		select {
		case <-ctx.Done():
			save()
			return
		case <-time.After(wait):
		}
	}
}
