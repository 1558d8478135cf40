package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-msgauth/dkim"
)

const plain = "From: News <news@example.org>\r\nTo: a@b.test\r\nMessage-ID: <1@example.org>\r\nSubject: x\r\n\r\nhello\r\n"

// newKey makes a key and its example.org.txt, in two strings as a long one has.
func newKey(t *testing.T) (keys string, key crypto.Signer) {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p := base64.StdEncoding.EncodeToString(public)
	text := fmt.Sprintf("mail._domainkey\tIN\tTXT\t( \"v=DKIM1; k=ed25519; \"\n\t  \"p=%s\"\n\t  \"%s\" )  ; ----- DKIM key mail for example.org\n", p[:9], p[9:])
	keys = t.TempDir()
	if err := os.WriteFile(filepath.Join(keys, "example.org.txt"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return keys, private
}

func sign(t *testing.T, key crypto.Signer, domain, selector string) string {
	t.Helper()
	var signed bytes.Buffer
	err := dkim.Sign(&signed, strings.NewReader(plain), &dkim.SignOptions{Domain: domain, Selector: selector, Signer: key})
	if err != nil {
		t.Fatal(err)
	}
	return signed.String()
}

func TestVerify(t *testing.T) {
	keys, key := newKey(t)
	_, other := newKey(t)
	good := sign(t, key, "example.org", "mail")
	for _, tt := range []struct{ name, message, want string }{
		{"signed", good, ""},
		{"unsigned", plain, "without a signature of example.org"},
		{"body changed", strings.Replace(good, "hello", "hallo", 1), "does not verify"},
		{"another key", sign(t, other, "example.org", "mail"), "does not verify"},
		{"another selector", sign(t, key, "example.org", "second"), "example.org.txt is about mail._domainkey"},
		{"another domain", sign(t, key, "example.net", "mail"), "does not verify"},
		{"two, one bad", sign(t, other, "example.org", "mail")[:strings.Index(sign(t, other, "example.org", "mail"), "From:")] + good, "does not verify"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			domain, id, err := verify(keys, []byte(tt.message))
			if tt.want == "" {
				if err != nil || domain != "example.org" || id != "<1@example.org>" {
					t.Errorf("got %q, %q, %v", domain, id, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got error %v, want one with %q", err, tt.want)
			}
		})
	}
}

// The probe submits to its own sink: what comes out is what went in, unsigned,
// and that must be found out.
func TestRunTellsUnsigned(t *testing.T) {
	keys, _ := newKey(t)
	relay, err := openSink("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := submit(ctx, relay.Addr().String(), "postmaster@example.org", "probe@[127.0.0.1]", "<1@example.org>"); err != nil {
		t.Fatal(err)
	}
	o := options{keys: keys, count: 1, domains: []string{"example.org"}}
	err = await(ctx, o, relay, nil)
	if err == nil || !strings.Contains(err.Error(), "without a signature") {
		t.Errorf("got %v", err)
	}
}

func TestRecords(t *testing.T) {
	keys, _ := newKey(t)
	if found, err := lookupTXT(keys, "mail._domainkey.example.org"); err != nil || !strings.HasPrefix(found[0], "v=DKIM1; k=ed25519; p=") {
		t.Errorf("got %q, %v", found, err)
	}
	if err := os.WriteFile(filepath.Join(keys, "example.org.txt"), []byte("nothing here\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := lookupTXT(keys, "mail._domainkey.example.org"); err == nil {
		t.Error("a file without a record was taken for one")
	}
}
