package keystore

import (
	"path/filepath"
	"slices"
	"testing"
)

func TestUnclaimed(t *testing.T) {
	d := newDirectory(t)
	key := pkcs8(t, rsaKeys(1024, 0))
	for _, file := range []string{
		"example.org.private", "example.org/s1.private", "example.org.s1.key", "localhost.private", // named like keys
		".hidden.pem", ".next/example.org/s1.pem", "example.org/.s1.pem", "a/b/c.pem", // not looked at
		"example.org.pem", "example.org/s1.key", "example.org/s1.private.old",
	} {
		d.write(file, key)
	}
	d.write("README", []byte("keys"))
	d.write("example.org/s1.txt", []byte("v=DKIM1"))
	d.write("half.pem", key[:100])
	var want []string
	for _, file := range []string{"example.org/s1.key", "example.org/s1.private.old", "example.org.pem"} {
		want = append(want, filepath.Join(d.path, file))
	}
	got := Unclaimed(d.path)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := Unclaimed(filepath.Join(d.path, "nowhere")); got != nil {
		t.Errorf("nowhere: got %v", got)
	}
}
