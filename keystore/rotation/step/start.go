package step

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/place"
	"signpost/keystore/rotation"
)

// start makes a new key for each that signs, unless that was done before. What is
// to be made is noted first, so that another run can make what is missing.
func (d *domain) start(ctx context.Context, auto bool) {
	waiting := d.waiting()
	if len(d.Orders) == 0 && len(waiting) == 0 {
		if (d.Due || auto) && !slices.ContainsFunc(d.Keys, d.isDue) {
			return
		}
		orders, err := d.newOrders(ctx)
		if err != nil {
			d.result.fail(err)
			return
		}
		d.Order(orders)
		if err := d.Write(ctx); err != nil {
			d.result.Err = err
			return
		}
	}
	for _, order := range d.Orders {
		if d.index(order.Selector) < 0 {
			d.make(ctx, order)
		}
		if d.result.Err != nil {
			return
		}
	}
	for _, key := range waiting {
		place, err := d.place(ctx, key.Selector)
		if err != nil {
			d.result.fail(err)
			return
		}
		d.result.New = append(d.result.New, d.newKey(key, place))
	}
	switch {
	case d.made:
	case len(waiting) > 0:
		d.result.Note = ErrWaiting
	case !auto:
		d.result.Note = ErrUnfinished
	}
}

// isDue reports whether a key signs for longer than it should. One whose age is not known is
// not: where a store tells no ages, all domains would be due at once, with each run.
func (d *domain) isDue(key rotation.Answered) bool {
	return key.Signs && !key.ModTime.IsZero() && d.Look.Now.Sub(key.ModTime) >= d.Interval
}

// newOrders says what keys to make: one for each that signs. The error is that one of
// them cannot be.
func (d *domain) newOrders(ctx context.Context) (orders []rotation.Order, err error) {
	var taken []string
	for _, key := range d.Keys {
		if !key.Signs {
			continue
		}
		order := rotation.Order{Algorithm: key.Algorithm, Bits: key.Bits}
		if key.Algorithm == keystore.RSA {
			order.Bits = min(max(key.Bits, keystore.WeakBits), keystore.LargeBits)
		}
		if order.Selector, err = d.next(ctx, key.Algorithm, taken); err != nil {
			return nil, err
		}
		if _, err := d.place(ctx, order.Selector); err != nil {
			return nil, err
		}
		taken, orders = append(taken, order.Selector), append(orders, order)
	}
	return orders, nil
}

// make makes a key that was ordered, unless another run has made it since this one looked.
// Its time is after that of all others, of which one may have been made in this very
// second: then the name would decide which is newer.
func (d *domain) make(ctx context.Context, order rotation.Order) {
	name, err := d.place(ctx, order.Selector)
	if err != nil {
		d.result.fail(err)
		return
	}
	newest := d.Look.Now
	for _, key := range d.Keys {
		if at := key.ModTime.Add(time.Second); at.After(newest) {
			newest = at
		}
	}
	made, err := d.Look.Place.Make(ctx, keystore.Order{
		Domain: d.name, Selector: order.Selector, Algorithm: order.Algorithm, Bits: order.Bits, Made: newest,
	})
	switch {
	case errors.Is(err, fs.ErrExist):
		return
	case err != nil:
		d.result.Err = err
		return
	}
	d.made = true
	d.result.New = append(d.result.New, madeKey(made, name))
	d.result.Err = made.RecordErr
}

// next returns the selector of a new key.
func (d *domain) next(ctx context.Context, algorithm keystore.Algorithm, taken []string) (string, error) {
	if len(d.Slots.Selectors) > 0 {
		return d.slot(taken)
	}
	return d.free(ctx, algorithm, taken)
}

// free returns a selector from the date that no key has, here or among the
// archived ones. A place need not remember those, so it is after all of the day.
func (d *domain) free(ctx context.Context, algorithm keystore.Algorithm, taken []string) (string, error) {
	suffix := ""
	if algorithm == keystore.Ed25519 {
		suffix = "e"
	}
	date := d.Look.Now.Format("s20060102")
	selector := func(n int) string {
		if n == 1 {
			return date + suffix
		}
		return fmt.Sprintf("%s-%d%s", date, n, suffix)
	}
	first := 1
	for n := 1; n <= len(d.Keys); n++ {
		if d.index(selector(n)) >= 0 {
			first = n + 1
		}
	}
	for n := first; ; n++ {
		if d.index(selector(n)) >= 0 || slices.Contains(taken, selector(n)) {
			continue
		}
		use, err := d.Look.Place.Used(ctx, d.name, selector(n))
		if err != nil || use == place.Free {
			return selector(n), err
		}
	}
}

// withdraw takes the record of an old key out of the DNS, where there is a way
// to, before the key is archived: what fails is then tried again. It reports whether
// there was one.
func (d *domain) withdraw(ctx context.Context, place string, key rotation.Answered, instead string) (bool, error) {
	if d.Publisher == nil || !d.Slots.hold(key.Selector) {
		return false, nil
	}
	return true, d.Publisher.Withdraw(ctx, place, key.Record.String(), instead, recordTTL)
}

// published reports whether the record of a key is there.
func published(key rotation.Answered) bool { return key.Said.Presence == dns.There }
