package records

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/publish"
	"signpost/test/lab/nameserver"
)

// A key record is put into the zone of a real server, and taken away again. What
// others have at the name stays, and so does all when the server says no.
func TestPublish(t *testing.T) {
	t.Parallel()
	const name = "s1._domainkey.example.org"
	long := "v=DKIM1; h=sha256; k=rsa; s=email; p=" + strings.Repeat("MIIBIjANBgkqhkiG", 25)
	const before = "$TTL 3600\n$ORIGIN example.org.\ns1._domainkey IN TXT \"other\"\n"
	const other = name + ". TXT 3600 other"
	for server, primary := range nameserver.Primaries() {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			port := serve(t, primary, "example.org", head+before, nameserver.WithKey)
			key := func(name, algorithm, secret string) string {
				return write(t, t.TempDir(), "tsig.key", fmt.Sprintf("key %q { algorithm %s; secret %q; };\n", name, algorithm, secret))
			}
			open := func(options string) publish.Publisher {
				t.Helper()
				u, err := publish.Open(fmt.Sprintf("rfc2136:server=127.0.0.1:%s%s", port, options), nil)
				if err != nil {
					t.Fatal(err)
				}
				return u
			}
			good := open(",key-file=" + key("signpost", "hmac-sha256", nameserver.TSIGSecret))
			has := func(want ...string) {
				t.Helper()
				compare(t, transfer(t, "example.org", port), want)
			}
			for range 2 { // a second time changes nothing
				if err := good.Publish(t.Context(), name, long, time.Hour); err != nil {
					t.Fatal(err)
				}
				has(other, name+". TXT 3600 "+long)
			}
			wrong := base64.StdEncoding.EncodeToString([]byte("another secret"))
			unsigned := map[string]string{"named": "REFUSED", "knotd": "NOTAUTH"}
			for what, refused := range map[string]struct {
				u          publish.Publisher
				name, says string
			}{
				"another secret": {open(",key-file=" + key("signpost", "hmac-sha256", wrong)), name, "BADSIG"},
				"another key":    {open(",key-file=" + key("nobody", "hmac-sha256", nameserver.TSIGSecret)), name, "BADKEY"},
				"no key":         {open(""), name, unsigned[server]},
				"another zone":   {open(",zone=example.net,key-file=" + key("signpost", "hmac-sha256", nameserver.TSIGSecret)), "s1._domainkey.example.net", "REFUSED"},
			} {
				err := refused.u.Withdraw(t.Context(), refused.name, long, "", time.Hour)
				if err == nil || !strings.Contains(err.Error(), "the server answers "+refused.says) || !strings.Contains(finding.Text(err), "hint: ") {
					t.Errorf("%s: got %v", what, err)
				}
			}
			has(other, name+". TXT 3600 "+long)
			// Beside another key's record nothing is put, not even what revokes this one.
			const revoked = "v=DKIM1; k=rsa; p="
			another := strings.Replace(long, "MIIB", "MIIC", 1)
			for what, err := range map[string]error{
				"publish": good.Publish(t.Context(), name, another, time.Hour),
				"revoke":  good.Withdraw(t.Context(), name, another, revoked, time.Hour),
			} {
				if err == nil || !strings.Contains(err.Error(), "another key's record is there") {
					t.Errorf("%s beside another key: got %v", what, err)
				}
			}
			if err := good.Withdraw(t.Context(), name, another, "", time.Hour); err != nil {
				t.Fatal(err)
			}
			has(other, name+". TXT 3600 "+long)
			for range 2 {
				if err := good.Withdraw(t.Context(), name, long, revoked, time.Hour); err != nil {
					t.Fatal(err)
				}
				has(other, name+". TXT 3600 "+revoked)
			}
			if err := good.Publish(t.Context(), name, long, time.Hour); err != nil { // in its place
				t.Fatal(err)
			}
			has(other, name+". TXT 3600 "+long)
			for range 2 {
				if err := good.Withdraw(t.Context(), name, long, "", time.Hour); err != nil {
					t.Fatal(err)
				}
				has(other)
			}
		})
	}
	// Where nobody listens.
	port, err := nameserver.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	u, err := publish.Open("rfc2136:server=127.0.0.1:"+port, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := u.Publish(t.Context(), name, long, time.Hour); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("got %v", err)
	}
}

// A policy is replaced, and nothing else that is at its name, by whomever it was put there.
func TestReplace(t *testing.T) {
	t.Parallel()
	const (
		name = "_dmarc.example.org"
		none = "v=DMARC1; p=none; rua=mailto:a@example.org"
		next = "v=DMARC1; p=quarantine; rua=mailto:a@example.org"
	)
	for server, primary := range nameserver.Primaries() {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			port := serve(t, primary, "example.org", head+"$TTL 300\n$ORIGIN example.org.\n", nameserver.WithKey)
			file := write(t, t.TempDir(), "tsig.key", fmt.Sprintf("key \"signpost\" { algorithm hmac-sha256; secret %q; };\n",
				nameserver.TSIGSecret))
			u, err := publish.Open(fmt.Sprintf("rfc2136:server=127.0.0.1:%s,key-file=%s", port, file), nil)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range []struct{ old, value, fails, has string }{
				{none, next, "is gone", ""},
				{"", none, "", none},
				{"", none, "", none},
				{"", next, "1 TXT records are there", none},
				{next + "x", next, "not just the one", none},
				{none, next, "", next},
				{none, next, "", next}, // a second time changes nothing
			} {
				err := u.Replace(t.Context(), name, step.old, step.value, time.Hour)
				if step.fails == "" && err != nil || step.fails != "" && (err == nil || !strings.Contains(err.Error(), step.fails)) {
					t.Errorf("%q by %q: got %v", step.old, step.value, err)
				}
				var want []string
				if step.has != "" {
					want = []string{name + ". TXT 3600 " + step.has}
				}
				compare(t, transfer(t, "example.org", port), want)
			}
		})
	}
}

// A name that is an alias takes no TXT record, and servers do not say so. What the alias leads
// to is another's, and stays. A wildcard is no alias of a name, nor a record at it.
func TestPublishBesideAliasesAndWildcards(t *testing.T) {
	t.Parallel()
	const (
		value   = "v=DKIM1; k=rsa; p=MIIB"
		revoked = "v=DKIM1; k=rsa; p="
		policy  = "v=DMARC1; p=none"
	)
	const before = `$TTL 3600
$ORIGIN example.org.
lost._domainkey IN CNAME nowhere.example.net.
same._domainkey IN CNAME target._domainkey
target._domainkey IN TXT "` + value + `"
*.aliases IN CNAME www.example.net.
*.texts IN TXT "v=spf1 -all"
`
	for server, primary := range nameserver.Primaries() {
		t.Run(server, func(t *testing.T) {
			t.Parallel()
			port := serve(t, primary, "example.org", head+before, nameserver.FromHere)
			u, err := publish.Open("rfc2136:server=127.0.0.1:"+port, nil)
			if err != nil {
				t.Fatal(err)
			}
			was := transfer(t, "example.org", port)
			const alias = "it is an alias of "
			for _, step := range []struct {
				what, fails string
				err         error
			}{
				{"publish", alias + "nowhere.example.net", u.Publish(t.Context(), "lost._domainkey.example.org", value, time.Hour)},
				{"publish what is there", "", u.Publish(t.Context(), "same._domainkey.example.org", value, time.Hour)},
				{"withdraw", alias + "target._domainkey.example.org", u.Withdraw(t.Context(), "same._domainkey.example.org", value, "", time.Hour)},
				{"revoke", alias, u.Withdraw(t.Context(), "same._domainkey.example.org", value, revoked, time.Hour)},
				{"replace", alias, u.Replace(t.Context(), "lost._domainkey.example.org", "", policy, time.Hour)},
			} {
				if step.fails == "" && step.err != nil ||
					step.fails != "" && (step.err == nil || !strings.Contains(step.err.Error(), step.fails)) {
					t.Errorf("%s: got %v", step.what, step.err)
				}
			}
			compare(t, transfer(t, "example.org", port), was)
			for _, domain := range []string{"aliases.example.org", "texts.example.org"} {
				if err := errors.Join(u.Publish(t.Context(), "s1._domainkey."+domain, value, time.Hour),
					u.Replace(t.Context(), "_dmarc."+domain, "", policy, time.Hour)); err != nil {
					t.Error(err)
				}
				was = append(was, "s1._domainkey."+domain+". TXT 3600 "+value, "_dmarc."+domain+". TXT 3600 "+policy)
			}
			compare(t, transfer(t, "example.org", port), was)
		})
	}
}
