package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/vault/vaulttest"
)

const secretToken = "hvs.geheim"

// calls are all that read or write.
var calls = map[string]func(context.Context, *Backend) error{
	"List": func(ctx context.Context, b *Backend) error {
		return b.List(ctx, func(domain, _ string) {})
	},
	"Read": func(ctx context.Context, b *Backend) error {
		found, err := b.Read(ctx, []string{"none.example", "example.org"})
		if err == nil && len(found[1]) == 0 {
			return nil
		}
		return err
	},
	"Add": func(ctx context.Context, b *Backend) error {
		_, err := b.Add(ctx, "example.org", "new", pemOf(edKey(3)), time.Now())
		return err
	},
	"Retire": func(ctx context.Context, b *Backend) error {
		_, err := b.Retire(ctx, &keystore.Key{Domain: "example.org", Selector: "s", Signer: edKey(0)})
		return err
	},
	"Notes": func(ctx context.Context, b *Backend) error {
		_, _, err := b.Notes(ctx, "example.org")
		return err
	},
	"WriteNotes": func(ctx context.Context, b *Backend) error {
		return b.WriteNotes(ctx, "example.org", []byte("x"), "0")
	},
	"Select": func(ctx context.Context, b *Backend) error { return b.Select(ctx, "example.org", "s") },
}

// Whatever is wrong, each call says so with a hint: that nothing is there is said by nothing
// but the answer for it.
func TestNeverAbsent(t *testing.T) {
	status := func(status int, body string) vaulttest.Faults {
		return vaulttest.Faults{Status: status, Body: body}
	}
	for _, test := range []struct {
		name   string
		faults vaulttest.Faults
		hint   string
	}{
		{"sealed", vaulttest.Faults{Sealed: true}, "unseal"},
		{"refused", status(403, `{"errors":["permission denied"]}`), "policy"},
		{"unauthorized", status(401, ``), "policy"},
		{"rate limit", status(429, `{"errors":["request path \"x\": rate limit quota exceeded"]}`), "rate limit"},
		{"broken", status(500, `{"errors":["1 error occurred:\n\t* internal error\n\n"]}`), "log"},
		{"bad gateway", status(502, `<html><h1>502</h1></html>`), "log"},
		{"no active node", status(503, `{"errors":["no active Vault instance found"]}`), "active"},
		{"recovery secondary", status(472, ``), "standby"},
		{"standby", status(473, `{"errors":[]}`), "standby"},
		{"not yet replicated", status(412, `{"errors":["required index state not present"]}`), "again"},
		{"bad request", status(400, `{"errors":[]}`), "path"},
		{"no such mount", status(404, `{"errors":["no handler for route \"secret/data/x\". route entry not found."]}`), "mount"},
		{"other version", status(404, `{"request_id":"1","data":null,"warnings":["Invalid path for a versioned K/V secrets engine."]}`), "kv=2"},
		{"an odd 404", status(404, `{}`), "path"},
		{"a proxy's 404", status(404, "<html>\n<title>Not Found</title>"), "proxy"},
		{"an empty 404", status(404, ``), "proxy"},
		{"a login page", status(200, "<!DOCTYPE html><form>"), "proxy"},
		{"an empty answer", status(200, ``), "proxy"},
		{"half an answer", status(200, `{"request_id":"1","data":{"keys":["a.exam`), "proxy"},
		{"two answers", status(200, `{"data":{"keys":["a.example"]}}{}`), "proxy"},
		{"no data", status(200, `{"request_id":"1"}`), ""},
		{"null", status(200, `null`), ""},
		{"other data", status(200, `{"data":{"data":null,"metadata":{"version":1},"keys":null}}`), ""},
		{"errors with 200", status(200, `{"data":null,"errors":["x"]}`), ""},
		{"redirect to nowhere", status(307, ``), ""},
		{"cut", vaulttest.Faults{Cut: true}, "up"},
		{"standby that sends elsewhere", vaulttest.Faults{Active: "http://127.0.0.1:1/login?"}, "login page"},
		{"standbys in a circle", vaulttest.Faults{Active: "-"}, "api_addr"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := vaulttest.Start(t)
			s.Mount("secret", 2)
			s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
			b := onServer(t, s, "secret/dkim")
			if _, err := b.Read(t.Context(), []string{"example.org"}); err != nil { // it knows the mount
				t.Fatal(err)
			}
			faults := test.faults
			faults.Only = "/dkim"
			if faults.Active == "-" {
				faults.Active = s.URL
			}
			s.Set(faults)
			for name, call := range calls {
				err := call(t.Context(), b)
				if err == nil {
					t.Errorf("%s: no error", name)
					continue
				}
				what, hint := finding.Split(err)
				if !strings.Contains(hint, test.hint) {
					t.Errorf("%s: %s: hint %q", name, what, hint)
				}
				if !strings.Contains(what, "secret/") || strings.Contains(what+hint, vaulttest.Root) || strings.Contains(what, "\n") {
					t.Errorf("%s: %q", name, what)
				}
			}
			s.Set(vaulttest.Faults{})
			if got := read(t, b, "example.org"); len(got) != 1 {
				t.Errorf("afterwards: %v", got)
			}
			if data, version := s.Get("secret/dkim/example.org"); version != 1 {
				t.Errorf("written: %s", data)
			}
		})
	}
}

// At the start, too: a mount that cannot be asked for is not one without keys.
func TestNeverAbsentAtStart(t *testing.T) {
	for _, faults := range []vaulttest.Faults{
		{Sealed: true}, {Status: 403, Body: `{"errors":["permission denied"]}`}, {Status: 404, Body: `{"errors":[]}`},
		{Status: 404, Body: `{"errors":["no handler for route"]}`}, {Status: 200, Body: `<html>`}, {Cut: true},
	} {
		s := vaulttest.Start(t)
		s.Mount("secret", 2)
		s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
		s.Set(faults)
		b := onServer(t, s, "secret/dkim")
		for name, call := range calls {
			if err := call(t.Context(), b); err == nil {
				t.Errorf("%+v: %s: no error", faults, name)
			}
		}
		s.Set(vaulttest.Faults{})
		if got := read(t, b, "example.org"); len(got) != 1 {
			t.Errorf("afterwards: %v", got)
		}
	}
}

// A server that is down or slow is an error by the time that the caller has.
func TestSlow(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	s.Set(vaulttest.Faults{Delay: time.Hour})
	roles := []string{writeFile(t, "role", "r"), writeFile(t, "secret", "s")}
	for _, url := range []string{
		"vault:" + s.URL + "/secret/dkim",
		"vault:" + s.URL + "/secret/dkim?auth=approle&role_id_file=" + roles[0] + "&secret_id_file=" + roles[1],
	} {
		b := open(t, url, map[string]string{"VAULT_TOKEN": secretToken})
		for name, call := range calls {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
			start := time.Now()
			err := call(ctx, b)
			cancel()
			if err == nil || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 10*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
		}
	}
	down := open(t, "vault:http://127.0.0.1:1/secret/dkim", map[string]string{"VAULT_TOKEN": secretToken})
	for name, call := range calls {
		if err := call(t.Context(), down); err == nil || strings.Contains(finding.Text(err), secretToken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One domain that cannot be read makes an error of the whole.
func TestAllOrError(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	var domains []string
	for i := range 40 {
		domains = append(domains, fmt.Sprintf("d%d.example", i))
		s.Put("secret/dkim/"+domains[i], selectors(fields{"selector": "s", "key": "x"}))
	}
	b := onServer(t, s, "secret/dkim")
	s.Set(vaulttest.Faults{Only: "d33.example", Status: 500})
	if found, err := b.Read(t.Context(), domains); err == nil || found != nil {
		t.Errorf("found %v: %v", found, err)
	}
}

// A secret whose last version was deleted is not there; one that is in a folder that is gone
// neither.
func TestCleanAbsence(t *testing.T) {
	for _, kv := range []int{1, 2} {
		t.Run(fmt.Sprint("kv", kv), func(t *testing.T) {
			t.Parallel()
			s := vaulttest.Start(t)
			s.Mount("secret", kv)
			s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
			s.Put("secret/dkim/kumo.example/s", fields{"key": base64Of(edKey(0))})
			b := onServer(t, s, "secret/dkim")
			s.Delete("secret/dkim/example.org")
			s.Delete("secret/dkim/kumo.example/s")
			for _, domain := range []string{"example.org", "kumo.example", "never.example"} {
				if got := read(t, b, domain); len(got) != 0 {
					t.Errorf("%s: %v", domain, got)
				}
			}
			if got := list(t, b); kv == 1 && len(got) != 0 {
				t.Errorf("listed: %q", got)
			}
			// A deleted version counts for check-and-set.
			for domain, layout := range map[string]string{"example.org": "rspamd", "kumo.example": "kumomta"} {
				b := onServer(t, s, "secret/dkim?layout="+layout)
				if _, err := b.Add(t.Context(), domain, "s", pemOf(edKey(1)), time.Now()); err != nil {
					t.Error(err)
				}
				if got := read(t, b, domain); len(got) != 1 {
					t.Errorf("%s: %v", domain, got)
				}
			}
		})
	}
}

// A standby redirects to the active node, where the token may go; from https to http it may
// not.
func TestRedirects(t *testing.T) {
	t.Parallel()
	active := vaulttest.Start(t)
	active.Mount("secret", 2)
	active.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
	standby := vaulttest.Start(t)
	standby.Set(vaulttest.Faults{Active: active.URL})
	b := onServer(t, standby, "secret/dkim")
	if got := list(t, b); len(got) != 1 {
		t.Errorf("listed %q", got)
	}
	if _, err := b.Add(t.Context(), "example.org", "new", pemOf(edKey(1)), time.Now()); err != nil {
		t.Error(err)
	}
	if got := read(t, b, "example.org"); len(got) != 2 {
		t.Errorf("read %v", got)
	}
	secure, ca := vaulttest.StartTLS(t)
	secure.Set(vaulttest.Faults{Active: active.URL})
	before := len(active.Requests())
	b = open(t, "vault:"+secure.URL+"/secret/dkim?ca="+ca, map[string]string{"VAULT_TOKEN": vaulttest.Root})
	if err := b.List(t.Context(), func(string, string) {}); err == nil || !strings.Contains(err.Error(), "from https") {
		t.Errorf("redirected from https to http: %v", err)
	}
	if after := len(active.Requests()); after != before {
		t.Error("the token was sent from https to http")
	}
}

// The certificate of the server is verified, HTTP/2 is used, and the hints say how.
func TestTLS(t *testing.T) {
	t.Parallel()
	s, ca := vaulttest.StartTLS(t)
	s.Mount("secret", 2)
	s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
	env := func(more ...string) map[string]string {
		env := map[string]string{"VAULT_TOKEN": vaulttest.Root, "VAULT_ADDR": s.URL}
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	dir := filepath.Dir(ca)
	for _, good := range []map[string]string{
		env("VAULT_CACERT", ca), env("BAO_CACERT", ca, "VAULT_CACERT", "/none"), env("VAULT_CAPATH", dir),
		env("VAULT_CACERT", ca, "VAULT_TLS_SERVER_NAME", "example.com"), env("VAULT_CACERT", ca, "VAULT_SKIP_VERIFY", "false"),
	} {
		if got := list(t, open(t, "vault:secret/dkim", good)); len(got) != 1 {
			t.Errorf("listed %q", got)
		}
	}
	for _, test := range []struct {
		env  map[string]string
		hint string
	}{
		{env(), "VAULT_CACERT"},
		{env("VAULT_CACERT", ca, "VAULT_TLS_SERVER_NAME", "other.example"), "VAULT_TLS_SERVER_NAME"},
		{env("VAULT_ADDR", strings.Replace(s.URL, "https", "http", 1), "VAULT_CACERT", ca), "path"},
	} {
		err := open(t, "vault:///secret/dkim", test.env).List(t.Context(), func(string, string) {})
		if err == nil {
			t.Errorf("%v: no error", test.env)
		} else if _, hint := finding.Split(err); !strings.Contains(hint, test.hint) {
			t.Errorf("%v: %s", test.env, finding.Text(err))
		}
	}
	plain := vaulttest.Start(t)
	err := open(t, "vault:"+strings.Replace(plain.URL, "http", "https", 1)+"/secret", env()).List(t.Context(), func(string, string) {})
	if err == nil || !strings.Contains(finding.Text(err), "vault:http://") {
		t.Errorf("TLS to a server without: %v", err)
	}
	for _, bad := range []map[string]string{
		env("VAULT_SKIP_VERIFY", "1"), env("VAULT_SKIP_VERIFY", "true"), env("VAULT_SKIP_VERIFY", "yes"),
		env("VAULT_CACERT", "/none"), env("VAULT_CAPATH", t.TempDir()), env("VAULT_CACERT", os.Args[0]),
		env("VAULT_CLIENT_CERT", ca), env("VAULT_CLIENT_CERT", ca, "VAULT_CLIENT_KEY", ca),
	} {
		if _, err := New("vault:secret/dkim", func(name string) string { return bad[name] }); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

// Mailu's endpoint has one key a domain, and no list; it gets no token of a Vault.
func TestMailu(t *testing.T) {
	t.Parallel()
	mailu := vaulttest.Mailu("dkim", map[string]string{"example.org": string(pemOf(rsaKey()))})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "" {
			t.Error("it was sent the token")
		}
		mailu.ServeHTTP(w, r)
	}))
	defer web.Close()
	for _, path := range []string{"", "/internal/rspamd/vault/dkim", "/internal/rspamd/vault/v1/dkim/"} {
		b := open(t, "vault:"+web.URL+path+"?layout=mailu", map[string]string{"VAULT_TOKEN": secretToken})
		if err := b.List(t.Context(), func(string, string) {}); !errors.Is(err, keystore.ErrNoList) {
			t.Errorf("List: %v", err)
		}
		found := read(t, b, "example.org")
		if len(found) != 1 {
			t.Fatalf("Read: %v", found)
		}
		sameKey(t, found[0], rsaKey())
		if found[0].Selector != "dkim" || !strings.HasSuffix(found[0].Place, "/internal/rspamd/vault/dkim/example.org selector dkim") {
			t.Errorf("entry %+v", found[0])
		}
		if got := read(t, b, "other.example"); len(got) != 0 {
			t.Errorf("another domain: %v", got)
		}
		if _, err := b.Add(t.Context(), "example.org", "s", pemOf(edKey(0)), time.Now()); !errors.Is(err, errReadOnly) {
			t.Errorf("Add: %v", err)
		}
		if notes, _, err := b.Notes(t.Context(), "example.org"); err != nil || notes != nil {
			t.Errorf("Notes: %q %v", notes, err)
		}
	}
	b := open(t, "vault:"+web.URL+"/wrong/dkim?layout=mailu", nil)
	if _, err := b.Read(t.Context(), []string{"example.org"}); err == nil {
		t.Error("a wrong path is no error")
	}
}
