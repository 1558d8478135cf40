package redis_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"

	"signpost/keystore"
	"signpost/keystore/backendtest/rspamdtest"
	"signpost/keystore/record"
	"signpost/keystore/redis/redistest"
)

func rsaPEM(t *testing.T) []byte {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

// signs returns the selector that rspamd signs with, if the key that is there verifies it; "" where it
// does not sign.
func signs(t *testing.T, rspamd *rspamdtest.Rspamd, server *redistest.Server, hash string) (selector string) {
	t.Helper()
	signatures := rspamd.Sign(t)
	if len(signatures) == 0 {
		return ""
	}
	results, err := dkim.VerifyWithOptions(strings.NewReader("DKIM-Signature: "+signatures[0]+"\r\n"+rspamdtest.Message),
		&dkim.VerifyOptions{LookupTXT: func(name string) ([]string, error) {
			selector, _, _ = strings.Cut(name, ".")
			signer, err := keystore.ParsePrivate([]byte(server.Do(t, "HGET", hash, selector+".example.org")))
			if err != nil {
				return nil, err
			}
			r, err := record.ForKey(signer.Public())
			return []string{r.String()}, err
		}})
	if err != nil || len(results) != 1 || results[0].Err != nil {
		t.Fatalf("verification: %v %+v", err, results)
	}
	return selector
}

// rspamd signs with what Add writes, and with the other key from Select on, as in mailcow.
func TestRspamdReads(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := open(t, "redis://"+server.Addr+"?layout=mailcow")
	rspamd := rspamdtest.Start(t, fmt.Sprintf(`use_redis = true; servers = "%s";
  key_prefix = "DKIM_PRIV_KEYS"; selector_prefix = "DKIM_SELECTORS";`, server.Addr))
	const hash = "DKIM_PRIV_KEYS"
	made := time.Date(2026, 11, 29, 8, 35, 35, 0, time.UTC)
	for _, selector := range []string{"s1", "s2"} {
		if _, err := b.Add(t.Context(), "example.org", selector, rsaPEM(t), made); err != nil {
			t.Fatal(err)
		}
		if got := signs(t, rspamd, server, hash); got != "s1" {
			t.Errorf("rspamd signs with %q", got)
		}
	}
	public := server.Do(t, "HGET", "DKIM_PUB_KEYS", "example.org")
	if err := b.Select(t.Context(), "example.org", "s2"); err != nil {
		t.Fatal(err)
	}
	if got := signs(t, rspamd, server, hash); got != "s2" {
		t.Errorf("after Select rspamd signs with %q", got)
	}
	if now := server.Do(t, "HGET", "DKIM_PUB_KEYS", "example.org"); now == public {
		t.Error("mailcow shows the old key")
	}
	if err := b.Select(t.Context(), "example.org", "s3"); err == nil {
		t.Error("a key that is not there is selected")
	}
	entries, err := b.Read(t.Context(), []string{"example.org"})
	if err != nil || len(entries[0]) != 2 || !entries[0][0].Made.Equal(made) {
		t.Errorf("read %v: %v", entries, err)
	}
	// Why the time does not stand before the block.
	value := server.Do(t, "HGET", hash, "s2.example.org")
	block, line, _ := strings.Cut(value, "Made:")
	server.Do(t, "HSET", hash, "s2.example.org", "Made:"+line+block)
	if got := signs(t, rspamd, server, hash); got != "" {
		t.Errorf("with the time before the block rspamd signs with %q: it may stand there then", got)
	}
}

// Keys that rspamadm makes are read, as PEM and as base64 of DER, and rspamd signs with
// either.
func TestRspamadmWrites(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	out, err := exec.CommandContext(t.Context(), "rspamadm", "dkim_keygen", "-b", "1024").Output()
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(out)
	if block == nil {
		t.Fatalf("rspamadm dkim_keygen: %s", out)
	}
	text := string(pem.EncodeToMemory(block))
	server.Do(t, "HSET", "DKIM_KEYS", "dkim.example.org", text,
		"dkim.example.net", base64.StdEncoding.EncodeToString(block.Bytes))
	b := open(t, "redis://"+server.Addr)
	for _, domain := range []string{"example.org", "example.net"} {
		entries, err := b.Read(t.Context(), []string{domain})
		if err != nil || len(entries[0]) != 1 {
			t.Fatalf("%s: %d keys: %v", domain, len(entries[0]), err)
		}
		if _, err := keystore.ParsePrivate(entries[0][0].Data); err != nil {
			t.Errorf("%s: %v", domain, err)
		}
	}
	rspamd := rspamdtest.Start(t, fmt.Sprintf(`use_redis = true; servers = "%s"; key_prefix = "DKIM_KEYS";`, server.Addr))
	for _, value := range []string{text, base64.StdEncoding.EncodeToString(block.Bytes)} {
		server.Do(t, "HSET", "DKIM_KEYS", "dkim.example.org", value)
		if got := signs(t, rspamd, server, "DKIM_KEYS"); got != "dkim" {
			t.Errorf("rspamd signs with %q", got)
		}
	}
}
