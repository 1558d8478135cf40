// Package publish puts key records into the DNS, and takes them away, where it is
// given the right to: by dynamic updates, or through the API of a DNS provider.
package publish

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"signpost/keystore/record"
)

// Publisher puts key records into the DNS. An error leaves what was there, or
// names what it left; trying again is always right.
type Publisher interface {
	// Publish adds a TXT record, unless it is there, in place of one that revokes a
	// key. It fails where the name has another key's record: with two, verifiers
	// may take either (RFC 6376, section 3.6.2.2).
	Publish(ctx context.Context, name, value string, ttl time.Duration) error
	// Withdraw takes a key's TXT record away, if it is there, and what revokes one,
	// and puts another in its place unless that is empty.
	Withdraw(ctx context.Context, name, value, instead string, ttl time.Duration) error
}

// same reports whether two texts are one, or two forms of one key's record.
func same(a, b string) bool {
	keyA, errA := record.ParseDKIM(a)
	keyB, errB := record.ParseDKIM(b)
	return a == b || errA == nil && errB == nil && len(keyA.PublicKey) > 0 && bytes.Equal(keyA.PublicKey, keyB.PublicKey)
}

// revoked reports whether a text is the record of a revoked key (RFC 6376, section
// 3.6.1).
func revoked(text string) bool {
	key, err := record.ParseDKIM(text)
	return err == nil && len(key.PublicKey) == 0
}

// look finds value among the texts at a name. The error is for another key's record.
func look(value string, texts []string) (found bool, err error) {
	for _, text := range texts {
		_, err := record.ParseDKIM(text)
		switch {
		case same(text, value):
			found = true
		case err == nil && !revoked(text):
			return false, fmt.Errorf("another key's record is there: %.60s...; hint: take it away first, for two at one name verify nothing", text)
		}
	}
	return found, nil
}
