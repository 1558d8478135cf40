package vault

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/vault/vaulttest"
)

// reader may read, as the policy for signpostd in the README.
var reader = vaulttest.Policy{"secret/data/dkim/*": {"read"}, "secret/metadata/dkim": {"list"}, "secret/metadata/dkim/*": {"list"}}

// withClock has a store see the clock of its server.
func withClock(s *vaulttest.Server, b *Backend) func(time.Duration) {
	ahead := time.Duration(0)
	b.tokens.now = func() time.Time { return time.Now().Add(ahead) }
	return func(d time.Duration) {
		b.tokens.mu.Lock()
		defer b.tokens.mu.Unlock()
		ahead += d
		s.Advance(d)
	}
}

func count(s *vaulttest.Server, request string) (n int) {
	for _, r := range s.Requests() {
		if r == request {
			n++
		}
	}
	return n
}

func storeWithKey(t *testing.T) *vaulttest.Server {
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	s.Put("secret/dkim/example.org", selectors(fields{"selector": "s", "key": base64Of(edKey(0))}))
	return s
}

func mayList(ctx context.Context, b *Backend) error { return b.List(ctx, func(string, string) {}) }

// A token file is read again when it changes, and while it cannot be, the last token counts.
func TestTokenFile(t *testing.T) {
	t.Parallel()
	for _, how := range []string{"variable", "parameter"} {
		s := storeWithKey(t)
		s.Token("hvs.one", reader, vaulttest.Lease{})
		file := filepath.Join(t.TempDir(), "token")
		url, env := "vault:"+s.URL+"/secret/dkim", map[string]string{}
		if how == "variable" {
			env["VAULT_TOKEN_FILE"] = file
		} else {
			url += "?token_file=" + file
			env["VAULT_TOKEN"] = "hvs.other"
		}
		b := open(t, url, env)
		if err := mayList(t.Context(), b); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("without the file: %v", err)
		}
		replace := func(text string) {
			next := filepath.Join(filepath.Dir(file), "next")
			if err := os.WriteFile(next, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(next, file); err != nil {
				t.Fatal(err)
			}
		}
		replace("hvs.one\n")
		if err := mayList(t.Context(), b); err != nil {
			t.Error(err)
		}
		s.Revoke("hvs.one")
		if err := mayList(t.Context(), b); err == nil {
			t.Error("with a token that was revoked: no error")
		}
		s.Token("hvs.two", reader, vaulttest.Lease{})
		replace("hvs.two")
		if err := mayList(t.Context(), b); err != nil {
			t.Error(err)
		}
		replace("")
		if err := mayList(t.Context(), b); err != nil {
			t.Errorf("while the file is empty: %v", err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if err := mayList(t.Context(), b); err != nil {
			t.Errorf("while the file is away: %v", err)
		}
		if files := b.Files(); !slices.Equal(files, []string{file}) {
			t.Errorf("Files: %q", files)
		}
	}
}

// Logins are made when one is needed, once for all who wait, and anew when the token ends.
func TestLogins(t *testing.T) {
	for _, method := range []string{"approle", "kubernetes", "approle at an odd mount"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			s := storeWithKey(t)
			lease := vaulttest.Lease{TTL: time.Hour, Renewable: true, Max: 2 * time.Hour}
			login, query := "", ""
			switch method {
			case "approle":
				s.AppRole("approle", "role", "geheim", reader, lease)
				login, query = "POST auth/approle/login", "auth=approle&role_id_file="+writeFile(t, "role", "role\n")+
					"&secret_id_file="+writeFile(t, "secret", "geheim\n")
			case "kubernetes":
				s.Kubernetes("kubernetes", "signpost", "ey.J.w", reader, lease)
				login, query = "POST auth/kubernetes/login", "auth=kubernetes&role=signpost&jwt_file="+writeFile(t, "jwt", "ey.J.w")
			default:
				s.AppRole("team/approle", "role", "geheim", reader, lease)
				login, query = "POST auth/team/approle/login", "auth=approle&auth_mount=team/approle&role_id_file="+
					writeFile(t, "role", "role")+"&secret_id_file="+writeFile(t, "secret", "geheim")
			}
			b := open(t, "vault:"+s.URL+"/secret/dkim?"+query, map[string]string{"VAULT_TOKEN": "hvs.unused"})
			advance := withClock(s, b)
			errs := make(chan error, 8)
			for range cap(errs) {
				go func() { errs <- mayList(t.Context(), b) }()
			}
			for range cap(errs) {
				if err := <-errs; err != nil {
					t.Error(err)
				}
			}
			if n := count(s, login); n != 1 {
				t.Errorf("%d logins for 8 calls", n)
			}
			works := func(when string) {
				t.Helper()
				if err := mayList(t.Context(), b); err != nil {
					t.Errorf("%s: %s", when, finding.Text(err))
				}
			}
			renewals := func(n int) {
				t.Helper()
				eventually(t, fmt.Sprintf("%d renewals", n), func() bool {
					works("while it is renewed")
					b.tokens.mu.Lock()
					defer b.tokens.mu.Unlock()
					return count(s, "POST auth/token/renew-self") == n && !b.tokens.busy
				})
			}
			advance(35 * time.Minute)
			works("before two thirds")
			if n := count(s, "POST auth/token/renew-self"); n != 0 {
				t.Errorf("%d renewals before two thirds of the life", n)
			}
			advance(6 * time.Minute)
			renewals(1) // at 0:41, until 1:41
			advance(41 * time.Minute)
			renewals(2) // at 1:22, until 2:00, the end
			advance(26 * time.Minute)
			renewals(3) // at 1:48, and there are 12 minutes left: too few
			eventually(t, "a login before the last token ends", func() bool {
				works("near the end")
				b.tokens.mu.Lock()
				defer b.tokens.mu.Unlock()
				return count(s, login) == 2 && b.tokens.pending == nil && !b.tokens.busy
			})
			advance(3 * time.Hour) // nobody asked, and the token ended
			works("after the end")
			if n := count(s, login); n != 3 {
				t.Errorf("%d logins", n)
			}
			advance(2 * time.Minute)
			s.Revoke("")
			works("after a revocation")
			if n := count(s, login); n != 4 {
				t.Errorf("%d logins", n)
			}
			s.Revoke("")
			if err := mayList(t.Context(), b); err == nil {
				t.Error("a refusal right after a login is no reason for another")
			}
			for _, e := range s.Requests() {
				if strings.Contains(e, "lookup-self") {
					t.Error("the life of a token of a login is known")
				}
			}
		})
	}
}

// What a login lacks is said, without secrets.
func TestLoginFails(t *testing.T) {
	t.Parallel()
	s := storeWithKey(t)
	s.AppRole("approle", "role", "geheim", reader, vaulttest.Lease{})
	role, secret := writeFile(t, "role", "role"), writeFile(t, "secret", "falsch")
	b := open(t, "vault:"+s.URL+"/secret/dkim?auth=approle&role_id_file="+role+"&secret_id_file="+secret, nil)
	err := mayList(t.Context(), b)
	if err == nil || strings.Contains(finding.Text(err), "falsch") || !strings.Contains(err.Error(), "auth/approle/login") {
		t.Errorf("a wrong secret: %v", err)
	}
	if err := os.WriteFile(secret, []byte("geheim"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := mayList(t.Context(), b); err != nil {
		t.Errorf("with the right one: %v", err)
	}
	b = open(t, "vault:"+s.URL+"/secret/dkim?auth=kubernetes&role=x&jwt_file=/none/jwt", nil)
	if err := mayList(t.Context(), b); err == nil || !strings.Contains(err.Error(), "/none/jwt") {
		t.Errorf("without a file: %v", err)
	}
}

// A token that was given is renewed if it can be, at two thirds of the life that it says it
// has.
func TestGivenToken(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		lease  vaulttest.Lease
		renews bool
	}{
		{vaulttest.Lease{TTL: time.Hour, Renewable: true}, true},
		{vaulttest.Lease{TTL: time.Hour}, false},
		{vaulttest.Lease{}, false},
	} {
		s := storeWithKey(t)
		s.Token(secretToken, reader, test.lease)
		b := open(t, "vault:"+s.URL+"/secret/dkim", map[string]string{"BAO_TOKEN": secretToken, "VAULT_TOKEN": "x"})
		advance := withClock(s, b)
		eventually(t, "its life is known", func() bool {
			if err := mayList(t.Context(), b); err != nil {
				t.Fatal(err)
			}
			b.tokens.mu.Lock()
			defer b.tokens.mu.Unlock()
			return b.tokens.lease.known
		})
		for range 3 {
			advance(45 * time.Minute)
			if !test.renews {
				continue
			}
			before := count(s, "POST auth/token/renew-self")
			eventually(t, "it is renewed", func() bool {
				if err := mayList(t.Context(), b); err != nil {
					t.Fatal(err)
				}
				b.tokens.mu.Lock()
				defer b.tokens.mu.Unlock()
				return count(s, "POST auth/token/renew-self") == before+1 && !b.tokens.busy
			})
		}
		err := mayList(t.Context(), b)
		if ended := test.lease.TTL > 0 && !test.renews; ended != (err != nil) {
			t.Errorf("%+v: %v", test.lease, err)
		}
		if err != nil && strings.Contains(finding.Text(err), secretToken) {
			t.Errorf("an error has the token: %v", err)
		}
		if n := count(s, "GET auth/token/lookup-self"); n != 1 {
			t.Errorf("%d questions for its life", n)
		}
	}
}

// A namespace is that of the URL, else of the variable.
func TestNamespace(t *testing.T) {
	t.Parallel()
	s := storeWithKey(t)
	s.Set(vaulttest.Faults{Namespace: "team-a/mail", Agent: true})
	for url, good := range map[string]bool{"?namespace=team-a/mail": true, "": true, "?namespace=team-b": false} {
		b := open(t, "vault:"+s.URL+"/secret/dkim"+url, map[string]string{
			"VAULT_TOKEN": vaulttest.Root, "VAULT_NAMESPACE": "team-a/mail/"})
		if err := mayList(t.Context(), b); good != (err == nil) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// Without a token, the error says how to give one.
func TestNoToken(t *testing.T) {
	t.Parallel()
	s := storeWithKey(t)
	err := mayList(t.Context(), open(t, "vault:"+s.URL+"/secret/dkim", nil))
	if err == nil || !strings.Contains(finding.Text(err), "VAULT_TOKEN") {
		t.Errorf("no token: %v", err)
	}
}

// A FIFO in place of a file hangs nothing.
func TestNoTokenFromAFIFO(t *testing.T) {
	t.Parallel()
	s := vaulttest.Start(t)
	s.Mount("secret", 2)
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"?token_file=", "?auth=kubernetes&role=x&jwt_file="} {
		b := open(t, "vault:"+s.URL+"/secret/dkim"+query+fifo, nil)
		failed := make(chan error, 1)
		go func() { _, err := b.Read(t.Context(), []string{"example.org"}); failed <- err }()
		select {
		case err := <-failed:
			if err == nil || !strings.Contains(err.Error(), "not a regular file") {
				t.Errorf("%s: %v", query, err)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s: it hangs", query)
		}
	}
}
