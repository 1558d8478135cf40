// Package step takes the steps of a rotation: it makes new keys, has their records
// published, and archives the keys that are no longer needed. Each step can be
// interrupted and taken again, here or on another node.
package step

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/publish"
	"signpost/keystore/rotation"
)

// Action is what to do for a domain.
type Action int

// The actions.
const (
	Show   Action = iota // make and move nothing
	Start                // make and publish the keys that are next
	Finish               // archive the keys that are no longer needed
	Auto                 // start what is due, and finish
)

// Rotator takes steps, for one domain after the other or several at once.
type Rotator struct {
	Snapshot  *keystore.Snapshot
	Look      rotation.Look // how to look at the keys
	Resolver  *dns.Resolver
	Publisher publish.Publisher // nil: records are left to whoever reads the result
	Slots     Slots

	Interval time.Duration // that a key signs for
	Due      bool          // start only where a key signs for longer
	Early    bool          // finish before the overlap is over
	Patient  bool          // a domain that is too early to finish is no failure
	Revoke   bool          // leave a record that revokes an archived key
	// Blind says that what would decide whether an old key is needed is not known: Auto only starts.
	Blind bool
	// Public is a directory to copy the private keys to that are archived; "" for none.
	Public string
}

// Result is what became of a domain.
type Result struct {
	Domain    string
	Keys      []rotation.Answered // that are left, the oldest first
	Ordered   bool                // there are keys that a rotation is to make, or made
	New       []New               // keys whose records are to be published
	Published []string            // names of records that were put into the DNS
	Aliases   []Alias             // to publish once, for slots
	Archived  []Archived
	Note      error // what is worth knowing, nil for nothing
	Err       error // why the step is not done; the result has what was
	// Unknown says that Err is for want of an answer of the DNS.
	Unknown bool
}

// New is a key that waits for its record.
type New struct {
	keystore.Order
	File       string
	RecordFile string // "" where it is not known
	Name       string // of the record
	Value      string
}

// Alias is a CNAME record.
type Alias struct{ Name, Target string }

// Archived is a key that was archived.
type Archived struct {
	Selector string
	File     string // where the private key is now
	Public   string // where it was published; "" where not
	Name     string // of the record to take out
	Value    string // of that to put in its place; "" for none
	Done     bool   // that is done
}

// EarlyError says that something can be done later, or now by who accepts the risk.
type EarlyError struct{ error }

func (e EarlyError) Unwrap() error { return e.error }

// UsedError says that somebody signs with a key that is to be archived, or may, as
// receivers report. Who knows better can do it now.
type UsedError struct{ error }

func (e UsedError) Unwrap() error { return e.error }

// What a Result notes of keys that were not made.
var (
	ErrWaiting    = errors.New("a new key is there already, and none was made")
	ErrUnfinished = errors.New("the last rotation is not finished, and no key was made")
)

// Domain looks at one domain and takes the step.
func (r *Rotator) Domain(ctx context.Context, name string, action Action) *Result {
	result := &Result{Domain: name}
	set := r.Snapshot.Domain(name)
	if err := set.Err(); err != nil {
		if errors.Is(err, keystore.ErrNoKey) {
			err = fmt.Errorf("%s has %w", name, err)
		}
		result.Err = err
		return result
	}
	book, err := r.Look.Open(ctx, name, set.List())
	if err != nil {
		result.fail(err)
		return result
	}
	d := &domain{Rotator: r, Notebook: book, name: name, result: result, places: make(map[string]string)}
	d.note(ctx, action != Show)
	if i := d.unknown(); i >= 0 && action != Show {
		result.fail(fmt.Errorf("%s: whether the key with selector %s is published is not known, so nothing was done: %s",
			name, d.Keys[i].Selector, d.Keys[i].Said.Text))
		result.Unknown = true
	} else {
		d.take(ctx, action)
	}
	result.Keys, result.Ordered = d.Keys, len(d.Orders) > 0
	return result
}

// domain is one domain while a step is taken.
type domain struct {
	*Rotator
	*rotation.Notebook
	name   string
	result *Result

	places map[string]string // where the record of a selector belongs
	made   bool              // a key was made just now
}

func (d *domain) take(ctx context.Context, action Action) {
	if action != Show {
		if d.result.Err = d.choose(ctx); d.result.Err != nil {
			return
		}
	}
	if action == Start || action == Auto {
		if d.start(ctx, action == Auto); d.result.Err == nil {
			d.publish(ctx)
		}
	}
	if action == Finish || action == Auto && !d.Blind && d.result.Err == nil && !d.made {
		d.finish(ctx, action == Auto)
	}
}

// choose has other programs that share the store sign with the keys that have taken the
// place of older ones.
func (d *domain) choose(ctx context.Context) error {
	old := d.old()
	for _, key := range d.Keys {
		replaces := func(other rotation.Answered) bool { return other.Algorithm == key.Algorithm }
		if key.Signs && slices.ContainsFunc(old, replaces) {
			if err := d.Look.Place.Select(ctx, d.name, key.Selector); err != nil {
				return err
			}
		}
	}
	return nil
}

// note notes which old keys no longer sign, and whose records are gone. A DNS that
// does not answer is no news. Who may not write leaves the note to another, and who
// may only look begins none.
func (d *domain) note(ctx context.Context, begin bool) {
	if d.unknown() >= 0 || !d.Noted && !begin || !d.Stop(d.old()) {
		return
	}
	if err := d.Write(ctx); err != nil {
		d.result.Note = fmt.Errorf("since when the old key no longer signs could not be kept: %w", err)
	}
}

func (r *Result) fail(err error) {
	r.Err = err
	r.Unknown = errors.As(err, new(*dns.LookupError))
}

// unknown returns the first key of which the DNS could not say whether it is
// published, or -1.
func (d *domain) unknown() int {
	return slices.IndexFunc(d.Keys, func(key rotation.Answered) bool { return key.Said.Presence == dns.Unknown })
}

func (d *domain) index(selector string) int {
	return slices.IndexFunc(d.Keys, func(key rotation.Answered) bool { return key.Selector == selector })
}

// old returns the keys that newer ones have taken the place of: of the same
// algorithm, that sign, and the world can verify that.
func (d *domain) old() (keys []rotation.Answered) {
	for i, key := range d.Keys {
		replaces := func(other rotation.Answered) bool {
			return other.Signs && other.Algorithm == key.Algorithm && other.Said.Presence == dns.There
		}
		if !key.Signs && slices.ContainsFunc(d.Keys[i:], replaces) {
			keys = append(keys, key)
		}
	}
	return keys
}

// waiting returns the keys that wait for their records: those that are newer than the
// ones that sign and, where the DNS does not decide that, those that a rotation made.
func (d *domain) waiting() (keys []rotation.Answered) {
	for i, key := range d.Keys {
		signs := func(other rotation.Answered) bool { return other.Signs && other.Algorithm == key.Algorithm }
		made := func(order rotation.Order) bool { return order.Selector == key.Selector }
		waits := !slices.ContainsFunc(d.Keys[i:], signs) || key.Signs && slices.ContainsFunc(d.Orders, made)
		if waits && key.Said.Presence != dns.There {
			keys = append(keys, key)
		}
	}
	return keys
}

// recordTTL is that of records that we publish: short, since they are looked up
// most while they are new.
const recordTTL = time.Hour

// publish puts the records of new keys into the DNS, where there is a way to.
// Whether a record is there already is for the server to say.
func (d *domain) publish(ctx context.Context) {
	if d.Publisher == nil {
		return
	}
	for _, key := range d.result.New {
		if err := d.Publisher.Publish(ctx, key.Name, key.Value, recordTTL); err != nil {
			d.result.Err = err
			return
		}
		d.result.Published = append(d.result.Published, key.Name)
	}
}

func (d *domain) newKey(key rotation.Answered, place string) New {
	order := keystore.Order{Domain: d.name, Selector: key.Selector, Algorithm: key.Algorithm, Bits: key.Bits}
	return New{Order: order, File: key.File, Name: place, Value: key.Record.String()}
}

func madeKey(made keystore.Made, name string) New {
	return New{Order: made.Order, File: made.File, RecordFile: made.RecordFile, Name: name, Value: made.Record.String()}
}
