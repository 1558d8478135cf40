package status

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
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
	contains(t, body, "● ready", "up for 2 d 2 h", "broken.example", "s20261125._domainkey.example.org", recordValue,
		"<b>1\u202f234</b> signed", "no key for missing.example, and its mail must be signed", "need attention <b>3</b>",
		"no whole PEM block of a private key found", `<a href="?domain=example.org"><code><bdi>s20261125</bdi></code></a>`)
	if strings.Index(body, "broken.example") > strings.Index(body, "quiet.example") {
		t.Error("what needs attention is not first")
	}
	_, one := get(t, server.URL+"/?domain=EXAMPLE.org")
	contains(t, one, "waits until its record is in the DNS", "Asked again", "in 40 s", "<details open><summary>Record to publish",
		"<details><summary>Record ", "The DNS says: <bdi>the record is this key</bdi>", "<b>17</b> unsigned", "client <bdi>203.0.113.9</bdi>")
	if strings.Contains(one, "quiet.example") {
		t.Error("another domain is on the page of one")
	}
	missing, body := get(t, server.URL+"/?domain=other.example")
	if missing.StatusCode != http.StatusNotFound {
		t.Error(missing.Status)
	}
	contains(t, body, "signpostd has no key for <bdi>other.example</bdi>")
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
	source := sourceOf([]view.Domain{{Name: "example.org", Keys: []view.Key{{Selector: "s", Stage: rotation.Pending, Publish: true, RecordName: "s._domainkey.example.org", RecordValue: long}}}})
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
		{"?q=%20D00077%20", "10 with “<bdi>d00077</bdi>” in the name", "d000999.example"},
		{"?q=nothing", "No domain is like that", "Page"},
		{"?show=attention", "d000999.example", "d000000.example"},
		{"?show=active&page=2", "d000050.example", "d000999.example"},
		{"?show=active&q=d00099", "9 with “<bdi>d00099</bdi>” in the name and active", "d000999.example"},
		{"?show=broken&limit=7", "d000999.example", "d000000.example"},
		{"?show=sausage&limit=500", "Page 1 of 2", "d000499.example"},
		{"?limit=1000000&page=2", "d000499.example", "d000498.example"},
		{"?domain=d000123.example", "d000123.example", "d000124.example"},
	} {
		_, body := get(t, server.URL+"/"+test.query)
		if !strings.Contains(body, test.has) || strings.Contains(body, test.lacks) {
			t.Errorf("%q: want %q, not %q, in\n%.9000s", test.query, test.has, test.lacks, body)
		}
	}
}

// A resolver that is down is one notice, and what is not known is said.
func TestUnknown(t *testing.T) {
	t.Parallel()
	domains := manyDomains(4)[:3]
	domains[0].Keys[0].Failure = "127.0.0.1:53 cannot be reached"
	domains[1].Keys[0].Failure = "timeout"
	domains[2].Keys = nil // nobody needed them yet
	source := sourceOf(domains)
	server := serve(t, source, recorderOf(source, 0))
	_, body := get(t, server.URL)
	contains(t, body, "The DNS gives no clear answer about 2 keys on this page", "127.0.0.1:53 cannot be reached",
		"<code><bdi>mail</bdi></code></a>: <bdi>the DNS gives no clear answer</bdi>", "1 not read yet")
	if strings.Contains(body, "timeout") || strings.Contains(body, "need attention") {
		t.Error("what nobody can do something about is in the way")
	}
	_, body = get(t, server.URL+"/?domain=d000001.example")
	contains(t, body, "▲ <bdi>timeout</bdi>")
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

// One domain of many that cannot be signed leaves signpostd ready, unless it is asked for.
func TestReadiness(t *testing.T) {
	t.Parallel()
	missing := Unsignable{"missing.example", "no key; hint: make one"}
	var twenty []Unsignable
	for i := range 30 {
		twenty = append(twenty, Unsignable{fmt.Sprintf("d%d.example", i), "no key"})
	}
	for name, test := range map[string]struct {
		state Readiness
		query string
		code  int
		body  string
	}{
		"well":             {Readiness{}, "", 200, "ready\n"},
		"all are well":     {Readiness{}, "?all=1", 200, "ready\n"},
		"one is well":      {Readiness{}, "?domain=example.org&domain=QUIET.example", 200, "ready\n"},
		"one is not":       {Readiness{Unsignable: []Unsignable{missing}}, "", 200, "ready\ncannot sign: missing.example: no key; hint: make one\n"},
		"another is asked": {Readiness{Unsignable: []Unsignable{missing}}, "?domain=example.org", 200, "ready\ncannot sign: missing.example: no key; hint: make one\n"},
		"all are asked":    {Readiness{Unsignable: []Unsignable{missing}}, "?all=1", 503, "not ready\ncannot sign: missing.example: no key; hint: make one\n"},
		"all, no value":    {Readiness{Unsignable: []Unsignable{missing}}, "?all", 503, "not ready\ncannot sign: missing.example: no key; hint: make one\n"},
		"not all":          {Readiness{Unsignable: []Unsignable{missing}}, "?all=0", 200, "ready\ncannot sign: missing.example: no key; hint: make one\n"},
		"it is asked":      {Readiness{}, "?domain=example.org&domain=other.example", 503, "not ready\ncannot sign: other.example: no key\n"},
		"no name":          {Readiness{}, "?domain=", 503, "not ready\ncannot sign: : no key\n"},
		"nothing":          {Readiness{Down: []string{"no key"}}, "", 503, "not ready\nno key\n"},
		"nothing, asked":   {Readiness{Down: []string{"it stops"}}, "?domain=example.org", 503, "not ready\nit stops\n"},
		"many are not":     {Readiness{Unsignable: twenty}, "", 200, "\ncannot sign: d19.example: no key\nand 10 more\n"},
		"one of many":      {Readiness{Unsignable: twenty}, "?domain=other.example", 503, "not ready\ncannot sign: other.example: no key\ncannot sign: d0.example"},
	} {
		source := sourceOf(someDomains())
		source.Readiness = func() Readiness { return test.state }
		server := serve(t, source, recorderOf(source, 0))
		resp, body := get(t, server.URL+"/readyz"+test.query)
		if resp.StatusCode != test.code || !strings.Contains(body, test.body) {
			t.Errorf("%s: %s %q, want %d %q", name, resp.Status, body, test.code, test.body)
		}
		_, page := get(t, server.URL)
		if len(test.state.Down) > 0 {
			contains(t, page, "▲ not ready", "Nothing can be signed", test.state.Down[0])
		} else {
			contains(t, page, "● ready")
		}
		if len(test.state.Unsignable) > 0 {
			contains(t, page, "Domains that cannot be signed", test.state.Unsignable[0].Domain)
		}
		_, metrics := get(t, server.URL+"/metrics")
		contains(t, metrics, fmt.Sprintf("signpost_domains_unsignable %d", len(test.state.Unsignable)))
		for _, domain := range test.state.Unsignable {
			contains(t, metrics, fmt.Sprintf("signpost_domain_unsignable{domain=%q} 1", domain.Domain))
		}
	}
}

// Keys that are held sign, so signpostd is ready, and everything says so.
func TestHeldKeys(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	source.Held = func() keystore.Held {
		return keystore.Held{Keys: 2, Since: noon, Why: finding.WithHint(errors.New("all keys are missing at once"), "bring them back")}
	}
	server := serve(t, source, recorderOf(source, 0))
	resp, body := get(t, server.URL+"/readyz")
	if want := "ready\nkeys held: 2: all keys are missing at once; hint: bring them back\n"; resp.StatusCode != 200 || body != want {
		t.Errorf("%s %q, want %q", resp.Status, body, want)
	}
	_, page := get(t, server.URL)
	contains(t, page, "● ready", "Keys that are held: 2", "all keys are missing at once")
	_, metrics := get(t, server.URL+"/metrics")
	contains(t, metrics, "signpost_keys_held 2")
	_, json := get(t, server.URL+"/status.json")
	contains(t, json, `"keys": 2`, `"since": "`+noon.Format(time.RFC3339), `"why": "all keys are missing at once`)
}

// Of others than peers, only whether all is well is their business.
func TestStrangers(t *testing.T) {
	t.Parallel()
	source := sourceOf(nil)
	source.unready([]string{"secret"}, Unsignable{"secret.example", "no key"})
	handler := NewHandler(source, recorderOf(source, 0), Access{Peers: localhost}, slog.New(slog.DiscardHandler))
	for _, test := range []struct {
		method, remote, path string
		code                 int
	}{
		{"GET", "203.0.113.9:4000", "/", http.StatusForbidden},
		{"GET", "203.0.113.9:4000", "/metrics", http.StatusForbidden},
		{"GET", "[2001:db8::1]:4000", "/status.json", http.StatusForbidden},
		{"GET", "203.0.113.9:4000", "/healthz", http.StatusOK},
		{"GET", "203.0.113.9:4000", "/readyz", http.StatusServiceUnavailable},
		{"GET", "203.0.113.9:4000", "/readyz?all=1", http.StatusServiceUnavailable},
		{"GET", "203.0.113.9:4000", "/readyz?domain=secret.example", http.StatusForbidden},
		{"GET", "[::ffff:127.0.0.1]:4000", "/", http.StatusOK},
		{"GET", "@", "/", http.StatusOK},
		{"HEAD", "127.0.0.1:4000", "/", http.StatusOK},
		{"GET", "127.0.0.1:4000", "/other", http.StatusNotFound},
		{"POST", "127.0.0.1:4000", "/", http.StatusMethodNotAllowed},
		{"DELETE", "127.0.0.1:4000", "/metrics", http.StatusMethodNotAllowed},
	} {
		r := httptest.NewRequest(test.method, test.path, nil)
		r.Host, r.RemoteAddr = "localhost", test.remote
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

// Whatever a request asks, the answer is a page of the right size, and its links ask the
// same.
func FuzzQuestion(f *testing.F) {
	for _, query := range []string{"", "q=d00&show=active&page=2&limit=3&refresh=1", "page=-9223372036854775808&limit=9223372036854775807",
		"domain=%ff%00&q=%C4%B0&show=%22", "q=;&q=b%C3%BCcher.example", "%zz&page=1e9"} {
		f.Add(query)
	}
	index := NewIndex(func(yield func(Summary) bool) {
		for i := range 20 {
			if !yield(Summary{Name: fmt.Sprintf("d%d.example", i), Stages: []rotation.Stage{rotation.Active}}) {
				return
			}
		}
	})
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}}
		q := asked(r, mostRows)
		names, at, pages, matching := index.page(q)
		if q.size < 1 || q.size > mostRows || len(names) > q.size || at < 1 || at > pages || len(names) > matching || len(q.query) > 2000 {
			t.Errorf("%q: %+v, page %d of %d, %d names of %d", query, q, at, pages, len(names), matching)
		}
		link, err := url.Parse(q.link())
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		again := asked(&http.Request{URL: link}, mostRows)
		if isASCII := strings.Trim(q.query+q.domain, printable) == ""; isASCII && again != q {
			t.Errorf("%q: %+v, and by its link %+v", query, q, again)
		}
	})
}

const printable = "abcdefghijklmnopqrstuvwxyz0123456789.-_"

func FuzzPlain(f *testing.F) {
	f.Add("example.org")
	f.Add("<script>\u202e\x00\xff\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := plain(s)
		if strings.ContainsAny(got, "\n\x00\u202e\u2066\u200b") || len(got) > 10_100 {
			t.Errorf("%q", got)
		}
		if whole := !strings.Contains(got, " more bytes)"); whole && !strings.ContainsRune(got, '\\') && plain(got) != got {
			t.Errorf("%q, and again %q", got, plain(got))
		}
	})
}

func benchmarkPage(b *testing.B, path string) {
	source := sourceOf(manyDomains(100_000))
	handler := NewHandler(source, recorderOf(source, 0), Access{Peers: localhost}, slog.New(slog.DiscardHandler))
	b.ReportAllocs()
	for b.Loop() {
		r := httptest.NewRequest("GET", path, nil)
		r.Host, r.RemoteAddr = "localhost", "127.0.0.1:4000"
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
