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
	"signpost/keystore/dns"
	"signpost/keystore/record"
)

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
	for _, key := range s.keys {
		if key.Signs && key.Said.Presence != dns.There {
			s.result.fail(exitFinding, fmt.Errorf("%s: the record of the key that signs is not at %s, so nothing is archived: %s", s.name, key.Name, key.Said.Text))
			return
		}
	}
	var last time.Time // of the times until which mail may be under way
	due := s.old()
	if !s.c.Bool("now") {
		due = slices.DeleteFunc(due, func(key keystore.Asked) bool {
			until := s.plan.Stopped[key.Selector].Add(s.overlap)
			wait := s.now.Before(until)
			if wait && until.After(last) {
				last = until
			}
			return wait
		})
	}
	if len(due) == 0 && !last.IsZero() && !s.c.Bool("all") && !s.c.Bool("auto") {
		s.result.fail(exitFinding, fmt.Errorf("%s: mail that the old key signed may be under way until %s; hint: finish then, or with --now",
			s.name, last.UTC().Format(time.DateTime)))
		return
	}
	for _, key := range due {
		s.retire(ctx, key)
	}
	if s.result.code == 0 && s.plan != nil && len(s.old()) == 0 && s.allSign() {
		if err := keystore.EndRotation(s.dir, s.name); err != nil {
			s.result.fail(exitFinding, err)
			return
		}
		s.plan = nil
	}
}

// allSign reports whether each key that was to be made signs, or has been taken
// away.
func (s *step) allSign() bool {
	return !slices.ContainsFunc(s.plan.To, func(order keystore.NewKey) bool {
		if i := s.index(order.Selector); i >= 0 {
			return !s.keys[i].Signs
		}
		return s.taken(s.dir, order.Selector) // by another run, after this one looked
	})
}

// retire archives a key. What has to come before that comes before, so that what
// fails or is interrupted is done by the next run.
func (s *step) retire(ctx context.Context, key keystore.Asked) {
	gone := retiredKey{Selector: key.Selector}
	if s.c.Bool("revoke") {
		gone.Value = record.DKIM{KeyType: string(key.Algorithm)}.String()
	}
	var err error
	if gone.Name, err = s.place(ctx, key.Selector); err != nil {
		s.failed(err)
		return
	}
	if gone.Done, err = s.withdraw(ctx, gone.Name, key, gone.Value); err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	if dir := s.c.String("publish-private"); dir != "" {
		if err = s.mayBePublic(key, gone); err == nil {
			gone.Public, err = publishPrivate(dir, key.Key)
		}
		if err != nil {
			s.result.fail(exitFinding, err)
			return
		}
	}
	if err := s.forget(key.Selector); err != nil {
		s.result.fail(exitFinding, err)
		return
	}
	gone.File, err = keystore.Retire(s.dir, key.Key)
	if err != nil {
		s.result.fail(exitFinding, err)
		if _, err := os.Lstat(key.File); err == nil {
			return
		}
	}
	s.result.Retired = append(s.result.Retired, gone)
	s.keys = slices.DeleteFunc(s.keys, func(other keystore.Asked) bool { return other.Key == key.Key })
}

// forget takes a key that is to be archived out of those to be made: else another
// run would take it for one that is missing.
func (s *step) forget(selector string) error {
	to := slices.DeleteFunc(slices.Clone(s.plan.To), func(order keystore.NewKey) bool { return order.Selector == selector })
	if len(to) == len(s.plan.To) {
		return nil
	}
	s.plan.To = to
	return s.plan.Write(s.dir, s.name)
}

// cacheTime is how long a record may be in caches that was taken out of the DNS.
const cacheTime = 24 * time.Hour

// mayBePublic returns why a private key must not be published yet: with it anybody
// could sign what the world can verify.
func (s *step) mayBePublic(key keystore.Asked, gone retiredKey) error {
	since, known := s.plan.Gone[key.Selector]
	switch until := since.Add(cacheTime); {
	case !known && gone.Done:
		return fmt.Errorf("%s: the record of %s was taken out of the DNS just now, and caches have it yet, so the private key is not published; hint: do the same again tomorrow", s.name, key.Selector)
	case !known:
		return fmt.Errorf("%s: the record of %s is in the DNS, so the private key is not published; hint: take out %s, and then do the same again", s.name, key.Selector, gone.Name)
	case s.now.Before(until) && !s.c.Bool("now"):
		return fmt.Errorf("%s: caches may have the record of %s until %s, so the private key is not published; hint: do it then, or with --now", s.name, key.Selector, until.UTC().Format(time.DateTime))
	}
	return nil
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
