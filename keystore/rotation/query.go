package rotation

import (
	"cmp"
	"context"
	"sync"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/place"
	"signpost/keystore/record"
)

// Answered is a key as Decide has it, and what the DNS said of its record just now.
type Answered struct {
	Status
	Name   string      // of the record
	Record record.DKIM // that should be there
	Said   dns.KeyAnswer
}

// Asker asks the DNS about the record at a name. Several goroutines use it at once.
type Asker func(ctx context.Context, name string, want record.DKIM) dns.KeyAnswer

// Everywhere asks all name servers, as a Checker does about new keys.
func Everywhere(resolver *dns.Resolver) Asker { return everywhereWithin(resolver, resolver.Patience) }

func everywhereWithin(resolver *dns.Resolver, patience time.Duration) Asker {
	return func(ctx context.Context, name string, want record.DKIM) dns.KeyAnswer {
		return resolver.KeyEverywhere(ctx, name, want, patience)
	}
}

// Cached asks the resolver alone.
func Cached(source dns.Source) Asker {
	return func(ctx context.Context, name string, want record.DKIM) dns.KeyAnswer {
		return dns.Key(ctx, source, name, want)
	}
}

// Look is how to look at the keys of a domain without a signpostd that runs.
type Look struct {
	Place   place.Place
	Mode    Mode
	Overlap time.Duration // that a record stays after its key stopped; 0 for Overlap
	Ask     Asker
	Now     time.Time
	// Evidence is what reports say of keys that no longer sign.
	Evidence Evidence
}

// Domain asks about the keys of a domain, which come with the oldest first, all at
// once. It returns what a signpostd says of them that starts now and gets the same
// answers. The error says that the notes of a rotation cannot be read; the keys are
// then as if there were none.
func (l Look) Domain(ctx context.Context, domain string, keys []*keystore.Key) ([]Answered, error) {
	noted, _, err := readNotes(ctx, l.Place, domain)
	return l.domain(ctx, noted, keys), err
}

func (l Look) domain(ctx context.Context, noted notes, keys []*keystore.Key) []Answered {
	all := make([]Answered, len(keys))
	var asking sync.WaitGroup
	for i, key := range keys {
		asking.Go(func() {
			a := &all[i]
			a.Name = record.Name(key.Selector, key.Domain)
			var err error
			if a.Record, err = record.ForKey(key.Signer.Public()); err != nil {
				a.Said.Text = err.Error()
				return
			}
			a.Said = l.Ask(ctx, a.Name, a.Record)
		})
	}
	asking.Wait()
	marks := make([]Mark, len(keys))
	for i, key := range keys {
		marks[i] = noted.add(marks[i], key)
		if presence := all[i].Said.Presence; presence != dns.Unknown {
			marks[i].Presence, marks[i].Asked = presence, At(l.Now)
		}
	}
	for i, status := range DecideWith(keys, marks, l.Mode, l.overlap(), l.Now) {
		all[i].Status = l.Evidence.Weigh(status, l.overlap(), l.Now)
	}
	return all
}

func (l Look) overlap() time.Duration { return cmp.Or(l.Overlap, Overlap) }
