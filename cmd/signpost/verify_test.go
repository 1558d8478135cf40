package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	miekg "github.com/miekg/dns"
	"github.com/rogpeppe/go-internal/testscript"

	"signpost/keystore/dns"
	"signpost/milter/dkim"
)

// nameserver is a command of the stories:
//
//	nameserver FILE [NAME ...]
//
// serves the zone file until the story ends and sets $RESOLVER to its address.
// It fails (SERVFAIL) for the names.
func nameserver(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: nameserver FILE [NAME ...]")
	}
	records, err := parseRecords(ts.ReadFile(args[0]), "", "")
	ts.Check(err)
	zone := dns.NewZone(records)
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	ts.Check(err)
	started, done := make(chan struct{}), make(chan struct{})
	server := &miekg.Server{PacketConn: conn, NotifyStartedFunc: func() { close(started) }}
	server.Handler = miekg.HandlerFunc(func(w miekg.ResponseWriter, query *miekg.Msg) {
		reply := new(miekg.Msg).SetReply(query)
		reply.RecursionAvailable = true
		question := query.Question[0]
		answer, err := zone.Lookup(context.Background(), question.Name, question.Qtype)
		switch {
		case err != nil || slices.Contains(args[1:], strings.TrimSuffix(question.Name, ".")):
			reply.Rcode = miekg.RcodeServerFailure
		case answer.NXDomain:
			reply.Rcode = miekg.RcodeNameError
		default:
			reply.Answer = answer.Records
		}
		w.WriteMsg(reply)
	})
	go func() { defer close(done); server.ActivateAndServe() }()
	<-started
	ts.Defer(func() { server.Shutdown(); <-done })
	ts.Setenv("RESOLVER", conn.LocalAddr().String())
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
