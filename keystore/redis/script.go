package redis

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/redis/internal/resp"
)

// script runs a script that writes, and reports whether it returned 1. It is sent once.
func (b *Backend) script(ctx context.Context, script string, keys []string, args ...any) (bool, error) {
	command := resp.Command{"EVAL", script, len(keys)}
	for _, key := range keys {
		command = append(command, key)
	}
	n, err := b.number(ctx, keys[0], true, append(command, args...))
	var said resp.Error
	if errors.As(err, &said) && strings.HasPrefix(string(said), "NOPERM") {
		err = finding.WithHint(fmt.Errorf("the user may not change keys: %w", said),
			"give it the rights of the companion in keystore/README.md, with ACL SETUSER")
	}
	return n == 1, err
}

// number sends a command that is answered with a number.
func (b *Backend) number(ctx context.Context, hash string, write bool, command resp.Command) (int, error) {
	replies, err := b.servers.do(ctx, hash, write, command)
	if err != nil {
		return 0, err
	}
	return resp.Int(replies[0])
}

// field returns a field of a hash, and whether it is there.
func (b *Backend) field(ctx context.Context, hash, field string) (string, bool, error) {
	replies, err := b.servers.do(ctx, hash, false, resp.Command{"HGET", hash, field})
	if err != nil || replies[0] == nil {
		return "", false, err
	}
	text, ok := resp.Text(replies[0])
	if !ok {
		return "", false, errReply
	}
	return text, true, nil
}
