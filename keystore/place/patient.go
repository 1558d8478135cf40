package place

import (
	"context"
	"errors"
	"fmt"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// How long a store gets for a call, and more of it for each domain that is read with one.
const (
	patience       = 8 * time.Second
	moreForADomain = 50 * time.Millisecond
)

// patient is a store whose calls end when there is no answer for long. One that sends a
// long answer is waited for.
type patient struct {
	keystore.Backend
	long time.Duration
}

// within makes a call that begins anew to wait with each call of more.
func (p patient) within(
	ctx context.Context, long time.Duration, call func(ctx context.Context, more func()) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silent := errors.New("no answer")
	timer := time.AfterFunc(long, func() { cancel(silent) })
	defer timer.Stop()
	err := call(ctx, func() { timer.Reset(long) })
	switch {
	case err == nil:
		return nil
	case context.Cause(ctx) == silent:
		err = fmt.Errorf("%s has not answered for %v", p.Name(), long)
	case errors.Is(err, context.DeadlineExceeded): // it has bounds of its own
		err = fmt.Errorf("%s has not answered in time", p.Name())
	default:
		return err
	}
	return finding.WithHint(err, "see whether it runs, and can be reached from here")
}

func (p patient) List(ctx context.Context, found func(domain, version string)) error {
	return p.within(ctx, p.long, func(ctx context.Context, more func()) error {
		return p.Backend.List(ctx, func(domain, version string) {
			more()
			found(domain, version)
		})
	})
}

func (p patient) Read(ctx context.Context, domains []string) (entries [][]keystore.Entry, err error) {
	long := p.long + time.Duration(len(domains)-1)*moreForADomain
	err = p.within(ctx, long, func(ctx context.Context, _ func()) error {
		entries, err = p.Backend.Read(ctx, domains)
		return err
	})
	return entries, err
}

func (p patient) Add(ctx context.Context, domain, selector string, key []byte,
	made time.Time) (place string, err error) {
	err = p.within(ctx, p.long, func(ctx context.Context, _ func()) error {
		place, err = p.Backend.Add(ctx, domain, selector, key, made)
		return err
	})
	return place, err
}

func (p patient) Retire(ctx context.Context, key *keystore.Key) (place string, err error) {
	err = p.within(ctx, p.long, func(ctx context.Context, _ func()) error {
		place, err = p.Backend.Retire(ctx, key)
		return err
	})
	return place, err
}

// Select is that of keystore.Selecting where the store has it.
func (p patient) Select(ctx context.Context, domain, selector string) error {
	backend, ok := p.Backend.(keystore.Selecting)
	if !ok {
		return nil
	}
	return p.within(ctx, p.long, func(ctx context.Context, _ func()) error {
		return backend.Select(ctx, domain, selector)
	})
}

// Archived is that of keystore.Archiving where the store has it.
func (p patient) Archived(ctx context.Context, domain, selector string) (archived bool, err error) {
	backend, ok := p.Backend.(keystore.Archiving)
	if !ok {
		return false, nil
	}
	err = p.within(ctx, p.long, func(ctx context.Context, _ func()) error {
		archived, err = backend.Archived(ctx, domain, selector)
		return err
	})
	return archived, err
}

func (p patient) Notes(ctx context.Context, domain string) (notes []byte, revision string, err error) {
	err = p.within(ctx, p.long, func(ctx context.Context, _ func()) error {
		notes, revision, err = p.Backend.Notes(ctx, domain)
		return err
	})
	return notes, revision, err
}

func (p patient) WriteNotes(ctx context.Context, domain string, notes []byte, revision string) error {
	return p.within(ctx, p.long, func(ctx context.Context, _ func()) error {
		return p.Backend.WriteNotes(ctx, domain, notes, revision)
	})
}
