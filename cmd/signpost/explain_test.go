package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"signpost/cmd/internal/settings"
	"signpost/keystore"
	"signpost/milter"
)

// Every reason that the milter package knows has its sentence, and no two the
// same one.
func TestEveryReasonIsExplained(t *testing.T) {
	reasons := reasonsOf(t, "../../milter")
	if len(reasons) < 9 {
		t.Fatalf("found only the reasons %v", reasons)
	}
	keys, err := keystore.Load(keystore.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	_, help, _ := strings.Cut(description("signpost explain"), `"reason" is one of`)
	said := make(map[string]milter.Reason)
	for _, reason := range reasons {
		if reason != milter.MemoryLimit && !strings.Contains(help, string(reason)) {
			t.Errorf("--help does not name the reason %s", reason)
		}
		v := milter.Verdict{Reason: reason, Author: "example.org", Err: errors.New("the cause"),
			Keys: []*keystore.Key{{Domain: "example.org"}}}
		e := explainReason(v, milter.Client{Addr: netip.MustParseAddr("192.0.2.1")}, &settings.Signing{}, keys)
		if e.why == "" {
			t.Errorf("reason %s has no explanation", reason)
		}
		if e.hint == "" && reason != milter.Signed {
			t.Errorf("reason %s has no hint", reason)
		}
		if other, taken := said[e.why]; taken {
			t.Errorf("reasons %s and %s have one explanation", reason, other)
		}
		said[e.why] = reason
		if e.setting != "" {
			settings.Named(e.setting) // panics when there is none
		}
	}
}

// reasonsOf returns the constants of type Reason in the source of a package.
func reasonsOf(t *testing.T, dir string) (reasons []milter.Reason) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		source, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(source, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok {
				return true
			}
			if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Reason" {
				for _, value := range spec.Values {
					text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
					if err != nil {
						t.Fatal(err)
					}
					reasons = append(reasons, milter.Reason(text))
				}
			}
			return true
		})
	}
	return reasons
}

func TestParseClient(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1": "192.0.2.1 (jane)", "[2001:db8::1]": "2001:db8::1 (jane)", "IPv6:2001:db8::1": "2001:db8::1 (jane)",
		"local": "local (jane)", "unknown": "unknown (jane)", "mail.example.org": "error", "10.0.0.0/8": "error",
	} {
		client, err := parseClient(text, "jane")
		got := client.String()
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// A signpostd that signs with none of the keys that are here reads other keys.
func TestExplainWhereTheDaemonSignsWithAnotherKey(t *testing.T) {
	dir := t.TempDir()
	for _, selector := range []string{"s1", "s2"} {
		order := keystore.Order{Domain: "a.example", Selector: selector, Algorithm: keystore.Ed25519}
		if _, err := keystore.Make(dir, order); err != nil {
			t.Fatal(err)
		}
	}
	message := filepath.Join(dir, ".message")
	if err := os.WriteFile(message, []byte("From: a@a.example\r\n\r\nbody\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"domains": [{"domain": "a.example", "keys": [{"selector": "s2", "stage": "pending"},
			{"selector": "s1", "stage": "pending"}, {"selector": "s1", "stage": "active"}]}]}`)
	}))
	defer daemon.Close()
	var stderr strings.Builder
	args := []string{"signpost", "explain", "--keys", dir, "--daemon", daemon.URL, message}
	if code := run(t.Context(), args, io.Discard, &stderr); code != exitUnknown || !strings.Contains(stderr.String(), "signs with none of the keys") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
}
