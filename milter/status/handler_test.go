package status

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"signpost/keystore/rotation"
	"signpost/milter/status/view"
)

func TestPage(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	recorder := recorderOf(source, 0)
	someMail(recorder)
	server := serve(t, source, recorder)
	resp, body := get(t, server.URL)
	if resp.StatusCode != http.StatusOK {
		t.Fatal(resp.Status)
	}
	contains(t, body, "● ready", "signing for 2 d 2 h", "broken.example", "s20261125._domainkey.example.org", recordValue,
		"waits until its record is in the DNS", "Asked again", "in 40 s", "1\u202f234 signed, 17 not signed",
		"no key for missing.example, and its mail must be signed", "4 in all, 3 that need attention first")
	if strings.Index(body, "broken.example") > strings.Index(body, "quiet.example") {
		t.Error("what needs attention is not first")
	}
	for name, want := range map[string]string{
		"Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := resp.Header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	csp := resp.Header.Get("Content-Security-Policy")
	contains(t, csp, "default-src 'none'", "frame-ancestors 'none'", "script-src 'sha256-")
	if strings.Contains(csp, "unsafe") {
		t.Error(csp)
	}
}

// What is to be pasted into the DNS is there whole, however large the key.
func TestLongRecord(t *testing.T) {
	t.Parallel()
	long := "v=DKIM1; k=rsa; p=" + strings.Repeat("A", 6000)
	source := sourceOf([]view.Domain{{Name: "example.org", Keys: []view.Key{{Selector: "s", Stage: rotation.Pending, RecordName: "s._domainkey.example.org", RecordValue: long}}}})
	_, body := get(t, serve(t, source, recorderOf(source, 0)).URL)
	contains(t, body, "<code>"+long+"</code>")
}

func TestSearchAndPages(t *testing.T) {
	t.Parallel()
	source := sourceOf(manyDomains(1000))
	server := serve(t, source, recorderOf(source, 0))
	for _, test := range []struct{ query, has, lacks string }{
		{"", "d000999.example", "d000049.example"}, // the broken one is first
		{"?page=20", "d000998.example", "d000000.example"},
		{"?page=99", "Page 20 of 20", "Next"},
		{"?page=-3", "Page 1 of 20", "Previous"},
		{"?q=%20D00077%20", "10 of 1\u202f000 domains", "d000999.example"},
		{"?q=nothing", "No domain has that name", "Page"},
		{"?domain=d000123.example", "d000123.example", "d000124.example"},
	} {
		_, body := get(t, server.URL+"/"+test.query)
		if !strings.Contains(body, test.has) || strings.Contains(body, test.lacks) {
			t.Errorf("%q: want %q, not %q, in\n%.9000s", test.query, test.has, test.lacks, body)
		}
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	recorder := recorderOf(source, 0)
	someMail(recorder)
	server := serve(t, source, recorder)
	_, body := get(t, server.URL+"/status.json?domain=example.org")
	var shown view.View
	if err := json.Unmarshal([]byte(body), &shown); err != nil {
		t.Fatal(err)
	}
	if len(shown.Domains) != 1 || shown.Domains[0].Keys[0].Stage != rotation.Pending || shown.Domains[0].Hour.Messages(view.Signed) != 1234 {
		t.Errorf("%+v", shown.Domains)
	}
	contains(t, body, `"must_be_signed": true`, `"next_check": "2026-11-25T12:01:10Z"`, `"active": 2`)
	_, body = get(t, server.URL+"/status.json?domain=other.example")
	contains(t, body, `"matching": 0`, `"domains": []`)
	_, body = get(t, server.URL+"/status.json?domain=quiet.example")
	contains(t, body, `"last_hour": []`)
}

func TestReadiness(t *testing.T) {
	t.Parallel()
	source := sourceOf(nil)
	var reasons []string
	source.NotReady = func() ([]string, int) { return reasons, len(reasons) }
	server := serve(t, source, recorderOf(source, 0))
	if resp, body := get(t, server.URL+"/readyz"); resp.StatusCode != http.StatusOK || body != "ready\n" {
		t.Error(resp.Status, body)
	}
	reasons = []string{"example.org: no key"}
	if resp, body := get(t, server.URL+"/readyz"); resp.StatusCode != http.StatusServiceUnavailable || body != "example.org: no key\n" {
		t.Error(resp.Status, body)
	}
	if resp, body := get(t, server.URL+"/healthz"); resp.StatusCode != http.StatusOK || body != "ok\n" {
		t.Error(resp.Status, body)
	}
	_, body := get(t, server.URL)
	contains(t, body, "▲ not ready", "example.org: no key")
	reasons = strings.Split(strings.Repeat("x,", 99)+"x", ",")
	_, body = get(t, server.URL+"/readyz")
	contains(t, body, "and 80 more")
}

// Of others than peers, only whether all is well is their business.
func TestStrangers(t *testing.T) {
	t.Parallel()
	source := sourceOf(nil)
	source.NotReady = func() ([]string, int) { return []string{"secret.example: no key"}, 1 }
	handler := NewHandler(source, recorderOf(source, 0), localhost, slog.New(slog.DiscardHandler))
	for _, test := range []struct {
		method, remote, path string
		code                 int
	}{
		{"GET", "203.0.113.9:4000", "/", http.StatusForbidden},
		{"GET", "203.0.113.9:4000", "/metrics", http.StatusForbidden},
		{"GET", "[2001:db8::1]:4000", "/status.json", http.StatusForbidden},
		{"GET", "203.0.113.9:4000", "/healthz", http.StatusOK},
		{"GET", "203.0.113.9:4000", "/readyz", http.StatusServiceUnavailable},
		{"GET", "[::ffff:127.0.0.1]:4000", "/", http.StatusOK},
		{"GET", "@", "/", http.StatusOK},
		{"HEAD", "127.0.0.1:4000", "/", http.StatusOK},
		{"GET", "127.0.0.1:4000", "/other", http.StatusNotFound},
		{"POST", "127.0.0.1:4000", "/", http.StatusMethodNotAllowed},
		{"DELETE", "127.0.0.1:4000", "/metrics", http.StatusMethodNotAllowed},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.RemoteAddr = test.remote
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != test.code {
			t.Errorf("%s %s from %s: %d, want %d", test.method, test.path, test.remote, w.Code, test.code)
		}
		if strings.HasPrefix(test.remote, "203") && strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s tells %s too much: %s", test.path, test.remote, w.Body)
		}
	}
}

func FuzzPlain(f *testing.F) {
	f.Add("example.org")
	f.Add("<script>\u202e\x00\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s)
		if strings.ContainsAny(got, "\n\x00\u202e\u2066\u200b") || len(got) > 8000 {
			t.Errorf("%q", got)
		}
		if whole := !strings.Contains(got, " more bytes)"); whole && !strings.ContainsRune(got, '\\') && plain(got) != got {
			t.Errorf("%q, and again %q", got, plain(got))
		}
	})
}

func benchmarkPage(b *testing.B, path string) {
	source := sourceOf(manyDomains(100_000))
	handler := NewHandler(source, recorderOf(source, 0), localhost, slog.New(slog.DiscardHandler))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = "127.0.0.1:4000"
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			b.Fatal(w.Code, w.Body)
		}
	}
}

// With 100,000 domains.
func BenchmarkPage(b *testing.B)    { benchmarkPage(b, "/") }
func BenchmarkSearch(b *testing.B)  { benchmarkPage(b, "/?q=77") }
func BenchmarkMetrics(b *testing.B) { benchmarkPage(b, "/metrics") }

func BenchmarkIndex(b *testing.B) {
	domains := manyDomains(100_000)
	for b.Loop() {
		sourceOf(domains)
	}
}
