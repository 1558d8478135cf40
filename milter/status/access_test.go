package status

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A site whose name was made to resolve to us (DNS rebinding) gets nothing, and
// whoever has a reason to ask is answered by the name that he uses.
func TestHosts(t *testing.T) {
	t.Parallel()
	source := sourceOf(someDomains())
	source.unready([]string{"it stops"}, Unsignable{"missing.example", "no key"})
	recorder := recorderOf(source, 0)
	someMail(recorder)
	access := Access{Peers: localhost, Hosts: []string{"status.example.org:8890", "mx.example.net", "xn--bcher-kva.example"}}
	handler := NewHandler(source, recorder, access, slog.New(slog.DiscardHandler))
	ask := func(host, remote, path string) *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", path, nil)
		r.Host, r.RemoteAddr = host, remote
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}
	for host, ours := range map[string]bool{
		"127.0.0.1:8890": true, "172.17.0.2": true, "[::1]:8890": true, "[fd00::7]": true, "203.0.113.9:80": true, // addresses
		"localhost:8890": true, "LOCALHOST.": true, "signpostd.localhost": true, // of this machine
		"signpostd:8890": true, "signpostd": true, "mail-0": true, // of a container, a pod
		"signpostd.mail.svc": true, "signpostd.mail.svc.cluster.local:8890": true, // of a Service
		"host.docker.internal:8890": true, "host.containers.internal": true,
		"status.example.org": true, "Status.Example.org:443": true, "mx.example.net.": true, // as set
		"xn--bcher-kva.example": true, "": true, // HTTP/1.0
		"evil.example": false, "evil.example:8890": false, "127.0.0.1.nip.io": false, "127.0.0.1.evil.example:8890": false,
		"localhost.evil.example": false, "notlocalhost.example": false, "evil.local": false, "cluster.local": false,
		"status.example.org.evil.example": false, "xstatus.example.org": false, "a.status.example.org": false,
		"[::1].evil.example": false, "evil.example:80:80": false, "127.0.0.1:80@evil.example": false, "example.org": false,
	} {
		for _, path := range []string{"/", "/status.json", "/messages.json", "/domains.csv", "/keys.csv?domain=example.org", "/messages.csv", "/metrics", "/readyz?domain=other.example"} {
			w := ask(host, "127.0.0.1:4000", path)
			want := http.StatusMisdirectedRequest
			if ours {
				want = http.StatusOK
				if strings.HasPrefix(path, "/readyz") {
					want = http.StatusServiceUnavailable
				}
			}
			if w.Code != want {
				t.Errorf("%s of %q: %d, want %d", path, host, w.Code, want)
			}
			if told := w.Body.String(); !ours && (leaks(told) || !strings.Contains(told, "hint: if it is, add it to --http-host")) {
				t.Errorf("%s of %q tells %.300q", path, host, told)
			}
		}
		// Health is for everybody, and names nothing to those who may not know it.
		if w := ask(host, "127.0.0.1:4000", "/healthz"); w.Code != http.StatusOK {
			t.Errorf("/healthz of %q: %d", host, w.Code)
		}
		w := ask(host, "127.0.0.1:4000", "/readyz")
		if w.Code != http.StatusServiceUnavailable || leaks(w.Body.String()) != ours {
			t.Errorf("/readyz of %q: %d %q", host, w.Code, w.Body)
		}
	}
	if w := ask("evil.example", "@", "/"); w.Code != http.StatusOK {
		t.Errorf("by a unix socket: %d", w.Code)
	}
	if w := ask("evil.example", "203.0.113.9:4000", "/"); w.Code != http.StatusForbidden {
		t.Errorf("from elsewhere: %d", w.Code)
	}
}

// leaks reports whether a text names a domain of ours or a client.
func leaks(text string) bool {
	for _, secret := range []string{"missing.example", "broken.example", "quiet.example", "10.0.0.7", "_domainkey"} {
		if strings.Contains(text, secret) {
			return true
		}
	}
	return false
}
