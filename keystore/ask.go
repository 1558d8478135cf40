package keystore

import (
	"context"
	"slices"
	"sync"
	"time"

	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// Asked is a key, what the DNS said of its record just now, and whether a
// signpostd that knows this and no more would sign with it.
type Asked struct {
	*Key
	Name   string      // of the record
	Record record.DKIM // that should be there
	Said   dns.KeyAnswer
	Signs  bool
}

// Ask asks the DNS about the keys of a domain, all at once, as a Checker does
// about new ones. It returns them with the oldest first.
func (s *Snapshot) Ask(ctx context.Context, resolver *dns.Resolver, name string, patience time.Duration) ([]Asked, error) {
	return s.AskBy(name, func(name string, want record.DKIM) dns.KeyAnswer {
		return resolver.KeyEverywhere(ctx, name, want, patience)
	})
}

// AskBy is Ask with another way to ask for the record at a name, which several
// goroutines use at once.
func (s *Snapshot) AskBy(name string, ask func(name string, want record.DKIM) dns.KeyAnswer) ([]Asked, error) {
	keys := s.Keys(name)
	all := make([]Asked, len(keys))
	for i, key := range keys {
		want, err := record.ForKey(key.Signer.Public())
		if err != nil {
			return nil, err
		}
		all[i] = Asked{Key: key, Name: record.Name(key.Selector, name), Record: want}
	}
	var asking sync.WaitGroup
	for i := range all {
		asking.Go(func() { all[i].Said = ask(all[i].Name, all[i].Record) })
	}
	asking.Wait()
	said := make(map[*Key]dns.Presence)
	for _, a := range all {
		said[a.Key] = a.Said.Presence
	}
	signing := s.Choose(name, func(key *Key) bool { return said[key] == dns.There })
	for i := range all {
		all[i].Signs = slices.Contains(signing, all[i].Key)
	}
	return all, nil
}

// Tell has the snapshot choose what signs by what was asked of the keys of one
// domain, as a signpostd does that starts now. The snapshot was loaded with
// CheckOn, and nobody else uses it.
func (s *Snapshot) Tell(name string, keys []Asked) {
	d := s.shards.find(name)
	if d == nil {
		return
	}
	known := s.state(name)
	for _, key := range keys {
		if key.Said.Presence != dns.Unknown && known.marks != nil {
			known = s.loader.learned(known, key.Key, key.Said.Presence)
		}
	}
	d.state.Store(known)
}
