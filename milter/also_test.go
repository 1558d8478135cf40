package milter

import (
	"crypto"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	gomilter "github.com/d--j/go-milter"

	"signpost/keystore"
)

// The relay's own domain signs beside the author domain, or where that has no key. What is
// wrong with its key neither takes the author's signature away nor lets mail go unsigned.
func TestDecideAlso(t *testing.T) {
	keys := keysFor(t, "example.org", "relay.example", "sub.relay.example", "!broken.example", "!bad.relay.example").Signing
	for name, test := range map[string]struct {
		also   Also
		client string
		from   string
		reason Reason
		action Action
		signs  string // the domains whose keys sign, in the order of the header
		lacks  bool   // the relay's signature is missing
	}{
		"both":                         {Also{Domain: "relay.example"}, "127.0.0.1", "a@example.org", Signed, Accept, "example.org relay.example", false},
		"no key of the author":         {Also{Domain: "relay.example"}, "127.0.0.1", "a@other.example", Signed, Accept, "relay.example", false},
		"its own mail":                 {Also{Domain: "relay.example"}, "127.0.0.1", "a@relay.example", Signed, Accept, "relay.example", false},
		"mail below it":                {Also{Domain: "relay.example"}, "127.0.0.1", "a@x.relay.example", Signed, Accept, "relay.example", false},
		"mail below it with a key":     {Also{Domain: "relay.example"}, "127.0.0.1", "a@sub.relay.example", Signed, Accept, "sub.relay.example relay.example", false},
		"stranger":                     {Also{Domain: "relay.example"}, "192.0.2.1", "a@example.org", UntrustedClient, Accept, "", false},
		"must have its own key":        {Also{Domain: "relay.example"}, "127.0.0.1", "a@must.example", NoKey, TempFail, "", false},
		"the author's key is broken":   {Also{Domain: "relay.example"}, "127.0.0.1", "a@broken.example", KeyBroken, TempFail, "", false},
		"no author":                    {Also{Domain: "relay.example"}, "127.0.0.1", "a@other.example, b@else.example", FromMultiple, Accept, "", false},
		"without a key alone, and one": {Also{"relay.example", true}, "127.0.0.1", "a@example.org", Signed, Accept, "example.org", false},
		"without a key alone, none":    {Also{"relay.example", true}, "127.0.0.1", "a@other.example", Signed, Accept, "relay.example", false},
		"no key of the relay":          {Also{Domain: "none.example"}, "127.0.0.1", "a@example.org", Signed, Accept, "example.org", true},
		"broken key of the relay":      {Also{Domain: "bad.relay.example"}, "127.0.0.1", "a@example.org", Signed, Accept, "example.org", true},
		"no key of either":             {Also{Domain: "none.example"}, "127.0.0.1", "a@other.example", RelayKey, TempFail, "", false},
		"none, and a broken one":       {Also{"bad.relay.example", true}, "127.0.0.1", "a@other.example", RelayKey, TempFail, "", false},
	} {
		rules := Rules{Trusted: networks("127.0.0.0/8"), Subdomains: name == "mail below it",
			MustSign: map[string]bool{"must.example": true}, Also: test.also}
		got := rules.Decide(Client{Addr: netip.MustParseAddr(test.client)}, []string{" " + test.from}, keys)
		var signs []string
		for _, key := range got.Keys {
			signs = append(signs, key.Domain)
		}
		if got.Reason != test.reason || got.Action != test.action || strings.Join(signs, " ") != test.signs ||
			(got.AlsoErr != nil) != test.lacks || (got.Err != nil) != (test.action == TempFail) && got.Reason != FromMultiple {
			t.Errorf("%s: got %+v with keys of %q", name, got, signs)
		}
	}
}

// failing is a key that cannot sign, though nothing shows that.
type failing struct{ crypto.Signer }

func (failing) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return nil, errors.New("token removed")
}

// A message goes out with two signatures, the author's above the relay's, and both verify.
// When the relay's cannot be made the author's is, which is logged once.
func TestSessionAlsoSigns(t *testing.T) {
	t.Parallel()
	keys, works := keysFor(t, "example.org", "relay.example"), true
	observed := make(chan *Outcome, 10)
	p := newPost(t, func(c *Config) {
		c.Rules.Also.Domain = "relay.example"
		c.Keys = func(domain string) ([]*keystore.Key, error) {
			signing, err := keys.Signing(domain)
			if err == nil && domain == "relay.example" && !works {
				broken := *signing[0]
				broken.Signer = failing{broken.Signer}
				return []*keystore.Key{&broken}, nil
			}
			return signing, err
		}
		c.Observe = func(o *Outcome) { observed <- o }
	})
	fields := []string{"From: a@example.org", "Subject: two"}
	send := func() []string {
		m := p.session()
		m.begin(fields...)
		values, action := m.end("a body\r\n")
		if action.Type != gomilter.ActionAccept {
			t.Fatalf("got %v", action)
		}
		return values
	}
	values := send()
	if len(values) != 2 || !strings.Contains(values[0], "d=relay.example;") || !strings.Contains(values[1], "d=example.org;") {
		t.Fatalf("got %q, to be inserted at the top one by one", values)
	}
	for _, value := range values {
		mustVerify(t, keys, value, fields, "a body\r\n")
		if strings.Contains(value, " i=") {
			t.Errorf("an identity in %q", value)
		}
	}
	p.log.await(t, "4bC3d: DKIM-Signature field added (s=mail, d=example.org), (s=mail, d=relay.example)")
	if o := <-observed; len(o.Keys) != 2 || o.AlsoErr != nil {
		t.Errorf("observed %+v", o)
	}

	works = false
	for range 3 {
		if values = send(); len(values) != 1 || !strings.Contains(values[0], "d=example.org;") {
			t.Fatalf("got %q", values)
		}
		if o := <-observed; o.Reason != Signed || len(o.Keys) != 1 || o.AlsoErr == nil {
			t.Errorf("observed %+v", o)
		}
	}
	works = true
	send()
	p.log.await(t, "the relay's own signature is added again", "domain=relay.example")
	if n := strings.Count(p.log.String(), "level=ERROR"); n != 1 {
		t.Errorf("%d errors in the log:\n%s", n, p.log)
	}
	p.log.await(t, "level=ERROR", "domain=relay.example", "token removed")
}
