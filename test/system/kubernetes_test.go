package system

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"signpost/test/kubernetes"
)

// Keys that are made and changed in a folder, and reach signpostd in a Secret. To the
// kubelet all of its files are equally old, or the older key has the newer file; and by
// its name "spring" comes after the selector that rotate makes of the date.
func TestSecretRotation(t *testing.T) {
	t.Parallel()
	r := newRotation(t)
	folder := filepath.Join(r.dir, "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	signpost := func(args ...string) string {
		t.Helper()
		out, err := r.companion(append(args, "--keys", folder)...).Output()
		if err != nil {
			t.Fatalf("signpost %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return string(out)
	}
	apply := func(manifest string) {
		t.Helper()
		data := make(map[string][]byte)
		for line := range strings.Lines(manifest) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ".key: ")
			if value == "" {
				continue
			}
			pem, err := base64.StdEncoding.DecodeString(value)
			if err != nil {
				t.Fatal(err)
			}
			data[name+".key"] = pem
		}
		if err := kubernetes.Mount(r.keys, data); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(selector string) {
		t.Helper()
		record, err := os.ReadFile(filepath.Join(folder, rotated, selector+".txt"))
		if err != nil {
			t.Fatal(err)
		}
		r.dns.Publish(t, rotated, string(record))
		r.second.Publish(t, rotated, string(record))
		r.ask()
	}

	apply(signpost("keygen", "--as", "kubernetes", "--selector", "spring", rotated))
	publish("spring")
	r.sign()
	r.awaitSigner("spring")

	signpost("rotate", rotated)
	found, err := filepath.Glob(filepath.Join(folder, rotated, "s2*.private"))
	if err != nil || len(found) != 1 {
		t.Fatalf("rotate made %v %v", found, err)
	}
	next := strings.TrimSuffix(filepath.Base(found[0]), ".private")
	apply(signpost("keys", "--as", "kubernetes"))
	r.awaitStages(map[string]string{"spring": "active", next: "pending"})
	r.staysWith("spring")
	publish(next)
	r.awaitSigner(next)

	// A later change of the Secret writes the file of the old key anew.
	apply(signpost("keys", "--as", "kubernetes"))
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(r.keys, rotated+".spring.key"), later, later); err != nil {
		t.Fatal(err)
	}
	r.restart()
	r.awaitStages(map[string]string{"spring": "retiring", next: "active"})
	r.awaitSigner(next)

	signpost("rotate", "--finish", "--now", rotated)
	apply(signpost("keys", "--as", "kubernetes"))
	await(t, "the old key to go", func() bool { return len(r.d.logged("key removed", "selector=spring")) > 0 })
	if _, err := os.Lstat(filepath.Join(r.keys, rotated+".spring.key")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the Secret has the old key still: %v", err)
	}
	r.withdraw("spring")
	r.awaitSigner(next)
	r.end()
}
