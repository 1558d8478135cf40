package redis

import (
	"context"
	"errors"
	"strings"
	"time"

	"signpost/keystore/redis/internal/resp"
)

var errReply = errors.New("the server did not answer as Redis does")

// acquire waits for the turn of who lists.
func (b *Backend) acquire(ctx context.Context) error {
	select {
	case b.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (b *Backend) release() { <-b.turn }

// refresh lists the names, unless they were since then.
func (b *Backend) refresh(ctx context.Context, since time.Time) error {
	if err := b.acquire(ctx); err != nil {
		return err
	}
	defer b.release()
	b.names.mu.Lock()
	done := !b.names.at.IsZero() && !b.names.at.Before(since)
	b.names.mu.Unlock()
	if done {
		return nil
	}
	began := time.Now()
	h, ok, err := b.layout(ctx)
	if err != nil {
		return err
	}
	if !ok {
		b.names.replace(nil, nil, began)
		return nil
	}
	// The selectors come first: a key is written before it is selected, and so what they
	// name is among the keys.
	dotted, known := b.names.knownDotted()
	if !known {
		if dotted, err = b.listDotted(ctx, h); err != nil {
			return err
		}
		b.names.setDotted(dotted, began)
	}
	replies, err := b.servers.do(ctx, h.keys, false, resp.Command{"HKEYS", h.keys})
	if err != nil {
		return err
	}
	items, ok := replies[0].([]any)
	if !ok {
		return errReply
	}
	fields := make([]string, 0, len(items))
	for i, item := range items {
		field, ok := resp.Text(item)
		if !ok {
			return errReply
		}
		fields, items[i] = append(fields, field), nil // of very many, both are not kept at once
	}
	b.names.replace(fields, dotted, began)
	return nil
}

// scanPage is how many fields a page of the selectors has: some 7 ms of the server's time.
const scanPage = 5000

// listDotted returns the selectors that have dots, by domain.
func (b *Backend) listDotted(ctx context.Context, h hashes) (map[string]string, error) {
	dotted := make(map[string]string)
	if h.selectors == "" {
		return dotted, nil
	}
	err := b.servers.scan(ctx, h.selectors, scanPage, func(domain, selector string) {
		if strings.Contains(selector, ".") {
			dotted[domain] = selector
		}
	})
	return dotted, err
}
