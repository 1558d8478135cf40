package redis

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// notesScript replaces the notes of a domain if what is there has the digest in ARGV[2],
// and removes them where the new ones are empty.
const notesScript = `local v=redis.call('HGET',KEYS[1],ARGV[1])
if (v and redis.sha1hex(v) or '')~=ARGV[2] then return 0 end
if ARGV[3]=='' then redis.call('HDEL',KEYS[1],ARGV[1]) else redis.call('HSET',KEYS[1],ARGV[1],ARGV[3]) end
return 1`

// Notes returns the notes of a domain in the hash signpost:rotation. The revision is their
// digest.
func (b *Backend) Notes(ctx context.Context, domain string) ([]byte, string, error) {
	h, err := b.notesHash(ctx)
	if err != nil {
		return nil, "", b.explain(err)
	}
	notes, there, err := b.field(ctx, h, domain)
	if err != nil {
		return nil, "", b.explain(err)
	}
	if !there {
		return nil, "", nil
	}
	return []byte(notes), revision(notes), nil
}

// WriteNotes replaces them, in one step.
func (b *Backend) WriteNotes(ctx context.Context, domain string, notes []byte, revision string) error {
	h, err := b.notesHash(ctx)
	if err != nil {
		return b.explain(err)
	}
	ok, err := b.script(ctx, notesScript, []string{h}, domain, revision, notes)
	if err == nil && !ok {
		err = finding.WithHint(fmt.Errorf("%s %s: %w", h, domain, keystore.ErrConflict), "do it again")
	}
	return b.explain(err)
}

// notesHash is the usual one where no key says the layout yet.
func (b *Backend) notesHash(ctx context.Context) (string, error) {
	h, _, err := b.layout(ctx)
	if h.notes == "" {
		h = usual[0].complete()
	}
	return h.notes, err
}

func revision(notes string) string {
	sum := sha1.Sum([]byte(notes))
	return hex.EncodeToString(sum[:])
}
