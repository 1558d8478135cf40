package vault

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"time"

	"signpost/keystore"
)

// Select has rspamd sign with a key from now on, and no longer with others of its type: it
// sets valid_start and valid_end, unless one that others have set ends soon. signpostd goes by
// the DNS as before. KumoMTA is told of selectors elsewhere, so there is nothing to do.
func (b *Backend) Select(ctx context.Context, domain, selector string) error {
	if err := b.writable(); err != nil {
		return err
	}
	m, err := b.where(ctx)
	if err != nil {
		return err
	}
	layout, err := b.layoutOf(ctx, m, domain)
	if err != nil || layout == KumoMTA {
		return err
	}
	name := b.spelling(domain)
	return b.change(ctx, m, name, func(o *object, _ bool) error {
		now := moment(time.Now().Unix())
		elements := make([]element, len(o.selectors))
		types := make([]keystore.Algorithm, len(o.selectors))
		chosen := -1
		for i, raw := range o.selectors {
			elements[i], _ = parseElement(raw)
			if key, err := keystore.ParsePrivate(elements[i].Key); err == nil {
				types[i], _ = keystore.Describe(key)
			}
			clear(elements[i].Key)
			if elements[i].Selector == selector {
				chosen = i
			}
		}
		if chosen < 0 {
			return fmt.Errorf("key %s selector %s: %w", b.place(name, ""), selector, fs.ErrNotExist)
		}
		done := errDone // another version of the secret would say no more
		for i := range elements {
			e := &elements[i]
			var err error
			switch {
			case i == chosen && !e.signs(time.Now()):
				o.selectors[i], err = e.window(o.selectors[i], &now, nil)
			case i != chosen && types[i] == types[chosen] && e.signs(time.Now()) && e.End == nil:
				o.selectors[i], err = e.window(o.selectors[i], e.Start, &now)
			default:
				continue
			}
			if done = nil; err != nil {
				return fmt.Errorf("key %s selector %s: %w", b.place(name, ""), e.Selector, err)
			}
		}
		return done
	})
}

// window sets when rspamd signs with a selector, and notes what of it was set for that
// alone. All else of the selector stays as it is.
func (e *element) window(raw json.RawMessage, start, end *moment) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return raw, err
	}
	mine := ours{}
	if e.Ours != nil {
		mine = *e.Ours
	}
	if mine.Made == 0 && e.Start != nil {
		mine.Made = *e.Start
	}
	set := func(name string, was, value *moment, note **moment) {
		switch {
		case same(was, value):
			return
		case value == nil:
			delete(fields, name)
			*note = nil
		default:
			fields[name] = encode(*value)
			*note = value
		}
	}
	set("valid_start", e.Start, start, &mine.Start)
	set("valid_end", e.End, end, &mine.End)
	fields["signpost"] = encode(mine)
	defer clear(raw)
	return encode(fields), nil
}
