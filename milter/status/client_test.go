package status

import (
	"errors"
	"log/slog"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/status/view"
)

// The client reads what the pages say: all domains in their order, one of them,
// why signpostd is not ready, and why it does not answer.
func TestClient(t *testing.T) {
	t.Parallel()
	client := func(server *httptest.Server) *view.Client {
		address := milter.AddressOf(server.Listener)
		t.Cleanup(server.Close)
		return view.NewClient(address, time.Minute)
	}
	source := sourceOf(manyDomains(2500))
	source.unready([]string{"no key; hint: make one", "it stops"}, Unsignable{"a.example", "no key"})
	recorder := recorderOf(source, 0)
	server := serve(t, source, recorder)
	running := client(server)
	all, err := running.All(t.Context())
	if err != nil || len(all.Domains) != 2500 || all.Domains[0].Name != "d000000.example" || all.Domains[2499].Name != "d002499.example" {
		t.Fatalf("got %v, %d domains", err, len(all.Domains))
	}
	if stages, err := running.Stages(t.Context(), "d000007.example"); err != nil || stages["mail"] != rotation.Active {
		t.Errorf("got %v, %v", stages, err)
	}
	if domain, err := running.Domain(t.Context(), "other.example"); err != nil || domain.Name != "other.example" || len(domain.Keys) != 0 {
		t.Errorf("got %+v, %v", domain, err)
	}
	overview, err := running.Overview(t.Context())
	if err != nil || overview.Total != 2500 || len(overview.Domains) != 1 {
		t.Fatalf("got %+v, %v", overview, err)
	}
	what, hint := finding.Split(overview.Err())
	if what != "no key\nit stops" || hint != "make one" {
		t.Errorf("got %q, hint %q", what, hint)
	}
	if err := overview.Unsignable(); err == nil || err.Error() != "a.example: no key" {
		t.Errorf("got %v", err)
	}

	closed := client(httptest.NewServer(NewHandler(source, recorder, Access{}, slog.New(slog.DiscardHandler))))
	_, err = closed.Overview(t.Context())
	if what, hint := finding.Split(err); !strings.Contains(what, "it says 403 Forbidden: 127.0.0.1:") || hint != "its network is not in --allow-peers" {
		t.Errorf("got %q, hint %q", what, hint)
	}
	server.Close()
	var unanswered *url.Error
	if _, err := running.Overview(t.Context()); !errors.As(err, &unanswered) {
		t.Errorf("got %v", err)
	}
}
