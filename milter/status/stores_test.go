package status

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
)

// The page, the JSON, the metrics and readiness say how the stores of keys answer.
func TestStores(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	recorder := recorderOf(source, 0)
	now := recorder.now()
	source.Answers = func() []keystore.Answers {
		return []keystore.Answers{
			{Store: "redis://db.example", Last: now, Listed: true, Watched: true},
			{Store: "vault:https://v.example/secret", Last: now.Add(-time.Hour), Listed: true,
				Err: errors.New("it is <sealed>"), Since: now.Add(-time.Hour)},
			{Store: "redis://late.example", Err: errors.New("refused"), Since: now.Add(-time.Minute)},
		}
	}
	access := Access{Peers: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}}
	handler := NewHandler(source, recorder, access, slog.New(slog.DiscardHandler))
	for path, wants := range map[string][]string{
		"/": {"Key store <bdi>redis://db.example</bdi>: answered now; it reports changes at once", "The key store does not answer",
			"since 1 h 0 min ago: <bdi>it is &lt;sealed&gt;</bdi>. The last good keys sign."},
		"/status.json": {`"store": "redis://db.example"`, `"watched": true`, `"failing_since": "`, `"why": "it is \u003csealed\u003e"`},
		"/metrics": {`signpost_store_up{store="redis://db.example"} 1`, `signpost_store_up{store="vault:https://v.example/secret"} 0`,
			`signpost_store_answer_age_seconds{store="vault:https://v.example/secret"}`},
		"/readyz": {"vault:https://v.example/secret does not answer: it is <sealed>", "redis://late.example has not answered since the start: refused"},
	} {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost"+path, nil))
		for _, want := range wants {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("%s: %d, lacks %q:\n%s", path, w.Code, want, w.Body)
			}
		}
	}
}
