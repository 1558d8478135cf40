package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"signpost/keystore/redis/internal/resp"
)

// digestScript returns the first 16 digits of the SHA-1 of each of the fields in ARGV, or -.
// So a change of a key is found without sending the keys.
const digestScript = `local r={}
local v=redis.call('HMGET',KEYS[1],unpack(ARGV))
for i=1,#v do r[i]=v[i] and string.sub(redis.sha1hex(v[i]),1,16) or '-' end
return r`

// digestBatch is how many digests a script computes: some 3 ms of the server's time.
const digestBatch = 250

// fullEvery is how often digests are compared although the server reports changes.
const fullEvery = 10 * time.Minute

// compare compares the digests of the keys that were read with those of the server, unless it
// would have reported a change.
func (b *Backend) compare(ctx context.Context) error {
	if err := b.acquire(ctx); err != nil {
		return err
	}
	defer b.release()
	n := b.names
	began := time.Now()
	n.mu.Lock()
	sure := n.watched && n.compared.After(n.dirty) && began.Sub(n.compared) < fullEvery
	n.mu.Unlock()
	if sure {
		return nil
	}
	h, ok, err := b.layout(ctx)
	if err != nil || !ok {
		return err
	}
	all := n.read()
	for len(all) > 0 {
		part := all[:min(digestBatch, len(all))]
		all = all[len(part):]
		if err := b.comparePart(ctx, h.keys, part); err != nil {
			return err
		}
	}
	n.mu.Lock()
	n.compared = began
	n.mu.Unlock()
	return nil
}

func (b *Backend) comparePart(ctx context.Context, hash string, part []named) error {
	fields := make([]any, 0, len(part))
	for _, k := range part {
		fields = append(fields, k.selector+"."+k.domain)
	}
	digests, err := b.digests(ctx, hash, fields)
	if err != nil {
		return err
	}
	for i, k := range part {
		if digests[i] != 0 && digests[i] != k.digest {
			b.names.met(k.domain, k.selector, digests[i])
		}
	}
	return nil
}

// digests returns the digests of fields, 0 for what is not there. A user who may not run
// scripts gets the values, in smaller parts.
func (b *Backend) digests(ctx context.Context, hash string, fields []any) ([]uint64, error) {
	if b.noScripts.Load() {
		return b.digestsOfValues(ctx, hash, fields)
	}
	var said resp.Error
	for _, eval := range []string{"EVAL_RO", "EVAL"} { // the former from Redis 7 on
		replies, err := b.servers.do(ctx, hash, false, append(resp.Command{eval, digestScript, 1, hash}, fields...))
		if errors.As(err, &said) && (unknownCommand(said) || strings.HasPrefix(string(said), "NOPERM")) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return parseDigests(replies[0], len(fields))
	}
	b.noScripts.Store(true)
	return b.digestsOfValues(ctx, hash, fields)
}

func parseDigests(reply any, n int) ([]uint64, error) {
	items, ok := reply.([]any)
	if !ok || len(items) != n {
		return nil, errReply
	}
	digests := make([]uint64, n)
	for i, item := range items {
		text, ok := resp.Text(item)
		if !ok {
			return nil, errReply
		}
		if text == "-" {
			continue
		}
		d, err := strconv.ParseUint(text, 16, 64)
		if err != nil {
			return nil, errReply
		}
		digests[i] = max(1, d)
	}
	return digests, nil
}

func (b *Backend) digestsOfValues(ctx context.Context, hash string, fields []any) ([]uint64, error) {
	var digests []uint64
	for len(fields) > 0 {
		part := fields[:min(batch, len(fields))]
		fields = fields[len(part):]
		values, err := b.values(ctx, hash, append(resp.Command{"HMGET", hash}, part...), len(part))
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			var d uint64
			if value != nil {
				d = digest(value)
			}
			clear(value)
			digests = append(digests, d)
		}
	}
	return digests, nil
}
