package status

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"signpost/keystore"
	"signpost/milter"
	"signpost/milter/status/view"
)

// A signature of the relay is counted for the relay's domain, and one that is missing.
func TestRecorderCountsTheRelay(t *testing.T) {
	t.Parallel()
	r := recorderOf(sourceOf(someDomains()), 0)
	key := func(domain string) *keystore.Key {
		return &keystore.Key{Domain: domain, Selector: "mail", Algorithm: keystore.RSA}
	}
	both := milter.Verdict{Reason: milter.Signed, Author: "example.org",
		Keys: []*keystore.Key{key("example.org"), key("relay.example")}}
	alone := milter.Verdict{Reason: milter.Signed, Author: "example.org", Keys: both.Keys[:1], AlsoErr: errors.New("no key")}
	for _, v := range []milter.Verdict{both, both, alone} {
		r.Observe(&milter.Outcome{Verdict: v})
	}
	for domain, want := range map[string]float64{"example.org": 3, "relay.example": 2} {
		if n := testutil.ToFloat64(r.signatures.WithLabelValues(domain, "mail", "rsa")); n != want {
			t.Errorf("%v signatures of %s, want %v", n, domain, want)
		}
	}
	if n := testutil.ToFloat64(r.lacking); n != 1 {
		t.Error(n, "without the relay's")
	}
	if n := testutil.ToFloat64(r.messages.WithLabelValues("example.org", "signed", "signed")); n != 3 {
		t.Error(n, "messages")
	}
}

// The page and the JSON say what the relay's own domain signs, and why it cannot.
func TestPageShowsTheRelay(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	source.AlsoSign = func() *view.AlsoSign {
		return &view.AlsoSign{Domain: "relay.example", WithoutKey: true, Problem: "no key <b>"}
	}
	handler := NewHandler(source, recorderOf(source, 0), Access{Peers: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}, slog.New(slog.DiscardHandler))
	for path, wants := range map[string][]string{
		"/": {"<bdi>relay.example</bdi> signs mail of domains without a key.",
			"The relay’s own domain cannot sign", "no key &lt;b&gt;"},
		"/status.json": {`"also_sign": {`, `"domain": "relay.example"`, `"without_key": true`},
	} {
		w := httptest.NewRecorder()
		request := httptest.NewRequest("GET", "http://localhost"+path, nil)
		handler.ServeHTTP(w, request)
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d, lacks %q", path, w.Code, want)
			}
		}
	}
}
