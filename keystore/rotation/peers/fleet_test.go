package peers_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/record"
	"signpost/keystore/rotation"
	"signpost/keystore/rotation/peers"
	"signpost/test/lab/nameserver"
)

const domains = 40

// node is a signpostd without a milter.
type node struct {
	store   *keystore.Store
	book    *rotation.Book
	checker *rotation.Checker
}

// Four nodes with HTTP between them and a DNS that counts: they ask about each key once
// together, and all sign with a new key seconds after it is published.
func TestFleet(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(domain, selector string) record.DKIM {
		t.Helper()
		public, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(dir, domain), 0o700); err != nil {
			t.Fatal(err)
		}
		block := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
		if err := os.WriteFile(filepath.Join(dir, domain, selector+".private"), block, 0o600); err != nil {
			t.Fatal(err)
		}
		text, err := record.ForKey(public)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	zone := nameserver.NewZone(t)
	for i := range domains {
		domain := fmt.Sprintf("d%02d.example", i)
		zone.PublishTXT(record.Name("s1", domain), write(domain, "s1").String())
	}
	server := zone.Serve(t)
	var listeners []net.Listener
	var names []string
	for range 4 {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners, names = append(listeners, ln), append(names, ln.Addr().String())
	}
	log := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	var nodes []node
	for i, ln := range listeners {
		store, err := keystore.Open(keystore.Options{Dir: dir}, log)
		if err != nil {
			t.Fatal(err)
		}
		book, err := rotation.Open(store, rotation.On, rotation.State{}, log)
		if err != nil {
			t.Fatal(err)
		}
		resolver := &dns.Resolver{Servers: []string{server}, Patience: time.Second, Attempts: 1}
		checker := rotation.NewChecker(book, rotation.DNS{Resolver: resolver, Rate: 1000})
		name := fmt.Sprintf("mail-%d", i)
		checker.Share(name, peers.New(names, name, checker.Own, log))
		nodes = append(nodes, node{store, book, checker})
		web := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_ = checker.WriteFindings(w, r.URL.Query().Get("since"))
		})}
		running.Go(func() { _ = web.Serve(ln) })
		t.Cleanup(func() { _ = web.Close() })
	}
	for _, n := range nodes {
		n.checker.First(ctx)
		running.Go(func() { n.checker.Run(ctx) })
	}
	await := func(what string, holds func(n node) bool) time.Duration {
		t.Helper()
		start := time.Now()
		for _, n := range nodes {
			for !holds(n) {
				if time.Since(start) > time.Minute {
					t.Fatalf("after %v there is no sign that %s", time.Since(start), what)
				}
				time.Sleep(10 * time.Millisecond)
			}
		}
		return time.Since(start)
	}
	await("all nodes know each other", func(n node) bool { return len(n.checker.Round().Nodes) == 4 })
	await("all records were seen", func(n node) bool {
		for i := range domains {
			if n.book.Status(fmt.Sprintf("d%02d.example", i), time.Now())[0].Mark.Presence != dns.There {
				return false
			}
		}
		return true
	})
	asked := zone.Asked(miekg.TypeTXT)
	t.Logf("%d questions about %d keys at four nodes", asked, domains)
	if asked > 2*domains {
		t.Errorf("%d questions about %d keys", asked, domains)
	}

	const rotated = "d07.example"
	text := write(rotated, "s2")
	for _, n := range nodes {
		if err := n.store.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	zone.PublishTXT(record.Name("s2", rotated), text.String())
	took := await("all sign with the new key", func(n node) bool {
		keys, err := n.book.Signing(rotated)
		return err == nil && len(keys) == 1 && keys[0].Selector == "s2"
	})
	t.Logf("all sign with the new key after %v", took)
}
