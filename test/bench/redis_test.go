package main

import (
	"maps"
	"testing"
)

// The keys are where they are looked for, and what clients ask is counted.
func TestRedisCountsCommands(t *testing.T) {
	t.Parallel()
	r, err := startRedis(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer r.stop()
	if err := r.fill(501, [][]byte{[]byte("one"), []byte("two")}); err != nil {
		t.Fatal(err)
	}
	calls, total, err := r.calls()
	if err != nil || total != 2 || calls["hset"] != 2 {
		t.Errorf("filling took %v, %d in all, %v", calls, total, err)
	}
	if err := r.reset(); err != nil {
		t.Fatal(err)
	}
	if got, err := r.do("HGET", redisHash, flatSelector+"."+domain(499)); err != nil || got != "two" {
		t.Errorf("the key of domain 499 is %q, %v", got, err)
	}
	if got, err := r.do("HGET", redisHash, "none"); err != nil || got != "" {
		t.Errorf("the key of no domain is %q, %v", got, err)
	}
	if _, err := r.do("HGET", redisHash); err == nil {
		t.Error("a wrong command gives no error")
	}
	calls, _, err = r.calls()
	if want := map[string]int{"hget": 2}; err != nil || !maps.Equal(calls, want) {
		t.Errorf("counted %v, %v, want %v", calls, err, want)
	}
}
