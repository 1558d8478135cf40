package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/milter"
	"signpost/milter/dkim"
	"signpost/milter/status/view"
	"signpost/test/lab/nameserver"
)

// A newsletter that signpostd's signer signed, as Gmail would have got it, has all that
// is asked for; one whose unsubscribe field is not signed has not.
func TestCheckMessage(t *testing.T) {
	t.Parallel()
	public, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	zone := nameserver.NewZone(t, fmt.Sprintf(`
example.org. 60 IN SOA ns.example.org. root.example.org. 1 2 3 4 5
example.org. 60 IN MX 10 mail.example.org.
example.org. 60 IN TXT "v=spf1 mx -all"
mail.example.org. 60 IN A 192.0.2.1
1.2.0.192.in-addr.arpa. 60 IN PTR mail.example.org.
s1._domainkey.example.org. 60 IN TXT "v=DKIM1; k=ed25519; p=%s"
_dmarc.example.org. 60 IN TXT "v=DMARC1; p=reject; rua=mailto:dmarc@example.org"
`, base64.StdEncoding.EncodeToString(public)))
	resolver := zone.Serve(t)
	file := filepath.Join(t.TempDir(), "news.eml")
	fields := [][2]string{{"From", " a@example.org"}, {"List-Unsubscribe", " <https://example.org/u/1>"},
		{"List-Unsubscribe-Post", " List-Unsubscribe=One-Click"}}
	for _, test := range []struct {
		sign     []string // nil: as signpostd does
		received string
		want     []string
	}{
		{nil, "from mail.example.org (mail.example.org. [192.0.2.1])\r\n by mx.google.com with ESMTPS id 1", []string{
			`"what": "` + file + ` came from 192.0.2.1 over TLS"`,
			`"what": "` + file + ` is authenticated by a domain that is aligned with its From"`,
			`"what": "` + file + ` has it, signed by example.org"`}},
		{[]string{"From", "List-Unsubscribe"}, "from mail.example.org (mail.example.org. [192.0.2.1]) by mx with ESMTP id 1", []string{
			"came from 192.0.2.1 without TLS (with ESMTP)",
			": the signature of example.org does not cover List-Unsubscribe-Post"}},
	} {
		recipe, err := (&dkim.Policy{Sign: test.sign}).Compile()
		if err != nil {
			t.Fatal(err)
		}
		m := recipe.NewMessage()
		text := "Received: " + test.received + "\r\n"
		var header string
		for _, f := range fields {
			m.Field([]byte(f[0]), []byte(f[1]))
			header += f[0] + ":" + f[1] + "\r\n"
		}
		if err := m.Begin(dkim.Signature{Domain: "example.org", Selector: "s1", Key: key}); err != nil {
			t.Fatal(err)
		}
		m.Write([]byte("x\r\n"))
		values, err := m.Sign(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		text += "DKIM-Signature:" + values[0] + "\r\n" + header + "\r\nx\r\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out, errs bytes.Buffer
		run(context.Background(), []string{"signpost", "check", "--keys", t.TempDir(), "--resolver", resolver, "--json",
			"--from-ip", "192.0.2.1", "--dnsbl", "none", "--message", file, "example.org"}, &out, &errs)
		for _, want := range test.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("not found: %s in\n%s%s", want, out.String(), errs.String())
			}
		}
	}
}

// How many messages were signed is read from signpostd, with since when it counts.
func TestSignedToday(t *testing.T) {
	t.Parallel()
	now := time.Now().UTC().Truncate(time.Second)
	started, together := now.Add(-48*time.Hour), false
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := view.View{Now: now, Started: started}
		if name := r.URL.Query().Get("domain"); name == "example.org" {
			v.Domains = []view.Domain{{Name: name, Together: together,
				Day: view.Counts{{Result: view.Signed, Messages: 300}, {Result: view.Rejected, Messages: 1}, {Result: view.Signed, Messages: 12}}}}
		}
		json.NewEncoder(w).Encode(v)
	}))
	t.Cleanup(server.Close)
	address, err := milter.ParseHTTP(strings.TrimPrefix(server.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{view.NewClient(address, time.Minute)}
	if n, since, err := d.signed(t.Context(), "example.org"); n != 312 || !since.IsZero() || err != nil {
		t.Errorf("got %d, %s, %v", n, since, err)
	}
	if n, _, err := d.signed(t.Context(), "example.net"); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
	started = now.Add(-3 * time.Hour)
	if n, since, err := d.signed(t.Context(), "example.org"); n != 312 || !since.Equal(started) || err != nil {
		t.Errorf("got %d, %s, %v", n, since, err)
	}
	together = true
	if n, _, err := d.signed(t.Context(), "example.org"); err == nil {
		t.Errorf("got %d", n)
	}
}

// Whether Postfix uses TLS is asked of Postfix.
func TestPostfixSends(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("PATH", dir)
	for printed, want := range map[string][2]string{
		"MTA.example.org\nmay\nno\nno\n":  {"mta.example.org", "may"},
		"mta.example.org\n\nno\nno\n":     {"mta.example.org", "none"},
		"mta.example.org\n\nno\nyes\n":    {"mta.example.org", "may"},
		"mta.example.org\n\nyes\nyes\n":   {"mta.example.org", "encrypt"},
		"mta.example.org\ndane\nno\nno\n": {"mta.example.org", "dane"},
		"mta.example.org\n":               {"mta.example.org", ""},
		"":                                {"", ""},
	} {
		script := "#!/bin/sh\nwhile read -r line; do echo \"$line\"; done <<'END'\n" + printed + "END\n"
		if err := os.WriteFile(filepath.Join(dir, "postconf"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if helo, tls := postfixSends(t.Context()); helo != want[0] || tls != want[1] {
			t.Errorf("%q: %q, %q", printed, helo, tls)
		}
	}
}
