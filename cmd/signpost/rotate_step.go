package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/published"
	"signpost/keystore/record"
)

// step is one domain while it is looked at.
type step struct {
	*rotator
	name   string
	keys   []keystore.Asked // the oldest first
	plan   *keystore.Rotation
	result *rotated
}

// look notes when the new keys of a rotation are first seen to be published: then
// signpostd signs with them. Who may not write leaves that to another.
func (s *step) look() {
	if s.plan == nil || !s.plan.Published.IsZero() {
		return
	}
	for _, selector := range s.plan.To {
		if i := s.index(selector); i < 0 || s.keys[i].Said.Presence != published.There {
			return
		}
	}
	s.plan.Published = s.now.UTC().Truncate(time.Second)
	if err := s.plan.Write(s.dir, s.name); err != nil {
		s.result.Note = fmt.Sprintf("that the new key is published could not be kept: %v", err)
	}
}

func (s *step) index(selector string) int {
	return slices.IndexFunc(s.keys, func(key keystore.Asked) bool { return key.Selector == selector })
}

// waiting returns the keys that are newer than those that sign, and wait for
// their records.
func (s *step) waiting() (keys []keystore.Asked) {
	for i, key := range s.keys {
		signs := func(other keystore.Asked) bool { return other.Signs && other.Algorithm == key.Algorithm }
		if !key.Signs && key.Said.Presence != published.There && !slices.ContainsFunc(s.keys[i:], signs) {
			keys = append(keys, key)
		}
	}
	return keys
}

// start makes a new key for each that signs, unless that was done before.
func (s *step) start(ctx context.Context) {
	waiting := s.waiting()
	switch {
	case len(waiting) > 0:
		s.result.Note = "a new key is there already, and none was made"
		for _, key := range waiting {
			place, err := s.place(ctx, key.Selector)
			if err != nil {
				s.result.fail(exitUnknown, err)
				return
			}
			s.result.Made = append(s.result.Made, newMade(s.name, key.Selector, key.Algorithm, key.Bits, key.File, place, key.Record.String()))
		}
		return
	case s.plan != nil:
		if !s.c.Bool("auto") {
			s.result.Note = "the last rotation is not finished, and no key was made"
		}
		return
	}
	plan := &keystore.Rotation{Made: s.now.UTC().Truncate(time.Second)}
	young := true
	for _, key := range s.keys {
		if key.Signs {
			plan.From = append(plan.From, key.Selector)
			young = young && s.now.Sub(key.ModTime) < s.interval
		}
	}
	if (s.c.Bool("due") || s.c.Bool("auto")) && young {
		return
	}
	for _, key := range s.keys {
		if !key.Signs {
			continue
		}
		selector, err := s.next(key.Algorithm, plan.To)
		if err != nil {
			s.result.fail(exitFinding, err)
			return
		}
		place, err := s.place(ctx, selector)
		if err != nil {
			s.result.fail(exitUnknown, err)
			return
		}
		order := keystore.Order{Domain: s.name, Selector: selector, Algorithm: key.Algorithm, Bits: key.Bits}
		if key.Algorithm == keystore.RSA {
			order.Bits = min(max(key.Bits, keystore.WeakBits), keystore.LargeBits)
		}
		made, err := keystore.Make(s.dir, order)
		if err != nil {
			s.result.fail(exitFinding, err)
			return
		}
		if err := s.makeNewest(made.File); err != nil {
			s.result.fail(exitFinding, err)
			return
		}
		plan.To = append(plan.To, made.Selector)
		s.result.Made = append(s.result.Made, newMade(s.name, made.Selector, made.Algorithm, made.Bits, made.File, place, made.Record.String()))
	}
	if err := plan.Write(s.dir, s.name); err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	s.plan = plan
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
	return s.free(algorithm), nil
}

// free returns a selector from the date that no key has, here or among the
// retired ones.
func (s *step) free(algorithm keystore.Algorithm) string {
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
		taken := s.index(selector) >= 0
		for _, folder := range []string{s.dir, filepath.Join(s.dir, ".retired")} {
			for _, ending := range []string{".private", ".txt"} {
				_, err := os.Lstat(filepath.Join(folder, s.name, selector+ending))
				taken = taken || err == nil
			}
		}
		if !taken {
			return selector
		}
	}
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

// withdraw takes the record of an old key out of the DNS, where there is a way
// to, before the key is archived: what fails is then tried again. It reports whether
// there was one.
func (s *step) withdraw(ctx context.Context, place string, key keystore.Asked, instead string) (bool, error) {
	if s.publisher == nil || !s.slots.hold(key.Selector) {
		return false, nil
	}
	return true, s.publisher.Withdraw(ctx, place, key.Record.String(), instead, recordTTL)
}

// finish archives the keys that signed before, when the mail that they signed is
// no longer under way.
func (s *step) finish(ctx context.Context) {
	var old []keystore.Asked
	for _, key := range s.keys {
		if key.Signs && key.Said.Presence != published.There {
			s.result.fail(exitFinding, fmt.Errorf("%s: the record of the key that signs is not at %s, so nothing is archived: %s", s.name, key.Name, key.Said.Text))
			return
		}
	}
	for i, key := range s.keys {
		newer := func(other keystore.Asked) bool { return other.Signs && other.Algorithm == key.Algorithm }
		if !key.Signs && slices.ContainsFunc(s.keys[i:], newer) {
			old = append(old, key)
		}
	}
	if len(old) == 0 {
		if s.plan != nil && len(s.waiting()) == 0 {
			s.end()
		}
		return
	}
	if s.plan == nil || s.plan.Published.IsZero() {
		// The keys were changed by hand, so the time counts from now.
		s.plan = &keystore.Rotation{Made: s.now.UTC().Truncate(time.Second), Published: s.now.UTC().Truncate(time.Second)}
		for _, key := range s.keys {
			if key.Signs {
				s.plan.To = append(s.plan.To, key.Selector)
			}
		}
		for _, key := range old {
			s.plan.From = append(s.plan.From, key.Selector)
		}
		if err := s.plan.Write(s.dir, s.name); err != nil {
			s.result.fail(exitFinding, err)
			return
		}
	}
	if until := s.plan.Published.Add(s.overlap); s.now.Before(until) && !s.c.Bool("now") {
		if !s.c.Bool("all") && !s.c.Bool("auto") {
			s.result.fail(exitFinding, fmt.Errorf("%s: mail that the old key signed may be under way until %s; hint: finish then, or with --now",
				s.name, until.UTC().Format(time.DateTime)))
		}
		return
	}
	for _, key := range old {
		s.retire(ctx, key)
	}
	if s.result.code == 0 && len(s.waiting()) == 0 {
		s.end()
	}
}

func (s *step) end() {
	if err := keystore.EndRotation(s.dir, s.name); err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	s.plan = nil
}

func (s *step) retire(ctx context.Context, key keystore.Asked) {
	place, err := s.place(ctx, key.Selector)
	if err != nil {
		s.result.fail(exitUnknown, err)
		return
	}
	gone := retiredKey{Selector: key.Selector, Name: place}
	if s.c.Bool("revoke") {
		gone.Value = record.DKIM{KeyType: string(key.Algorithm)}.String()
	}
	if gone.Done, err = s.withdraw(ctx, place, key, gone.Value); err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	if dir := s.c.String("publish-private"); dir != "" {
		if gone.Public, err = publishPrivate(dir, key.Key); err != nil {
			s.result.fail(exitFinding, err)
			return
		}
	}
	if gone.File, err = keystore.Retire(s.dir, key.Key); err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	s.result.Retired = append(s.result.Retired, gone)
	s.keys = slices.DeleteFunc(s.keys, func(other keystore.Asked) bool { return other.Key == key.Key })
}

// publishPrivate copies a private key to where everybody can read it. With it
// anybody could have written the mail that it signed. Nothing is overwritten: a key
// of the same name gets a number.
func publishPrivate(dir string, key *keystore.Key) (string, error) {
	text, err := os.ReadFile(key.File)
	if err != nil {
		return "", err
	}
	base := filepath.Join(dir, key.Selector+"._domainkey."+key.Domain)
	name := base + ".pem"
	for n := 2; ; n++ {
		there, err := os.ReadFile(name)
		if err == nil && bytes.Equal(there, text) {
			return name, nil // a run before came this far
		}
		if err != nil {
			break
		}
		name = fmt.Sprintf("%s.%d.pem", base, n)
	}
	to, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return name, fmt.Errorf("--publish-private: %w; hint: give a directory that this user may write to", err)
	}
	_, err = to.Write(text)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		os.Remove(name) // ours, and not whole
	}
	return name, err
}

// describe says how far each key is, and what comes next.
func (s *step) describe() {
	todo := []string{}
	for _, key := range s.keys {
		shown := rotatedKey{Selector: key.Selector, Type: key.Algorithm, Bits: key.Bits, File: key.File, DNS: key.Said.Text}
		shown.Stage, shown.Since = s.plan.Stage(key, s.overlap, s.now)
		switch shown.Stage {
		case keystore.Active:
			if key.Said.Presence == published.Missing {
				todo = append(todo, "publish the record of "+key.Selector+": it signs, and nobody can verify that")
			}
			if s.now.Sub(key.ModTime) >= s.interval && s.plan == nil {
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
		if key.Said.Presence == published.Unknown && s.result.code == 0 {
			s.result.code = exitUnknown
		}
		s.result.Keys = append(s.result.Keys, shown)
	}
	s.result.Next = todo
}
