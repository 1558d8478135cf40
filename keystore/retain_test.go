package keystore_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"signpost/keystore"
	"signpost/keystore/backendtest"
)

// What is remembered of domains that have no key keeps nothing of the mail that they are from,
// whose header they may be a part of.
func TestNamesKeepNoMail(t *testing.T) {
	log := slog.New(slog.DiscardHandler)
	remote := keystore.OpenRemote(t.Context(), new(backendtest.Memory), keystore.Options{}, log)
	path := filepath.Join(t.TempDir(), "shared.private")
	if err := os.WriteFile(path, edKey(1), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := keystore.LoadShared([]keystore.KeyFile{{Selector: "s1", Path: path}}, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	shared := keystore.NewShared(remote, keys, log)
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for what, remember := range map[string]func(string){
		"a store": func(name string) { remote.Domain(name) }, "a shared key": shared.Want,
	} {
		before := heap()
		for i := range 32 {
			name := fmt.Sprintf("d%d-%s.example", i, strings.ReplaceAll(what, " ", ""))
			remember((strings.Repeat("x", 1<<20) + name)[1<<20:])
		}
		if after := heap(); after > before+8<<20 {
			t.Errorf("%s: 32 names keep %d MiB", what, (after-before)>>20)
		}
	}
	runtime.KeepAlive(remote)
	runtime.KeepAlive(shared)
}
