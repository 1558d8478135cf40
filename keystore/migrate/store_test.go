package migrate

import (
	"bytes"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/backendtest"
)

// All keys of a store are carried over as PEM, the newest as the one that signs; what is wrong
// with some is told.
func TestReadStore(t *testing.T) {
	t.Parallel()
	text := keyText(1, "pkcs8")
	block, _ := pem.Decode([]byte(text))
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	store := new(backendtest.Memory)
	for _, e := range []keystore.Entry{
		// As Redis has it, with a line of its own after the block.
		{Selector: "old", Data: []byte(text + "Made: 2026-01-02T03:04:05Z\n"), Made: made},
		{Selector: "new", Data: []byte(base64.StdEncoding.EncodeToString(block.Bytes)), Made: made.Add(time.Hour)},
		{Selector: "early", Data: []byte(keyText(2, "pkcs1")), NotAfter: made},
		{Selector: "bad", Data: []byte("nonsense")},
		{Selector: "none", Err: errors.New("it has no key")},
	} {
		store.PutEntry("example.org", e)
	}
	plan, err := ReadStore(t.Context(), store)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, key := range plan.Keys {
		signs := ""
		if key.Signs {
			signs = " signs"
		}
		got = append(got, key.Selector+signs)
		if key.Selector != "early" && !bytes.Equal(key.Data, []byte(text)) {
			t.Errorf("%s is carried over as\n%s", key.Selector, key.Data)
		}
	}
	if s := strings.Join(got, ", "); s != "new signs, early, old" {
		t.Errorf("keys: %s", s)
	}
	for _, want := range []string{"import-window", "it has no key", `selector "bad"`, "until 2026-01-02 03:04:05"} {
		if !strings.Contains(losses(plan), want) {
			t.Errorf("%q is not told:\n%s", want, losses(plan))
		}
	}
	empty, err := ReadStore(t.Context(), new(backendtest.Memory))
	if err != nil || !strings.Contains(losses(empty), "it has no keys") {
		t.Errorf("of an empty store: %v, %s", err, losses(empty))
	}
}
