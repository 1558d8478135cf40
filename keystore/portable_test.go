package keystore

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// The time in a file counts, whatever the file system says; what is no time does not.
func TestMadeIn(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	made, err := Make(dir, Order{Domain: "example.org", Selector: "s1", Algorithm: Ed25519})
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(made.File)
	if err != nil {
		t.Fatal(err)
	}
	file := time.Date(2026, 11, 29, 8, 35, 35, 0, time.UTC)
	inside := time.Date(2019, 2, 3, 4, 5, 6, 0, time.UTC)
	for line, want := range map[string]time.Time{
		"Made: 2019-02-03T04:05:06Z\n":        inside,
		"Made: 2019-02-03T05:05:06+01:00\r\n": inside,
		"":                                    file,
		"Made: yesterday\n":                   file,
		"Made: 2019-02-03\n":                  file,
		"\nMade: 2019-02-03T04:05:06Z\n":      file,
	} {
		path := filepath.Join(dir, "example.net.s1.key")
		os.Remove(path)
		if err := os.WriteFile(path, append([]byte(line), pem...), 0o400); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, file, file); err != nil {
			t.Fatal(err)
		}
		snapshot, err := Load(Options{Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		keys := snapshot.Keys("example.net")
		if len(keys) != 1 || !keys[0].ModTime.Equal(want) {
			t.Errorf("%q: %v, want a key of %v", line, keys, want)
			continue
		}
		// What is printed for a Secret is read as the same key, made at the same time.
		printed, err := Portable(keys[0], append([]byte(line), pem...))
		if err != nil {
			t.Fatal(err)
		}
		if again, ok := madeIn(printed); !ok || !again.Equal(want) {
			t.Errorf("%q: printed with time %v", line, again)
		}
	}
}
