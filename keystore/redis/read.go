package redis

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/binary"
	"fmt"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// How old the names may be that Read goes by, where the server does not report changes: a
// second, and longer where listing them takes more than a twentieth of that; and how long
// at most changes wait for listing.
const (
	namesFor = time.Second
	share    = 20
	mostWait = 5 * time.Second
)

// maxValue is the longest private key: RSA of 16384 bits is under 13 KB in PEM.
const maxValue = 64 << 10

// batch is how many keys are asked for at once: 200 of 2048 bits are 340 KB.
const batch = 200

// wanted is a key that Read returns.
type wanted struct {
	at       int // the index of its domain
	domain   string
	selector string
}

// Read reads the keys of domains, a round trip for every 200. Which selectors a domain has
// is known from listing, and listed anew where that is older than a second and the server
// does not report changes.
func (b *Backend) Read(ctx context.Context, domains []string) ([][]keystore.Entry, error) {
	if since, stale := b.names.stale(); stale {
		if err := b.refresh(ctx, since); err != nil {
			return nil, b.explain(err)
		}
	}
	entries, whole, err := b.read(ctx, domains)
	if err == nil && !whole {
		// What was listed is gone; it may have another name now.
		wipe(entries)
		if err = b.refresh(ctx, time.Now()); err == nil {
			entries, _, err = b.read(ctx, domains)
		}
	}
	if err != nil {
		wipe(entries)
		return nil, b.explain(err)
	}
	return entries, nil
}

// read returns what there is of what was listed, and whether all was there.
func (b *Backend) read(ctx context.Context, domains []string) (entries [][]keystore.Entry, whole bool, err error) {
	entries = make([][]keystore.Entry, len(domains))
	var all []wanted
	for i, domain := range domains {
		for _, selector := range b.names.selectors(domain) {
			all = append(all, wanted{i, domain, selector})
		}
	}
	whole = true
	if len(all) == 0 {
		return entries, whole, nil
	}
	h, _, err := b.layout(ctx)
	if err != nil {
		return entries, false, err
	}
	for len(all) > 0 {
		part := all[:min(batch, len(all))]
		all = all[len(part):]
		command := resp.Command{"HMGET", h.keys}
		for _, w := range part {
			command = append(command, w.selector+"."+w.domain)
		}
		values, err := b.values(ctx, h.keys, command, len(part))
		if err != nil {
			return entries, false, err
		}
		for i, w := range part {
			if values[i] == nil {
				whole = false
				continue
			}
			b.names.met(w.domain, w.selector, digest(values[i]))
			entries[w.at] = append(entries[w.at], newEntry(w.selector, b.place(h.keys, w.selector+"."+w.domain), values[i]))
		}
	}
	return entries, whole, nil
}

// values returns the answer to HMGET: nil for what is not there.
func (b *Backend) values(ctx context.Context, hash string, command resp.Command, n int) ([][]byte, error) {
	replies, err := b.servers.do(ctx, hash, false, command)
	if err != nil {
		return nil, err
	}
	items, ok := replies[0].([]any)
	if !ok || len(items) != n {
		resp.Wipe(replies)
		return nil, errReply
	}
	values := make([][]byte, n)
	for i, item := range items {
		value, ok := item.([]byte)
		if !ok && item != nil {
			resp.Wipe(replies)
			return nil, errReply
		}
		values[i] = value
	}
	return values, nil
}

func newEntry(selector, place string, value []byte) keystore.Entry {
	e := keystore.Entry{Selector: selector, Place: place, Data: value, Made: madeIn(value)}
	if len(value) > maxValue {
		clear(value)
		e.Data = nil
		e.Err = finding.WithHint(fmt.Errorf("value of %d bytes: a private key has at most %d", len(value), maxValue),
			"see what wrote it")
	}
	return e
}

// digest is what digestScript computes in the server.
func digest(value []byte) uint64 {
	sum := sha1.Sum(value)
	return max(1, binary.BigEndian.Uint64(sum[:]))
}

// madePrefix begins the last line of a key that Add has written. It stands behind the PEM
// block and not, as in files, before it: rspamd takes a value for PEM only when it begins
// with -----BEGIN.
const madePrefix = "Made: "

// madeIn returns the time in a value, or zero.
func madeIn(value []byte) time.Time {
	_, text, ok := bytes.Cut(value, []byte("-----\n"+madePrefix))
	if !ok {
		return time.Time{}
	}
	made, err := time.Parse(time.RFC3339, string(bytes.TrimSpace(text)))
	if err != nil {
		return time.Time{}
	}
	return made
}

func wipe(entries [][]keystore.Entry) {
	for _, all := range entries {
		for _, e := range all {
			clear(e.Data)
		}
	}
}
