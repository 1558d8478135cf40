package vault

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"signpost/keystore"
	"signpost/keystore/backendtest/rspamdtest"
	"signpost/keystore/vault/vaulttest"
)

// rspamd is the other user of its layout: these tests run Debian's on the same store. It
// knows KV 1 only; versions that know KV 2 ask for the same secrets below data/.

func rspamadm(t *testing.T, s *vaulttest.Server, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "rspamadm", append([]string{"vault", "--path", "secret/dkim", "--output", "json"}, args...)...)
	cmd.Env = append(os.Environ(), "VAULT_ADDR="+s.URL, "VAULT_TOKEN="+vaulttest.Root)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("rspamadm vault %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// What rspamadm vault writes is read, and what it says is to be published fits the keys.
func TestRspamadmWrites(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 1)
	rspamadm(t, s, "newkey", "--bits", "2048", "--selector", "s1", "example.org")
	rspamadm(t, s, "newkey", "--algorithm", "ed25519", "--selector", "e1", "example.org")
	data, _ := s.Get("secret/dkim/example.org")
	b := onServer(t, s, "secret/dkim")
	snapshot, err := keystore.LoadRemote(t.Context(), b, keystore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	keys := snapshot.Keys("example.org")
	if len(keys) != 2 {
		t.Fatalf("keys: %v", keys)
	}
	for _, key := range keys {
		var signed bytes.Buffer
		err := dkim.Sign(&signed, strings.NewReader(rspamdtest.Message), &dkim.SignOptions{
			Domain: "example.org", Selector: key.Selector, Signer: key.Signer, HeaderKeys: []string{"From"},
		})
		if err != nil {
			t.Fatal(err)
		}
		verified(t, signed.String(), data)
	}
}

// What is written here, rspamadm vault shows and rspamd signs with, but not before its time.
func TestRspamdReads(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 1)
	b := onServer(t, s, "secret/dkim")
	for selector, key := range map[string]any{"s1": rsaKey(), "s2": edKey(1)} {
		if _, err := b.Add(t.Context(), "example.org", selector, pemOf(key), time.Now().Add(-time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	first, second := "s1", "s2"
	if data, _ := s.Get("secret/dkim/example.org"); rspamdSigns(t, data, time.Now()) == "s2" {
		first, second = second, first
	}
	var shown []struct {
		Selector string
		Start    int64 `json:"valid_start"`
		Signpost struct{ Made int64 }
	}
	if out := rspamadm(t, s, "show", "example.org"); json.Unmarshal([]byte(out), &shown) != nil || len(shown) != 2 {
		t.Fatalf("rspamadm vault show: %s", out)
	}
	if shown[0].Selector != second || shown[0].Start != int64(waiting) || shown[0].Signpost.Made == 0 {
		t.Errorf("rspamadm vault show: %+v", shown)
	}
	if out := rspamadm(t, s, "list"); !strings.Contains(out, `"example.org"`) {
		t.Errorf("rspamadm vault list: %s", out)
	}

	rspamd := startRspamd(t, s)
	if got := signs(t, rspamd, s); !slices.Equal(got, []string{first}) {
		t.Errorf("rspamd signs with %q, not %q", got, first)
	}
	if err := b.Select(t.Context(), "example.org", second); err != nil {
		t.Fatal(err)
	}
	if got := signs(t, rspamd, s); !slices.Equal(got, []string{"s1", "s2"}) {
		t.Errorf("rspamd signs with %q, not both", got)
	}
	for _, e := range read(t, b, "example.org") {
		signer, err := keystore.ParsePrivate(e.Data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := b.Retire(t.Context(), &keystore.Key{Domain: "example.org", Selector: e.Selector, Signer: signer, File: e.Place}); err != nil {
			t.Fatal(err)
		}
	}
	// After the last key was archived, rspamadm makes another.
	rspamadm(t, s, "newkey", "--bits", "1024", "--selector", "s3", "example.org")
	if got := signs(t, rspamd, s); !slices.Equal(got, []string{"s3"}) {
		t.Errorf("rspamd signs with %q, not s3", got)
	}
}

// startRspamd starts one that signs with the keys of the store.
func startRspamd(t *testing.T, s *vaulttest.Server) *rspamdtest.Rspamd {
	t.Helper()
	return rspamdtest.Start(t,
		`use_vault = true; vault_url = "`+s.URL+`"; vault_token = "`+vaulttest.Root+`"; vault_path = "secret/dkim";`)
}

// signs has rspamd sign a message, and returns the selectors of signatures, sorted, that are
// good by the records that the store has the public keys for.
func signs(t *testing.T, rspamd *rspamdtest.Rspamd, s *vaulttest.Server) (selectors []string) {
	t.Helper()
	signatures := rspamd.Sign(t)
	if len(signatures) == 0 {
		t.Fatal("not signed")
	}
	data, _ := s.Get("secret/dkim/example.org")
	for _, signature := range signatures {
		selectors = append(selectors, verified(t, "DKIM-Signature: "+signature+"\r\n"+rspamdtest.Message, data))
	}
	slices.Sort(selectors)
	return selectors
}

// verified verifies the first signature of a message with the public keys of rspamd's
// object, and returns its selector.
func verified(t *testing.T, message string, object []byte) (selector string) {
	t.Helper()
	var keys struct {
		Selectors []struct{ Selector, Alg, Pubkey string }
	}
	if err := json.Unmarshal(object, &keys); err != nil {
		t.Fatal(err)
	}
	results, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(name string) ([]string, error) {
			for _, key := range keys.Selectors {
				if name == key.Selector+"._domainkey.example.org" {
					selector = key.Selector
					return []string{fmt.Sprintf("v=DKIM1; k=%s; p=%s", key.Alg, key.Pubkey)}, nil
				}
			}
			return nil, fmt.Errorf("no %s", name)
		},
	})
	if err != nil || len(results) != 1 || results[0].Err != nil {
		t.Fatalf("verification: %v %+v\n%s", err, results, message)
	}
	return selector
}
