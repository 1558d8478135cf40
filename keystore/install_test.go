package keystore

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestInstall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there")
	data := []byte("a key")
	then := time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)
	name, err := Install(dir, "example.org", "s1", data, then)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, data) {
		t.Errorf("%s has %q, %v", name, got, err)
	}
	info, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o400 || !info.ModTime().Equal(then) {
		t.Errorf("mode %v, time %v", info.Mode(), info.ModTime())
	}

	if _, err := Install(dir, "example.org", "s1", []byte("another"), then); !errors.Is(err, fs.ErrExist) {
		t.Errorf("second install: %v, want fs.ErrExist", err)
	}
	if got, _ := os.ReadFile(name); !bytes.Equal(got, data) {
		t.Errorf("the file was changed to %q", got)
	}
	if entries, _ := os.ReadDir(filepath.Dir(name)); len(entries) != 1 {
		t.Errorf("something is left over: %v", entries)
	}
}
