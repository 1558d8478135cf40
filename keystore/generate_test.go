package keystore

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"signpost/keystore/finding"
)

func TestGenerate(t *testing.T) {
	d := newDirectory(t)
	made, err := Generate(d.path, "example.org", "mail")
	if err != nil || !made.New {
		t.Fatalf("got %+v, %v", made, err)
	}
	private, text := filepath.Join(d.path, "example.org.private"), filepath.Join(d.path, "example.org.txt")
	for path, mode := range map[string]os.FileMode{private: 0o400, text: 0o644} {
		if info, err := os.Stat(path); err != nil || info.Mode() != mode {
			t.Errorf("%s: %v, %v, want mode %o", path, info.Mode(), err, mode)
		}
	}
	if got := describeKeys(d.load(nil).Domain("example.org")); got != "mail:rsa" {
		t.Errorf("the new key does not sign: %s", got)
	}
	before, _ := os.ReadFile(private)
	record, _ := os.ReadFile(text)
	if string(record) != made.Record.Genkey("mail", "example.org") {
		t.Errorf("the record is %s", record)
	}

	// Again: nothing changes. Without the record: only that is made.
	if err := os.Remove(text); err != nil {
		t.Fatal(err)
	}
	again, err := Generate(d.path, "example.org", "mail")
	if err != nil || again.New {
		t.Fatalf("again: %+v, %v", again, err)
	}
	after, _ := os.ReadFile(private)
	recordAgain, _ := os.ReadFile(text)
	if string(after) != string(before) || string(recordAgain) != string(record) {
		t.Error("the key or its record has changed")
	}
	if entries, _ := os.ReadDir(d.path); len(entries) != 2 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestGenerateNeverOverwrites(t *testing.T) {
	d := newDirectory(t)
	d.write("example.org.private", []byte("half a k"))
	if _, err := Generate(d.path, "example.org", "mail"); err == nil || !strings.Contains(err.Error(), "no whole PEM block") {
		t.Errorf("over a broken key: %v", err)
	}
	if data, _ := os.ReadFile(filepath.Join(d.path, "example.org.private")); string(data) != "half a k" {
		t.Errorf("the file now is %q", data)
	}
}

// Replicas that start at the same moment on one directory agree on one key.
func TestGenerateByManyAtOnce(t *testing.T) {
	d := newDirectory(t)
	const replicas = 8
	var records [replicas]string
	var created [replicas]bool
	var wg sync.WaitGroup
	for i := range replicas {
		wg.Go(func() {
			made, err := Generate(d.path, "example.org", "mail")
			if err != nil {
				t.Error(err)
			}
			records[i], created[i] = made.Record.String(), made.New
		})
	}
	wg.Wait()
	first := 0
	for i := range replicas {
		if created[i] {
			first++
		}
		if records[i] != records[0] {
			t.Errorf("replica %d has another key", i)
		}
	}
	if first != 1 {
		t.Errorf("%d replicas made the key", first)
	}
	text, _ := os.ReadFile(filepath.Join(d.path, "example.org.txt"))
	if !strings.Contains(strings.NewReplacer("\"", "", "\n", "", "\t", "", " ", "").Replace(string(text)), strings.ReplaceAll(records[0], " ", "")) {
		t.Error("the record beside the key is another one's")
	}
}

func TestGenerateWithoutRights(t *testing.T) {
	d := newDirectory(t)
	if err := os.Chmod(d.path, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		dropRights(t)
	}
	_, err := Generate(d.path, "example.org", "mail")
	if err == nil || !strings.Contains(finding.Text(err), "permission denied") || !strings.Contains(finding.Text(err), "; hint: run this as its owner") {
		t.Errorf("got %v", err)
	}
}
