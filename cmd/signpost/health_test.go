package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"signpost/keystore"
	"signpost/keystore/rotation"
	"signpost/milter"
	"signpost/milter/dkim"
)

func TestHealth(t *testing.T) {
	for _, name := range []string{"SIGNPOST_LISTEN", "OPENDKIM_Socket", "SIGNPOST_KEYS", "SIGNPOST_DOMAINS", "ALLOWED_SENDER_DOMAINS"} {
		t.Setenv(name, "")
	}
	dir, empty, broken := t.TempDir(), t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "example.org.private"), []byte("half a"), 0o600); err != nil {
		t.Fatal(err)
	}
	writeKey(t, filepath.Join(dir, "example.org.private"))
	store, err := keystore.Open(keystore.Options{Dir: dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	server, err := milter.NewServer(milter.Config{
		Keys:   signersOf(t, store),
		Policy: &dkim.Policy{},
		Rules:  milter.Rules{MustSign: map[string]bool{"must.example": true}},
		Log:    slog.New(slog.NewTextHandler(&log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "socket"))
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Listen("unix", filepath.Join(t.TempDir(), "silent"))
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	socket := "unix:" + ln.Addr().String()

	for name, test := range map[string]struct {
		args []string
		code int
		want string // part of the output, or of the error
	}{
		"a listed domain":         {[]string{"--domains", "example.org"}, 0, "signpostd at " + socket + " signs for example.org\n"},
		"a domain with a key":     {[]string{"--keys", dir}, 0, "signs for example.org\n"},
		"one without a key":       {[]string{"--domains", "example.org example.net"}, 1, "error: example.net: mail would not be signed\nsignpost: hint: "},
		"one that must be signed": {[]string{"--domains", "must.example"}, 1, "error: must.example: mail would be refused: 451 4.7.1 "},
		"for machines":            {[]string{"--json", "--domains", "example.org"}, 0, `"signs": true`},
		"one without, likewise":   {[]string{"--domains", "example.net", "--json"}, 1, "\"error\": \"example.net: mail would not be signed\",\n  \"hint\": \"put its key"},
		"two of them":             {[]string{"--domains", "must.example example.net example.org"}, 1, "\nsignpost: error: example.net: mail would not be signed"},
		"image: some of many":     {[]string{"must.example example.org example.net"}, 0, "signs for example.org\nsignpost: warning: must.example: mail would be refused: "},
		"image: with hints":       {[]string{"must.example example.org example.net"}, 0, "signpost: warning: example.net: mail would not be signed\nsignpost: hint: put its key into"},
		"image: all of many":      {[]string{"must.example example.org", "--all"}, 1, "error: must.example: mail would be refused"},
		"image: none of many":     {[]string{"must.example example.net"}, 1, "error: must.example: mail would be refused"},
		"image: some, as JSON":    {[]string{"must.example example.org", "--json"}, 0, "\"error\": \"must.example: mail would be refused"},
		"no key at all":           {[]string{"--keys", empty}, 1, "so nothing would be signed\nsignpost: hint: "},
		"only a broken key":       {[]string{"--keys", broken}, 1, "no key in " + broken + " is usable: key " + broken + "/example.org.private: no whole PEM block"},
		"no directory":            {[]string{"--keys", empty + "/x"}, 1, "no such file or directory\nsignpost: hint: "},
		"nobody there":            {[]string{"--socket", socket + "x", "--keys", dir}, 1, "hint: is signpostd running, and does it listen there?"},
		"nobody answers":          {[]string{"--socket", "unix:" + silent.Addr().String(), "--keys", dir, "--timeout", "50ms"}, 1, "hint: it accepts connections and does not answer: restart signpostd"},
		"not a socket":            {[]string{"--socket", "tcp:1"}, 2, `unknown kind of socket "tcp"`},
		"not a domain":            {[]string{"--domains", "a@b.example"}, 2, "invalid domain name"},
		"an argument":             {[]string{"now"}, 2, "takes no arguments"},
		"an unknown flag":         {[]string{"--now"}, 2, "unknown option --now\nsignpost: hint: see signpost health --help"},
	} {
		var stdout, stderr bytes.Buffer
		args := append([]string{"signpost", "health"}, test.args...)
		if !strings.HasPrefix(name, "nobody ") && name != "not a socket" {
			args = append(args, "--socket", socket)
		}
		domains := ""
		if strings.HasPrefix(name, "image: ") {
			domains, args = test.args[0], slices.Delete(args, 2, 3) // as a container has them
		}
		t.Setenv("ALLOWED_SENDER_DOMAINS", domains)
		code := run(context.Background(), args, &stdout, &stderr)
		if got := stdout.String() + stderr.String(); code != test.code || !strings.Contains(got, test.want) {
			t.Errorf("%s: exit %d, %q, want %d, %q", name, code, got, test.code, test.want)
		}
	}

	if err := server.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if log.Len() > 0 {
		t.Errorf("health checks fill the log: %s", &log)
	}
}

func writeKey(t *testing.T, path string) {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// signpostd is the command of the stories that serves the milter protocol until
// the script ends, as the daemon would:
//
//	signpostd SOCKET KEYS
func signpostd(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: signpostd SOCKET KEYS")
	}
	store, err := keystore.Open(keystore.Options{Dir: ts.MkAbs(args[1])}, slog.New(slog.DiscardHandler))
	ts.Check(err)
	ln, err := net.Listen("unix", ts.MkAbs(args[0]))
	ts.Check(err)
	server, err := milter.NewServer(milter.Config{Keys: signersOf(ts, store), Policy: &dkim.Policy{}, Log: slog.New(slog.DiscardHandler)})
	ts.Check(err)
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	ts.Defer(func() {
		ts.Check(server.Shutdown(context.Background()))
		ts.Check(<-served)
	})
}

// signersOf returns who signs of a store for which the DNS is not asked.
func signersOf(t interface{ Fatalf(string, ...any) }, store *keystore.Store) milter.KeySource {
	book, err := rotation.Open(store, rotation.Off, rotation.State{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("%v", err)
	}
	return book.Signing
}
