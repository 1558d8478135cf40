package system

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"signpost/milter"
	"signpost/milter/status/view"
)

// A relay that signs with a domain of its own beside each author's, and with one key for all
// customers who have a CNAME to its record: other people's verifiers accept all of it.
func TestRelaySignsForItselfAndItsCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	own, relay := rsaSignature("own.example", "mail"), rsaSignature("relay.example", "r1")
	shared := func(domain string) signature { return ed25519Signature(domain, "s1") }
	w.addKey("rsa", "own.example.private", own)
	w.addKey("rsa", "relay.example/r1.private", relay)
	key := newKey(t, "ed25519")
	w.publishKey(key, shared("keys.relay.example"))
	path := filepath.Join(w.dir, "shared", "shared.private")
	if err := os.Mkdir(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, key.pem, 0o644); err != nil {
		t.Fatal(err)
	}
	alias := func(domain string) {
		w.dns.Publish(t, domain, "s1._domainkey IN CNAME s1._domainkey.keys.relay.example.\n")
	}
	alias("customer.example")

	page := w.net + ".8:8892"
	d := w.startDaemon("--also-sign=relay.example", "--shared-key=s1="+path, "--http="+page,
		"ALLOWED_SENDER_DOMAINS=must.example")
	p := w.startPostfix(w.milterAddr())
	var all []signedMessage
	send := func(id, domain string, want ...[]signature) []signature {
		t.Helper()
		from := "a@" + domain
		p.mustSubmit(from, "reader@rcpt.test", letter(from, id))
		data := w.awaitDelivery(id)
		w.mustBeOneOf(data, want...)
		all = append(all, signedMessage{data, signatures(data)})
		return signatures(data)
	}
	published := func(domain string) {
		t.Helper()
		await(t, domain+" to be proven", func() bool {
			return len(d.logged("key is published", "domain="+domain)) > 0
		})
	}

	// Two signatures, the author's above the relay's.
	send("own", "own.example", []signature{own, relay})
	fields := signatureFields(all[0].data)
	if fields[0].signature != own || fields[1].signature != relay {
		t.Errorf("the order is %v, %v", fields[0].signature, fields[1].signature)
	}
	if got := d.logged("DKIM-Signature field added (s=mail, d=own.example), (s=r1, d=relay.example)"); len(got) != 1 {
		t.Errorf("the log has %q", got)
	}

	// A customer has published the alias, and that is seen after the first message.
	both := []signature{shared("customer.example"), relay}
	send("first", "customer.example", []signature{relay})
	published("customer.example")
	send("second", "customer.example", both)
	send("stranger", "stranger.example", []signature{relay})

	// A domain that must be signed waits for that, and says what for.
	p.mustRefuse("a@must.example", "reader@rcpt.test", letter("a@must.example", "early"), 451, "4.7.1")
	if len(d.logged("reason=no-key", "from=must.example", "s1._domainkey.must.example", "signpost dns must.example")) != 1 {
		t.Error("the log does not say what is to be published for must.example")
	}
	alias("must.example")
	d.signal(syscall.SIGHUP)
	published("must.example")
	send("must", "must.example", []signature{shared("must.example"), relay})

	client := view.NewClient(milter.Address{Network: "tcp", Address: page}, patience)
	shown, err := client.All(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, domain := range shown.Domains {
		names = append(names, domain.Name)
	}
	if want := "customer.example must.example own.example relay.example"; strings.Join(names, " ") != want {
		t.Errorf("the page has %q, want %q", names, want)
	}
	stranger, err := client.Domain(t.Context(), "stranger.example")
	if err != nil || len(stranger.Keys) != 1 || !stranger.Keys[0].Publish || stranger.Keys[0].RecordValue == "" {
		t.Errorf("the page of stranger.example has %+v, %v", stranger, err)
	}

	// The customer leaves.
	w.dns.Withdraw("s1._domainkey.customer.example")
	d.signal(syscall.SIGHUP)
	await(t, "the record to be missed", func() bool {
		return len(d.logged("the record of the shared key is gone", "domain=customer.example")) == 1
	})
	send("left", "customer.example", []signature{relay})
	w.dns.Publish(t, "customer.example", "s1._domainkey IN CNAME s1._domainkey.keys.relay.example.\n")

	w.mustVerifyAll(all)
}
