package keystore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/finding"
)

func TestMake(t *testing.T) {
	for name, test := range map[string]struct {
		order   Order
		file    string
		signing string
	}{
		"native":         {Order{"example.org", "s1", RSA, 1024, false, time.Time{}}, "example.org/s1", "s1:rsa"},
		"native Ed25519": {Order{"example.org", "s1e", Ed25519, 0, false, time.Time{}}, "example.org/s1e", "s1e:ed25519"},
		"flat":           {Order{"example.org", "mail", RSA, 1024, true, time.Time{}}, "example.org", "mail:rsa"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t)
			made, err := Make(d.path, test.order)
			if err != nil {
				t.Fatal(err)
			}
			if want := filepath.Join(d.path, test.file); made.File != want+".private" || made.RecordFile != want+".txt" {
				t.Errorf("made %+v", made)
			}
			if got := describeKeys(d.load(nil).Domain("example.org")); got != test.signing {
				t.Errorf("signing: %s", got)
			}
			if text, err := os.ReadFile(made.RecordFile); err != nil || string(text) != made.Record.Genkey(test.order.Selector, "example.org") {
				t.Errorf("the record file has %q, %v", text, err)
			}
			for file, mode := range map[string]fs.FileMode{made.File: 0o400, made.RecordFile: 0o644} {
				if info, err := os.Stat(file); err != nil || info.Mode() != mode {
					t.Errorf("%s: %v, %v", file, info.Mode(), err)
				}
			}
			before, _ := os.ReadFile(made.File)
			if _, err := Make(d.path, test.order); !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), made.File) {
				t.Errorf("again: %v", err)
			}
			if after, _ := os.ReadFile(made.File); string(after) != string(before) {
				t.Error("the key was overwritten")
			}
		})
	}
}

// A record without its key says that a key went missing: that wants a look, and
// a new key beside the old record would be wrong.
func TestMakeBesideRecord(t *testing.T) {
	d := newDirectory(t)
	d.write("example.org/s1.txt", []byte("old"))
	_, err := Make(d.path, Order{"example.org", "s1", Ed25519, 0, false, time.Time{}})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), "s1.txt") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(filepath.Join(d.path, "example.org")); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestMakeRefuses(t *testing.T) {
	d := newDirectory(t)
	for _, test := range []struct {
		order Order
		wrong string
	}{
		{Order{"example.org", "s1", RSA, 1023, false, time.Time{}}, "1024 to 16384 bits, not 1023"},
		{Order{"example.org", "s1", RSA, 16385, false, time.Time{}}, "not 16385"},
		{Order{"example.org", "../s1", RSA, 2048, false, time.Time{}}, "cannot be the name"},
		{Order{"..", "s1", RSA, 2048, false, time.Time{}}, "cannot be the name"},
		{Order{"example.org", strings.Repeat("a.", 125) + "a", Ed25519, 0, false, time.Time{}}, "253"},
	} {
		if _, err := Make(d.path, test.order); err == nil || !strings.Contains(err.Error(), test.wrong) {
			t.Errorf("%+v: got %v", test.order, err)
		}
	}
	if entries, _ := os.ReadDir(d.path); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
	d.write("example.com", []byte("a file"))
	if _, err := Make(d.path, Order{"example.com", "s1", Ed25519, 0, false, time.Time{}}); err == nil || !strings.Contains(err.Error(), "not a directory") {
		t.Errorf("got %v", err)
	}
}

// New files are for whom the directory is for.
func TestMakeGivesAccess(t *testing.T) {
	const uid, gid = 4711, 4712
	for name, test := range map[string]struct {
		uid, gid int
		dirMode  fs.FileMode
		mode     fs.FileMode // of the key, when root makes it
	}{
		"of a user":                    {uid, gid, 0o700, 0o400},
		"of root, for a group":         {0, gid, 0o750, 0o440},
		"of root, for a group and all": {0, gid, 0o755, 0o400},
		"of root, for nobody else":     {0, gid, 0o700, 0o400},
		"of root":                      {0, 0, 0o750, 0o400},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "keys")
			if err := os.Mkdir(dir, test.dirMode); err != nil {
				t.Fatal(err)
			}
			owner := os.Geteuid()
			group := os.Getegid()
			if owner == 0 {
				owner, group = test.uid, test.gid
				if err := os.Chown(dir, test.uid, test.gid); err != nil {
					t.Fatal(err)
				}
			} else {
				test.mode = 0o400 // who is not root cannot give files away
			}
			made, err := Make(filepath.Join(dir, ".next"), Order{"example.org", "s1", Ed25519, 0, false, time.Time{}})
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{made.File, filepath.Dir(made.File), filepath.Join(dir, ".next"), made.RecordFile} {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				sys := info.Sys().(*syscall.Stat_t)
				if int(sys.Uid) != owner || int(sys.Gid) != group {
					t.Errorf("%s belongs to %d:%d, want %d:%d", file, sys.Uid, sys.Gid, owner, group)
				}
				if info.IsDir() && info.Mode().Perm() != test.dirMode {
					t.Errorf("%s has mode %v, want %v", file, info.Mode(), test.dirMode)
				}
				if file == made.File && info.Mode() != test.mode {
					t.Errorf("%s has mode %v, want %v", file, info.Mode(), test.mode)
				}
			}
		})
	}
}

// In a directory of root, as boky/postfix leaves it, a new key belongs to whom the others do.
func TestMakeAsTheOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("who is not root cannot give files away")
	}
	for name, test := range map[string]struct {
		group  int // of the directory
		folder string
		uids   []int
		want   []int
	}{
		"of one owner":    {0, "", []int{101, 101}, []int{101, 104}},
		"of two owners":   {0, "", []int{101, 102}, []int{0, 0}},
		"of root and one": {0, "", []int{0, 101}, []int{0, 0}},
		"none":            {0, "", nil, []int{0, 0}},
		// As the compose files leave it.
		"of a group": {104, "", []int{101, 101}, []int{101, 104}},
		"rotated":    {104, "example.org/", []int{101, 101}, []int{101, 104}},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDirectory(t)
			d.write("README", []byte("of root"))
			if err := errors.Join(os.Chown(d.path, 0, test.group), os.Chmod(d.path, 0o775)); err != nil {
				t.Fatal(err)
			}
			for i, uid := range test.uids {
				file := fmt.Sprintf("%s%d.example.private", test.folder, i)
				d.write(file, []byte("a key"))
				if err := os.Chown(filepath.Join(d.path, file), uid, 104); err != nil {
					t.Fatal(err)
				}
			}
			made, err := Make(d.path, Order{"example.org", "mail", Ed25519, 0, test.folder == "", time.Time{}})
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range []string{made.File, made.RecordFile} {
				info, err := os.Stat(file)
				if err != nil {
					t.Fatal(err)
				}
				sys := info.Sys().(*syscall.Stat_t)
				if got := []int{int(sys.Uid), int(sys.Gid)}; !slices.Equal(got, test.want) {
					t.Errorf("%s belongs to %v, want %v", file, got, test.want)
				}
			}
		})
	}
}

func TestMakeWithoutRights(t *testing.T) {
	d := newDirectory(t)
	if err := os.Chmod(d.path, 0o555); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		dropRights(t)
	}
	_, err := Make(d.path, Order{"example.org", "s1", Ed25519, 0, false, time.Time{}})
	if err == nil || !strings.Contains(finding.Text(err), "permission denied for user") || !strings.Contains(finding.Text(err), "; hint: run this as its owner (user ") {
		t.Errorf("got %v", err)
	}
}
