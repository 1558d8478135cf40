package step

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
	"signpost/keystore/finding"
	"signpost/keystore/place"
	"signpost/keystore/record"
	"signpost/keystore/regular"
	"signpost/keystore/rotation"
)

// finish archives the keys that signed before, when the mail that they signed is
// no longer in transit.
func (d *domain) finish(ctx context.Context, auto bool) {
	for _, key := range d.Keys {
		if key.Signs && !published(key) {
			if auto && slices.Contains(d.result.Published, d.places[key.Selector]) {
				return // it was published just now
			}
			d.result.Err = fmt.Errorf("%s: the record of the signing key is not at %s, so nothing is archived: %s",
				d.name, key.Name, key.Said.Text)
			return
		}
	}
	due, waiting := d.old(), []rotation.Answered(nil)
	if !d.Early {
		keep := func(key rotation.Answered) bool { return key.Next == rotation.Keep }
		waiting = slices.DeleteFunc(slices.Clone(due), func(key rotation.Answered) bool { return !keep(key) })
		due = slices.DeleteFunc(due, keep)
	}
	if len(due) == 0 && len(waiting) > 0 && !auto && !d.Patient {
		d.result.Err = tooEarly(d.name, waiting)
		return
	}
	for _, key := range due {
		d.archive(ctx, key)
	}
	if d.result.Err == nil && d.Noted && len(d.old()) == 0 {
		switch all, err := d.allSign(ctx); {
		case err != nil:
			d.result.Err = err
		case all:
			d.result.Err = d.End(ctx)
		}
	}
}

// tooEarly says why keys must not be archived yet: that reports say so, or that mail which
// the last of them signed may be in transit.
func tooEarly(domain string, keys []rotation.Answered) error {
	var last time.Time
	for _, key := range keys {
		if text := key.Reports.Text; text != "" && key.Reports.Prolongs {
			return UsedError{fmt.Errorf("%s: %s", domain, text)}
		}
		if key.Until.After(last) {
			last = key.Until
		}
	}
	return EarlyError{fmt.Errorf("%s: mail that the old key signed may be in transit until %s",
		domain, last.UTC().Format(time.DateTime))}
}

// allSign reports whether each key that was to be made signs, or has been taken
// away.
func (d *domain) allSign(ctx context.Context) (bool, error) {
	for _, order := range d.Orders {
		if i := d.index(order.Selector); i >= 0 {
			if !d.Keys[i].Signs {
				return false, nil
			}
			continue
		}
		// Another run may have made it, after this one looked.
		if use, err := d.Look.Place.Used(ctx, d.name, order.Selector); err != nil || use == place.Present {
			return false, err
		}
	}
	return true, nil
}

// archive archives a key. What has to come before that comes before, so that what
// fails or is interrupted is done by the next run.
func (d *domain) archive(ctx context.Context, key rotation.Answered) {
	gone := Archived{Selector: key.Selector}
	if d.Revoke {
		gone.Value = record.DKIM{KeyType: string(key.Algorithm)}.String()
	}
	var err error
	if gone.Name, err = d.place(ctx, key.Selector); err != nil {
		d.result.fail(err)
		return
	}
	if gone.Done, err = d.withdraw(ctx, gone.Name, key, gone.Value); err != nil {
		d.result.Err = err
		return
	}
	if d.Public != "" {
		if err = d.mayBePublic(key, gone); err == nil {
			gone.Public, err = d.publishPrivate(ctx, key.Key)
		}
		if err != nil {
			d.result.Err = err
			return
		}
	}
	// Else another run would take the key for one that is missing.
	if d.Forget(key.Selector) {
		if err = d.Write(ctx); err != nil {
			d.result.Err = err
			return
		}
	}
	gone.File, err = d.Look.Place.Retire(ctx, key.Key)
	if err != nil {
		d.result.Err = err
		if gone.File == "" {
			return
		}
	}
	d.result.Archived = append(d.result.Archived, gone)
	d.Keys = slices.DeleteFunc(d.Keys, func(other rotation.Answered) bool { return other.Key == key.Key })
}

// cacheTime is how long a record may be in caches that was taken out of the DNS.
const cacheTime = 24 * time.Hour

// mayBePublic returns why a private key must not be published yet: with it anybody
// could sign what the world can verify.
func (d *domain) mayBePublic(key rotation.Answered, gone Archived) error {
	since := key.Mark.Gone
	switch until := since.Time().Add(cacheTime); {
	case since == rotation.None && gone.Done:
		return finding.WithHint(fmt.Errorf("%s: the record of %s was taken out of the DNS just now, "+
			"and caches have it yet, so the private key is not published",
			d.name, key.Selector), "do the same again tomorrow")
	case since == rotation.None:
		return finding.WithHint(fmt.Errorf("%s: the record of %s is in the DNS, so the private key is not published",
			d.name, key.Selector), "take out %s, and then do the same again", gone.Name)
	case d.Look.Now.Before(until) && !d.Early:
		return EarlyError{fmt.Errorf("%s: caches may have the record of %s until %s, so the private key is not published",
			d.name, key.Selector, until.UTC().Format(time.DateTime))}
	}
	return nil
}

// maxKey bounds a key file.
const maxKey = 64 << 10

// publishPrivate copies a private key to where everybody can read it. With it
// anybody could have written the mail that it signed. Nothing is overwritten: a key
// of the same name gets a number.
func (d *domain) publishPrivate(ctx context.Context, key *keystore.Key) (string, error) {
	text, err := d.Look.Place.Secret(ctx, key)
	if err != nil {
		return "", err
	}
	base := filepath.Join(d.Public, key.Selector+"._domainkey."+key.Domain)
	name := base + ".pem"
	for n := 2; ; n++ {
		there, err := regular.Read(name, maxKey)
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
		return name, finding.WithHint(fmt.Errorf("publishing the private key: %w", err),
			"give a directory that this user may write to")
	}
	_, err = to.Write(text)
	if err = errors.Join(err, to.Sync(), to.Close()); err != nil {
		os.Remove(name) // ours, and not whole
	}
	return name, err
}
