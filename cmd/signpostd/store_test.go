package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signpost/keystore/redis/redistest"
)

// A user of Redis with the rights of the README is enough, and so is what signpostd may do
// once it is confined: it shares what the DNS said, and keeps a local copy in a directory
// that was not there, with a key that is elsewhere.
func TestStoreWithFewRights(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	readme, err := os.ReadFile("../../keystore/redis/README.md")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(readme)) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "ACL" {
			server.Do(t, words...)
		}
	}
	dir := t.TempDir()
	keyFor(t, dir)
	key, err := os.ReadFile(filepath.Join(dir, "example.org.private"))
	if err != nil {
		t.Fatal(err)
	}
	server.Do(t, "HSET", "DKIM_PRIV_KEYS", "s1.example.org", string(key))
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("5a", 32)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(dir, "copies", "here")
	daemon := launch(t, "--keys", "redis://signpostd:PASSWORD@"+server.Addr, "--rescan", "1h", "--resolver", "127.0.0.1:9",
		"--node", "a", "--cache", cache, "--cache-key", secret)
	daemon.await("msg=listening")
	redistest.Until(t, "the node says that it lives", func() bool {
		return server.Do(t, "EXISTS", "{signpost}:nodes") == "1"
	})
	server.Do(t, "HSET", "DKIM_PRIV_KEYS", "s2.example.net", string(key))
	daemon.await("domain=example.net selector=s2")
	if err := daemon.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := daemon.Wait(); err != nil {
		t.Error(err)
	}
	if copies, err := filepath.Glob(filepath.Join(cache, "keys-*")); err != nil || len(copies) != 1 {
		t.Errorf("copies %q: %v", copies, err)
	}
	log, err := os.ReadFile(daemon.log)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(log)) {
		if strings.Contains(line, "level=WARN") && !strings.Contains(line, "127.0.0.1:9") || strings.Contains(line, "level=ERROR") {
			t.Error(line)
		}
	}
}
