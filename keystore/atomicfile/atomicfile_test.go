package atomicfile

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func text(s string) func(*bufio.Writer) { return func(w *bufio.Writer) { w.WriteString(s) } }

func TestCreateNeverOverwrites(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if created, err := Create(file, []byte("first"), 0o400, nil); !created || err != nil {
		t.Fatalf("Create = %v, %v", created, err)
	}
	want(t, file, "first", 0o400)
	link := filepath.Join(dir, "dangling")
	if err := os.Symlink("nowhere", link); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, link} {
		if created, err := Create(name, []byte("second"), 0o600, nil); created || err != nil {
			t.Errorf("Create of %s, which exists = %v, %v", name, created, err)
		}
		if created, err := createInPlace(name, []byte("second"), 0o600, nil); created || err != nil {
			t.Errorf("createInPlace of %s, which exists = %v, %v", name, created, err)
		}
	}
	want(t, file, "first", 0o400)
	if created, err := createInPlace(filepath.Join(dir, "no links"), []byte("third"), 0o644, nil); !created || err != nil {
		t.Errorf("createInPlace = %v, %v", created, err)
	}
	want(t, filepath.Join(dir, "no links"), "third", 0o644)
	names(t, dir, 3)
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "state")
	for _, content := range []string{"first", "second"} {
		if err := Replace(file, 0o600, nil, text(content)); err != nil {
			t.Fatal(err)
		}
		want(t, file, content, 0o600)
	}
	names(t, dir, 1)
}

func TestAnErrorLeavesTheOldFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "state")
	if err := Replace(file, 0o600, nil, text("old")); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("cannot be adjusted")
	adjust := func(*os.File) error { return broken }
	if err := Replace(file, 0o644, adjust, text("new")); !errors.Is(err, broken) {
		t.Errorf("Replace = %v, want %v", err, broken)
	}
	if _, err := createInPlace(filepath.Join(dir, "other"), nil, 0o644, adjust); !errors.Is(err, broken) {
		t.Errorf("createInPlace = %v, want %v", err, broken)
	}
	staged, err := Stage(file, 0o600, nil, text("new"))
	if err != nil {
		t.Fatal(err)
	}
	want(t, file, "old", 0o600)
	staged.Discard()
	want(t, file, "old", 0o600)
	names(t, dir, 1)
}

// want checks a file.
func want(t *testing.T, file, content string, mode fs.FileMode) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil || string(data) != content {
		t.Errorf("%s has %q, want %q (%v)", file, data, content, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode() != mode {
		t.Errorf("%s has mode %v, want %v (%v)", file, info.Mode(), mode, err)
	}
}

// names checks how many names there are, so that no hidden file is left.
func names(t *testing.T, dir string, n int) {
	t.Helper()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != n {
		t.Errorf("%s has %v, want %d names (%v)", dir, entries, n, err)
	}
}
