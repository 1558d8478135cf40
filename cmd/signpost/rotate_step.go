package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// step is one domain while it is looked at.
type step struct {
	*rotator
	name   string
	keys   []keystore.Asked // the oldest first
	plan   *keystore.Rotation
	result *rotated

	places map[string]string // where the record of a selector belongs
	made   bool              // a key was made just now
}

// look notes which old keys sign no more, and whose records are gone. A DNS that
// does not answer is no news. Who may not write leaves the note to another.
func (s *step) look() {
	if s.unknown() >= 0 {
		return
	}
	plan := keystore.Rotation{Stopped: make(map[string]time.Time), Gone: make(map[string]time.Time)}
	if s.plan != nil {
		plan.Made, plan.To = s.plan.Made, s.plan.To
	}
	at := func(before map[string]time.Time, selector string) time.Time {
		if t, ok := before[selector]; ok {
			return t
		}
		return s.now.UTC().Truncate(time.Second)
	}
	was := cmp.Or(s.plan, new(keystore.Rotation))
	for _, key := range s.old() {
		plan.Stopped[key.Selector] = at(was.Stopped, key.Selector)
		if key.Said.Presence == dns.Missing {
			plan.Gone[key.Selector] = at(was.Gone, key.Selector)
		}
	}
	if len(plan.To)+len(plan.Stopped) == 0 || maps.Equal(plan.Stopped, was.Stopped) && maps.Equal(plan.Gone, was.Gone) {
		return
	}
	if s.plan == nil && s.c.Bool("status") {
		return // it makes nothing
	}
	s.plan = &plan
	if err := plan.Write(s.dir, s.name); err != nil {
		s.result.Note = fmt.Sprintf("since when the old key signs no more could not be kept: %v", err)
	}
}

// unknown returns the first key of which the DNS could not say whether it is
// published, or -1.
func (s *step) unknown() int {
	return slices.IndexFunc(s.keys, func(key keystore.Asked) bool { return key.Said.Presence == dns.Unknown })
}

func (s *step) index(selector string) int {
	return slices.IndexFunc(s.keys, func(key keystore.Asked) bool { return key.Selector == selector })
}

// replaces reports whether a key signs in the place of an older one: it is of the
// same kind, signs, and the world can verify that.
func replaces(key, older keystore.Asked) bool {
	return key.Signs && key.Algorithm == older.Algorithm && key.Said.Presence == dns.There
}

// old returns the keys that newer ones have taken the place of.
func (s *step) old() (keys []keystore.Asked) {
	for i, key := range s.keys {
		if !key.Signs && slices.ContainsFunc(s.keys[i:], func(other keystore.Asked) bool { return replaces(other, key) }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// waiting returns the keys that are newer than those that sign, and wait for
// their records.
func (s *step) waiting() (keys []keystore.Asked) {
	for i, key := range s.keys {
		signs := func(other keystore.Asked) bool { return other.Signs && other.Algorithm == key.Algorithm }
		if !key.Signs && key.Said.Presence != dns.There && !slices.ContainsFunc(s.keys[i:], signs) {
			keys = append(keys, key)
		}
	}
	return keys
}

// start makes a new key for each that signs, unless that was done before. What is
// to be made is written down first, so that another run can make what is missing.
func (s *step) start(ctx context.Context) {
	waiting := s.waiting()
	if (s.plan == nil || len(s.plan.To) == 0) && len(waiting) == 0 {
		if s.c.Bool("due") || s.c.Bool("auto") {
			if !slices.ContainsFunc(s.keys, func(key keystore.Asked) bool { return key.Signs && s.now.Sub(key.ModTime) >= s.interval }) {
				return
			}
		}
		orders, err := s.orders(ctx)
		if err != nil {
			s.failed(err)
			return
		}
		plan := cmp.Or(s.plan, new(keystore.Rotation))
		plan.Made, plan.To = s.now.UTC().Truncate(time.Second), orders
		s.plan = plan
		if err := s.plan.Write(s.dir, s.name); err != nil {
			s.result.fail(exitFinding, err)
			return
		}
	}
	if s.plan != nil {
		for _, order := range s.plan.To {
			if s.index(order.Selector) < 0 && !s.taken(s.dir, order.Selector) {
				s.make(ctx, order)
			}
			if s.result.code != 0 {
				return
			}
		}
	}
	for _, key := range waiting {
		place, err := s.place(ctx, key.Selector)
		if err != nil {
			s.failed(err)
			return
		}
		s.result.Made = append(s.result.Made, newMade(s.name, key.Selector, key.Algorithm, key.Bits, key.File, place, key.Record.String()))
	}
	switch {
	case s.made:
	case len(waiting) > 0:
		s.result.Note = "a new key is there already, and none was made"
	case !s.c.Bool("auto"):
		s.result.Note = "the last rotation is not finished, and no key was made"
	}
}

// failed takes an error for what it is: an answer, or that the DNS gave none.
func (s *step) failed(err error) {
	code := exitFinding
	if errors.As(err, new(*dns.LookupError)) {
		code = exitUnknown
	}
	s.result.fail(code, err)
}

// orders says what keys to make: one for each that signs. The error is that one of
// them cannot be.
func (s *step) orders(ctx context.Context) (orders []keystore.NewKey, err error) {
	var taken []string
	for _, key := range s.keys {
		if !key.Signs {
			continue
		}
		order := keystore.NewKey{Algorithm: key.Algorithm, Bits: key.Bits}
		if key.Algorithm == keystore.RSA {
			order.Bits = min(max(key.Bits, keystore.WeakBits), keystore.LargeBits)
		}
		if order.Selector, err = s.next(key.Algorithm, taken); err != nil {
			return nil, err
		}
		if _, err := s.place(ctx, order.Selector); err != nil {
			return nil, err
		}
		taken, orders = append(taken, order.Selector), append(orders, order)
	}
	return orders, nil
}

// make makes a key that was ordered.
func (s *step) make(ctx context.Context, order keystore.NewKey) {
	place, err := s.place(ctx, order.Selector)
	if err != nil {
		s.failed(err)
		return
	}
	made, err := keystore.Make(s.dir, keystore.Order{Domain: s.name, Selector: order.Selector, Algorithm: order.Algorithm, Bits: order.Bits})
	if err == nil {
		err = s.makeNewest(made.File)
	}
	if err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	s.made = true
	s.result.Made = append(s.result.Made, newMade(s.name, made.Selector, made.Algorithm, made.Bits, made.File, place, made.Record.String()))
}

// makeNewest gives the file of a new key a time after that of all others, of which
// one may have been made in this very second: then the name would decide which is
// newer.
func (s *step) makeNewest(file string) error {
	newest := s.now
	for _, key := range s.keys {
		if at := key.ModTime.Add(time.Second); at.After(newest) {
			newest = at
		}
	}
	if newest == s.now {
		return nil
	}
	return os.Chtimes(file, time.Time{}, newest)
}

// next returns the selector of a new key.
func (s *step) next(algorithm keystore.Algorithm, taken []string) (string, error) {
	if len(s.slots.selectors) > 0 {
		return s.slot(taken)
	}
	return s.free(algorithm, taken), nil
}

// free returns a selector from the date that no key has, here or among the
// retired ones.
func (s *step) free(algorithm keystore.Algorithm, taken []string) string {
	suffix := ""
	if algorithm == keystore.Ed25519 {
		suffix = "e"
	}
	date := s.now.Format("s20060102")
	for n := 1; ; n++ {
		selector := date + suffix
		if n > 1 {
			selector = fmt.Sprintf("%s-%d%s", date, n, suffix)
		}
		if s.index(selector) < 0 && !slices.Contains(taken, selector) && !s.taken(s.dir, selector) && !s.taken(filepath.Join(s.dir, ".retired"), selector) {
			return selector
		}
	}
}

// taken reports whether a folder of keys has files of that name, of this domain.
func (s *step) taken(dir, selector string) bool {
	return slices.ContainsFunc([]string{".private", ".txt"}, func(ending string) bool {
		_, err := os.Lstat(filepath.Join(dir, s.name, selector+ending))
		return err == nil
	})
}

// recordTTL is that of records that we publish: short, since they are looked up
// most while they are new.
const recordTTL = time.Hour

// publish puts the records of new keys into the DNS, where there is a way to.
// Whether a record is there already is for the server to say.
func (s *step) publish(ctx context.Context) {
	if s.publisher == nil {
		return
	}
	for _, key := range s.result.Made {
		if err := s.publisher.Publish(ctx, key.Name, key.Value, recordTTL); err != nil {
			s.result.fail(exitFinding, err)
			return
		}
		s.result.Published = append(s.result.Published, key.Name)
	}
}

// describe says how far each key is, and what comes next.
func (s *step) describe() {
	todo := []string{}
	for _, key := range s.keys {
		shown := rotatedKey{Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File, DNS: key.Said.Text}
		shown.Stage, shown.Since = s.plan.Stage(key, s.overlap, s.now)
		switch shown.Stage {
		case keystore.Active:
			if key.Said.Presence == dns.Missing {
				todo = append(todo, "publish the record of "+key.Selector+": it signs, and nobody can verify that")
			}
			if s.now.Sub(key.ModTime) >= s.interval && (s.plan == nil || len(s.plan.To) == 0) {
				todo = append(todo, fmt.Sprintf("change the key %s, which is %s old", key.Selector, ageOf(key.ModTime)))
			}
		case keystore.Retiring:
			until := shown.Since.Add(s.overlap)
			todo = append(todo, "finish on "+until.UTC().Format(time.DateTime)+" or later, and leave the record of "+key.Selector+" until then")
		case keystore.Retired:
			todo = append(todo, "finish: signpost rotate --finish"+keysOption(s.dir)+" "+s.name)
		case keystore.Pending:
			todo = append(todo, "publish the record of "+key.Selector+"; signpostd signs with it as soon as it is seen")
		}
		if key.Said.Presence == dns.Unknown && s.result.code == 0 {
			s.result.code = exitUnknown
		}
		s.result.Keys = append(s.result.Keys, shown)
	}
	s.result.Next = todo
}
