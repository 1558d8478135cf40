package main

import (
	"net"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/keystore/redis/redistest"
	"signpost/keystore/vault/vaulttest"
)

// testOfStory is the key of the test that a story is.
type testOfStory struct{}

func testOf(ts *testscript.TestScript) testing.TB {
	t, ok := ts.Value(testOfStory{}).(testing.TB)
	if !ok {
		ts.Fatalf("the test of a story is a %T", ts.Value(testOfStory{}))
	}
	return t
}

// redisServer is the command redis of the stories:
//
//	redis [ARG ...]
//
// starts a redis-server until the story ends, and sets $REDIS to its host and port and $PORT
// to the latter.
func redisServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg {
		ts.Fatalf("usage: redis [ARG ...]")
	}
	server := redistest.Start(testOf(ts), args...)
	_, port, err := net.SplitHostPort(server.Addr)
	ts.Check(err)
	ts.Setenv("REDIS", server.Addr)
	ts.Setenv("PORT", port)
}

// vaultServer is the command vault of the stories: it starts an imitation of Vault with KV 2
// at secret/ until the story ends, and sets $VAULT_ADDR and $VAULT_TOKEN.
func vaultServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 {
		ts.Fatalf("usage: vault")
	}
	server := vaulttest.Start(testOf(ts))
	server.Mount("secret", 2)
	ts.Setenv("VAULT_ADDR", server.URL)
	ts.Setenv("VAULT_TOKEN", vaulttest.Root)
}
