package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"signpost/milter/dkim"
	"signpost/test/lab/nameserver"
)

// serveZone is the command nameserver of the stories:
//
//	nameserver FILE [NAME ...]
//
// serves the zone file until the story ends and sets $RESOLVER to its address.
// It fails (SERVFAIL) for the names.
func serveZone(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nameserver FILE [NAME ...]")
	}
	zone, err := nameserver.ParseZone(ts.ReadFile(args[0]))
	ts.Check(err)
	if names := args[1:]; len(names) > 0 {
		zone.Fail(nameserver.Code(miekg.RcodeServerFailure), names...)
	}
	server, err := nameserver.Start(nameserver.Anywhere, zone)
	ts.Check(err)
	ts.Defer(server.Stop)
	ts.Setenv("RESOLVER", server.Addr)
}

// The public half of a key directory stands for the DNS.
func TestVerifyWithKeys(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "keys", "example.org", "s1.private")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	recipe, err := new(dkim.Policy).Compile()
	if err != nil {
		t.Fatal(err)
	}
	m := recipe.NewMessage()
	m.Field([]byte("From"), []byte(" a@example.org"))
	if err := m.Begin(dkim.Signature{Domain: "example.org", Selector: "s1", Key: key}); err != nil {
		t.Fatal(err)
	}
	m.Write([]byte("x\r\n"))
	values, err := m.Sign(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	message := filepath.Join(dir, "message")
	verify := func(text string) (int, string) {
		if err := os.WriteFile(message, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		code := run(context.Background(), []string{"signpost", "verify", message, "--keys", filepath.Join(dir, "keys")}, &out, &errs)
		return code, out.String() + errs.String()
	}
	signed := "DKIM-Signature:" + values[0] + "\r\nFrom: a@example.org\r\n\r\nx\r\n"
	if code, out := verify(signed); code != 0 || !strings.Contains(out, "is authenticated for example.org") {
		t.Errorf("got %d:\n%s", code, out)
	}
	if code, out := verify(strings.Replace(signed, "\r\nx", "\r\ny", 1)); code != exitFinding || !strings.Contains(out, "the body was changed") {
		t.Errorf("got %d:\n%s", code, out)
	}
}
