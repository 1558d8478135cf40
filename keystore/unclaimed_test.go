package keystore

import (
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestUnclaimed(t *testing.T) {
	d := newDirectory(t)
	key := pkcs8(t, rsaKeys(1024, 0))
	for _, file := range []string{
		"example.org.private", "example.org/s1.private", "example.org.s1.key", "localhost.private", // named like keys
		"example.org/s2.key", "rsa-2048-s1-example.org.private.txt",
		".hidden.pem", ".next/example.org/s1.pem", "example.org/.s1.pem", "a/b/c.pem", // not looked at
		"example.org.pem", "example.org/example.org.key", "example.org/s1.private.old", "lost+found/s1.key",
		"example.net.dkim", "rsa-2048-a-b-example.org.private.txt",
	} {
		d.write(file, key)
	}
	d.write("README", []byte("keys"))
	d.write("example.org/s1.txt", []byte("v=DKIM1"))
	d.write("half.pem", key[:100])
	d.write("base64", []byte(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKeys(1024, 0)))))
	const asFolder = "to sign with it, call it <domain>/<selector>.private"
	want := map[string]string{
		"base64": asFolder, "example.org.pem": "to sign with it, call it example.org/<selector>.private",
		"example.net.dkim":            "to sign with it, call it example.net/<selector>.private",
		"example.org/example.org.key": "to sign with it, call it example.org/<selector>.private",
		"example.org/s1.private.old":  "to sign with it, call it example.org/<selector>.private",
		"lost+found/s1.key":           asFolder,
		"rsa-2048-a-b-example.org.private.txt": "say which it is, as in --selector b-example.org=a or " +
			"example.org=a-b, or call it <domain>/<selector>.private",
	}
	got := make(map[string]string)
	for _, key := range Unclaimed(Options{Dir: d.path}) {
		got[strings.TrimPrefix(key.File, d.path+"/")] = key.Fix
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Unclaimed(Options{Dir: filepath.Join(d.path, "nowhere")}); got != nil {
		t.Errorf("nowhere: got %v", got)
	}
}

// Nobody finds out from a silent log that a key is not used: each is named once, when it
// is there at the start and when it is dropped in.
func TestUnclaimedKeysAreLogged(t *testing.T) {
	t.Parallel()
	d := newDirectory(t)
	key := ed25519PEM(t)
	d.write("example.org/s1.key", key)
	d.write("example.org/README", []byte("not a key"))
	d.write("example.net.pem", key)
	store, log := d.watch()
	d.await(store, "example.org", "s1:ed25519")
	log.await(t, "file="+filepath.Join(d.path, "example.net.pem"))
	d.write("example.org/s2.pem", key[:20])
	d.write("example.org/s2.pem", key)
	log.await(t, "file="+filepath.Join(d.path, "example.org/s2.pem"))
	if err := store.Reload(); err != nil || log.Count("private key ignored") != 2 || log.Count("README") > 0 {
		t.Errorf("%v\n%s", err, log)
	}

	// Of very many the log names some.
	many := newDirectory(t)
	for i := range few + 1 {
		many.write(domainNumber(i)+".private", key)
		many.write(domainNumber(i)+".pem", key)
	}
	log = &journal{}
	if _, err := Open(Options{Dir: many.path}, slog.New(slog.NewTextHandler(log, nil))); err != nil {
		t.Fatal(err)
	}
	if log.Count("private key ignored") != mostTold || log.Count("more private keys ignored") != 1 {
		t.Errorf("the log:\n%s", log)
	}
}

// await waits until the log has a text.
func (j *journal) await(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); j.Count(text) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the log has no %q:\n%s", text, j)
		}
	}
}
