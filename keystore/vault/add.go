package vault

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// waiting is the valid_start of keys that rspamd is not to sign with yet: the last second of
// the year 9999. Select sets it to the time of the moment.
const waiting moment = 253402300799

// tries is how often a change is made anew where somebody else was faster.
const tries = 5

// Add stores a key in the layout that the domain has, else that most of the store has, else
// rspamd's. There, it waits for Select if the domain has another key that rspamd signs with.
func (b *Backend) Add(ctx context.Context, domain, selector string, key []byte, made time.Time) (string, error) {
	if err := b.writable(); err != nil {
		return "", err
	}
	m, err := b.where(ctx)
	if err != nil {
		return "", err
	}
	layout, err := b.layoutOf(ctx, m, domain)
	if err != nil {
		return "", err
	}
	if layout == KumoMTA {
		return b.addSecret(ctx, m, domain, selector, key, made)
	}
	name := b.spelling(domain)
	place := b.place(name, " selector %s", selector)
	added, err := newElement(domain, selector, key, made)
	if err != nil {
		return "", err
	}
	defer clear(added.Key)
	return place, b.change(ctx, m, name, func(o *object, again bool) error {
		signs := false
		for _, raw := range o.selectors {
			e, _ := parseElement(raw)
			mine := bytes.Equal(e.Key, added.Key)
			clear(e.Key)
			if e.Selector == selector && mine && again {
				return errDone
			}
			if e.Selector == selector {
				return fmt.Errorf("%s: %w", place, fs.ErrExist)
			}
			signs = signs || e.signs(time.Now())
		}
		first := *added
		if signs {
			wait := waiting
			first.Start, first.Ours = &wait, &ours{Made: added.Ours.Made, Start: &wait}
		}
		o.selectors = slices.Insert(o.selectors, 0, json.RawMessage(encode(first)))
		return nil
	})
}

// written is a selector as rspamadm vault writes it.
type written struct {
	element
	Pubkey string `json:"pubkey"`
	Bits   int    `json:"bits"`
}

// newElement makes a selector of PEM with PKCS#8.
func newElement(domain, selector string, key []byte, made time.Time) (*written, error) {
	block, _ := pem.Decode(key)
	if block == nil {
		return nil, errors.New("the key is not PEM")
	}
	defer clear(block.Bytes)
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the key is not PKCS#8: %w", err)
	}
	w := &written{element: element{Selector: selector, Domain: domain, Ours: &ours{Made: momentOf(made)}}}
	if start := w.Ours.Made; start != 0 {
		w.Start = &start
	}
	var private, public []byte
	switch parsed := parsed.(type) {
	case *rsa.PrivateKey:
		w.Alg, w.Bits = "rsa", parsed.N.BitLen()
		private = x509.MarshalPKCS1PrivateKey(parsed)
		public, err = x509.MarshalPKIXPublicKey(&parsed.PublicKey)
	case ed25519.PrivateKey:
		w.Alg = "ed25519"
		private, public = parsed, parsed.Public().(ed25519.PublicKey)
	default:
		err = fmt.Errorf("a key of type %T cannot sign DKIM", parsed)
	}
	if err != nil {
		return nil, err
	}
	defer clear(private)
	w.Key = base64.StdEncoding.AppendEncode(nil, private)
	w.Pubkey = base64.StdEncoding.EncodeToString(public)
	return w, nil
}

// signs reports whether rspamd signs with a selector.
func (e *element) signs(now time.Time) bool {
	return e.Selector != "" && (e.Start == nil || !e.Start.time().After(now)) && (e.End == nil || e.End.time().After(now))
}

// change changes rspamd's secret of a domain, again where somebody else was faster.
func (b *Backend) change(ctx context.Context, m *mount, name string, edit func(o *object, again bool) error) error {
	path := m.secret(name)
	for try := 1; ; try++ {
		err := b.changeOnce(ctx, m, path, func(o *object) error { return edit(o, try > 1) })
		switch {
		case errors.Is(err, errDone):
			return nil
		case !errors.Is(err, keystore.ErrConflict) || errors.Is(err, errOther) || try == tries || ctx.Err() != nil:
			return err
		}
	}
}

// errDone says that a change was made by a try that seemed to fail: of KV 1, it is not known
// whether another's write came before or after.
var errDone = errors.New("done")

func (b *Backend) changeOnce(ctx context.Context, m *mount, path string, edit func(*object) error) error {
	was, err := b.get(ctx, m, path)
	if err != nil {
		return err
	}
	defer clear(was.data)
	o := &object{}
	if was.data != nil {
		if o, err = parseObject(was.data); err != nil {
			return b.failed(request{method: "GET", path: path}, err)
		}
	}
	defer o.wipe()
	if err := edit(o); err != nil {
		return err
	}
	data := o.encode()
	defer clear(data)
	return b.put(ctx, m, path, data, was)
}

// addSecret stores a key as KumoMTA has it.
func (b *Backend) addSecret(ctx context.Context, m *mount, domain, selector string, key []byte,
	made time.Time) (string, error) {
	name := b.spelling(domain)
	place, path := b.place(name, "/%s", selector), m.secret(name, selector)
	was, err := b.get(ctx, m, path)
	if err != nil {
		return "", err
	}
	defer clear(was.data)
	if e := kumoEntry(was, selector, place); was.data != nil && (e.Data != nil || e.Err != nil) {
		clear(e.Data)
		return "", fmt.Errorf("%s: %w", place, fs.ErrExist)
	}
	data := encode(kumoSecret{Key: (*text)(&key), Ours: &ours{Made: momentOf(made)}})
	defer clear(data)
	err = b.put(ctx, m, path, data, was)
	if errors.Is(err, keystore.ErrConflict) {
		return "", fmt.Errorf("%s: %w", place, fs.ErrExist)
	}
	return place, err
}

func (b *Backend) spelling(domain string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen.spelling(domain)
}

// layoutOf returns the layout of new keys of a domain.
func (b *Backend) layoutOf(ctx context.Context, m *mount, domain string) (Layout, error) {
	if b.address.layout != Auto {
		return b.address.layout, nil
	}
	b.mu.Lock()
	seen := b.seen
	b.mu.Unlock()
	if !seen.listed {
		var err error
		if seen, err = b.look(ctx, func(string) {}); err != nil {
			return Auto, err
		}
	}
	switch {
	case !seen.folders:
		return Rspamd, nil
	case !seen.objects:
		return KumoMTA, nil
	}
	name := seen.spelling(domain)
	s, err := b.get(ctx, m, m.secret(name))
	clear(s.data)
	if err != nil || s.data != nil {
		return Rspamd, err
	}
	layout := Rspamd
	err = b.names(ctx, m, m.list(name), func(string) { layout = KumoMTA })
	return layout, err
}

// writable returns an error for Mailu, whose keys only its administration changes.
func (b *Backend) writable() error {
	if b.address.layout != Mailu {
		return nil
	}
	return finding.WithHint(fmt.Errorf("%s: %w", b.Name(), errReadOnly), "make and change keys in Mailu's administration")
}

var errReadOnly = errors.New("store of Mailu: it gives keys and takes none")
