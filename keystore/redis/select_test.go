package redis_test

import (
	"testing"
	"time"

	"signpost/keystore/redis/redistest"
)

// A domain has one selector, so no key takes it from one of another type.
func TestSelectIsOfAType(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := open(t, "redis://"+server.Addr+"/0?layout=mailcow")
	add := func(selector string, key []byte) {
		t.Helper()
		if _, err := b.Add(t.Context(), "example.org", selector, key, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	block, _ := newKey(t)
	add("r1", rsaPEM(t))
	add("r2", rsaPEM(t))
	add("e1", []byte(block))
	for _, step := range []struct{ choose, want string }{{"e1", "r1"}, {"r2", "r2"}, {"e1", "r2"}, {"r1", "r1"}} {
		if err := b.Select(t.Context(), "example.org", step.choose); err != nil {
			t.Fatal(err)
		}
		if got := server.Do(t, "HGET", "DKIM_SELECTORS", "example.org"); got != step.want {
			t.Errorf("with %s chosen, %s is selected, want %s", step.choose, got, step.want)
		}
	}
	// Where the one that is selected is not there, any is better than none.
	server.Do(t, "HDEL", "DKIM_PRIV_KEYS", "r1.example.org")
	if err := b.Select(t.Context(), "example.org", "e1"); err != nil {
		t.Fatal(err)
	}
	if got := server.Do(t, "HGET", "DKIM_SELECTORS", "example.org"); got != "e1" {
		t.Errorf("%s is selected", got)
	}
}
