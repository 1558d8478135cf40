package migrate

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"slices"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// readAtOnce is how many domains are read with one call.
const readAtOnce = 200

// ReadStore reads all keys of a store that is reached over the network. The error is for
// the store itself.
func ReadStore(ctx context.Context, backend keystore.Backend) (*Plan, error) {
	r := &reader{plan: &Plan{Path: backend.Name(), Kind: KeyFiles, What: "a store of keys"}}
	var domains []string
	if err := backend.List(ctx, func(domain, _ string) { domains = append(domains, domain) }); err != nil {
		return nil, err
	}
	slices.Sort(domains)
	for batch := range slices.Chunk(domains, readAtOnce) {
		all, err := backend.Read(ctx, batch)
		if err != nil {
			return nil, err
		}
		for i, entries := range all {
			r.entries(batch[i], entries)
		}
	}
	if len(domains) == 0 {
		r.report(finding.Fault, "import-empty", Place{File: backend.Name()}, "it has no keys",
			"there is nothing to carry over", "")
	}
	r.finish()
	return r.plan, nil
}

// entries takes the keys of a domain into the plan: the newest sign, as in signpostd.
func (r *reader) entries(domain string, entries []keystore.Entry) {
	var found []Key
	for _, entry := range entries {
		key, err := keyOf(domain, entry)
		if err != nil {
			r.fault("import-key", Place{File: entry.Place}, err, "the key is not carried over")
			continue
		}
		if !entry.NotBefore.IsZero() || !entry.NotAfter.IsZero() {
			r.report(finding.Warning, "import-window", Place{File: entry.Place},
				"the store says when the key may sign, from "+moment(entry.NotBefore)+" until "+moment(entry.NotAfter),
				"this is not carried over", "")
		}
		found = append(found, key)
	}
	keys := make([]*keystore.Key, len(found))
	for i := range found {
		keys[i] = &found[i].Key
	}
	keystore.ByAge(keys)
	signing := newest(keys)
	for _, signs := range []bool{true, false} {
		for _, key := range found {
			if slices.ContainsFunc(signing, key.Equal) == signs {
				key.Signs = signs
				r.add(key)
			}
		}
	}
}

// keyOf reads an entry. What is not in PEM there is here.
func keyOf(domain string, entry keystore.Entry) (Key, error) {
	if entry.Err != nil {
		return Key{}, entry.Err
	}
	selector, err := keystore.Selector(entry.Selector)
	if err != nil {
		return Key{}, err
	}
	signer, err := keystore.ParsePrivate(entry.Data)
	if err != nil {
		return Key{}, fmt.Errorf("the key for %s, selector %q: %w", domain, selector, err)
	}
	// What a store has beside the PEM block is its own.
	block, rest := pem.Decode(entry.Data)
	data := bytes.TrimSpace(entry.Data[:len(entry.Data)-len(rest)])
	if data = append(data, '\n'); block == nil || !bytes.HasPrefix(data, []byte("-----BEGIN ")) {
		if data, err = keystore.PEM(entry.Data); err != nil {
			return Key{}, err
		}
	}
	algorithm, bits := keystore.Describe(signer)
	return Key{Data: data, Key: keystore.Key{
		Domain: domain, Selector: selector, Algorithm: algorithm, Bits: bits,
		Signer: signer, File: entry.Place, ModTime: entry.Made,
	}}, nil
}

func moment(at time.Time) string {
	if at.IsZero() {
		return "any time"
	}
	return at.UTC().Format(time.DateTime)
}
