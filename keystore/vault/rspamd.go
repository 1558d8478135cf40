package vault

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// object is the secret of a domain as rspamd has it, with all that is not ours to know.
//
// rspamd signs with each of the selectors whose time it is: from valid_start, and before
// valid_end. Both may be missing.
type object struct {
	fields    map[string]json.RawMessage
	selectors []json.RawMessage // nil where the field is missing
}

// element is what we know of one of the selectors.
type element struct {
	Selector string  `json:"selector"`
	Domain   string  `json:"domain,omitempty"` // d=, that of the secret where it is ""
	Key      text    `json:"key"`              // PEM, or base64 of DER
	Alg      string  `json:"alg,omitempty"`
	Start    *moment `json:"valid_start,omitempty"`
	End      *moment `json:"valid_end,omitempty"`
	Ours     *ours   `json:"signpost,omitempty"`
}

// ours is what we keep of a selector. A valid_start or valid_end that is the same as here was
// set for rspamd alone: signpostd asks the DNS when a key may sign.
type ours struct {
	Made  moment  `json:"made,omitzero"`
	Start *moment `json:"start,omitempty"`
	End   *moment `json:"end,omitempty"`
}

// moment is a Unix time in seconds, 0 for none.
type moment int64

// UnmarshalJSON takes what Lua's tonumber does: a number, or one in quotes.
func (m *moment) UnmarshalJSON(data []byte) error {
	f, err := strconv.ParseFloat(string(bytes.Trim(data, `"`)), 64)
	if err != nil || f != f || f < 0 || f > 1<<53 {
		return errors.New("a time that is no number of seconds")
	}
	*m = moment(f)
	return nil
}

func momentOf(t time.Time) moment {
	if t.IsZero() {
		return 0
	}
	return moment(t.Unix())
}

func (m *moment) time() time.Time {
	if m == nil || *m == 0 {
		return time.Time{}
	}
	return time.Unix(int64(*m), 0)
}

func parseObject(data []byte) (*object, error) {
	o := &object{}
	if err := json.Unmarshal(data, &o.fields); err != nil {
		return nil, errors.New("the secret is not a JSON object")
	}
	list, ok := o.fields["selectors"]
	if !ok || string(list) == "null" {
		delete(o.fields, "selectors")
		return o, nil
	}
	if err := json.Unmarshal(list, &o.selectors); err != nil {
		o.wipe()
		return nil, errors.New("the selectors of the secret are not a list")
	}
	return o, nil
}

// encode returns the secret as JSON. It has no selectors where the last has gone: so
// rspamadm vault newkey makes one again.
func (o *object) encode() json.RawMessage {
	fields := map[string]any{}
	for name, value := range o.fields {
		fields[name] = value
	}
	delete(fields, "selectors")
	if len(o.selectors) > 0 {
		fields["selectors"] = o.selectors
	}
	if len(fields) == 0 {
		return nil
	}
	return encode(fields)
}

func (o *object) wipe() {
	for _, value := range o.fields {
		clear(value)
	}
	for _, value := range o.selectors {
		clear(value)
	}
}

// entries returns the keys for the domain of a secret.
func (o *object) entries(domain, place string) []keystore.Entry {
	entries := make([]keystore.Entry, 0, len(o.selectors))
	for i, raw := range o.selectors {
		e, err := parseElement(raw)
		entry := keystore.Entry{Selector: e.Selector, Place: place + " selector " + e.Selector}
		if e.Selector == "" {
			entry.Place = fmt.Sprintf("%s selector number %d", place, i+1)
		}
		switch {
		case err != nil:
		case e.Selector == "":
			err = errors.New("it has no selector")
		case len(e.Key) == 0:
			err = errors.New("it has no key")
		case e.Domain != "" && !sameDomain(e.Domain, domain):
			err = finding.WithHint(fmt.Errorf("it is for domain %.255q", e.Domain), "move it to the secret of that domain")
		}
		if err != nil {
			clear(e.Key)
			entry.Err = err
			entries = append(entries, entry)
			continue
		}
		entry.Data = e.Key
		entry.Made, entry.NotBefore, entry.NotAfter = e.times()
		entries = append(entries, entry)
	}
	return entries
}

func sameDomain(a, b string) bool {
	domain, err := keystore.Domain(a)
	return err == nil && domain == b
}

// elementFields are those that are read of a selector.
var elementFields = []string{"selector", "domain", "key", "alg", "valid_start", "valid_end", "signpost"}

func parseElement(raw json.RawMessage) (element, error) {
	var e element
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) == nil {
		// Those names alone: encoding/json takes any case for the same, and rspamd does not.
		exact := make(map[string]json.RawMessage)
		for _, name := range elementFields {
			if value, ok := fields[name]; ok {
				exact[name] = value
			}
		}
		raw = encode(exact)
		defer clear(raw)
		for _, value := range fields {
			clear(value)
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) {
			return e, fmt.Errorf("its %s is a %s", kind.Field, kind.Value)
		}
		return e, fmt.Errorf("it cannot be read: %w", err)
	}
	return e, nil
}

// times are when a key was made, as well as can be told, and when signpostd may sign with it.
func (e *element) times() (made, notBefore, notAfter time.Time) {
	made = e.Start.time()
	if e.Ours == nil {
		return made, e.Start.time(), e.End.time()
	}
	if e.Ours.Made != 0 {
		made = e.Ours.Made.time()
	}
	if !same(e.Start, e.Ours.Start) {
		notBefore = e.Start.time()
	}
	if !same(e.End, e.Ours.End) {
		notAfter = e.End.time()
	}
	return made, notBefore, notAfter
}

func same(a, b *moment) bool { return a == b || a != nil && b != nil && *a == *b }
