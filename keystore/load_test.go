package keystore

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/finding"
)

// directory is a key directory to be changed under the keystore.
type directory struct {
	testing.TB
	path string
}

func newDirectory(t testing.TB) directory { return directory{t, t.TempDir()} }

// write makes a file as an editor or "cat >" does: truncate, then write.
func (d directory) write(name string, data []byte) {
	d.Helper()
	path := filepath.Join(d.path, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		d.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		d.Fatal(err)
	}
}

// rename makes a file as a careful program does: write aside, then rename.
func (d directory) rename(name string, data []byte) {
	d.Helper()
	d.write(".aside", data)
	if err := os.Rename(filepath.Join(d.path, ".aside"), filepath.Join(d.path, name)); err != nil {
		d.Fatal(err)
	}
}

func (d directory) age(name string, modTime time.Time) {
	d.Helper()
	if err := os.Chtimes(filepath.Join(d.path, name), modTime, modTime); err != nil {
		d.Fatal(err)
	}
}

// load reads the directory afresh, or what has changed since a snapshot.
func (d directory) load(previous *Snapshot) *Snapshot {
	d.Helper()
	if previous != nil {
		return d.reload(previous, Options{Dir: d.path})
	}
	snapshot, err := Load(Options{Dir: d.path})
	if err != nil {
		d.Fatal(err)
	}
	return snapshot
}

func (d directory) reload(previous *Snapshot, options Options) *Snapshot {
	d.Helper()
	s := &Store{picture: newPicture(options.Dir, slog.New(slog.DiscardHandler)), source: newKeyDirectory(options)}
	s.current.Store(previous)
	for name, domain := range previous.shards.all() {
		if domain.missing() {
			s.missing[name] = true
		}
	}
	if err := s.Reload(); err != nil {
		d.Fatal(err)
	}
	return s.Snapshot()
}

// describeKeys names the usable keys of a domain, the oldest first:
// "selector:type selector:type", or says why there is none.
func describeKeys(d *DomainKeys) string {
	if err := d.Err(); err != nil {
		return finding.Text(err)
	}
	var names []string
	for _, key := range d.List() {
		names = append(names, fmt.Sprintf("%s:%s", key.Selector, key.Algorithm))
	}
	return strings.Join(names, " ")
}

func ed25519PEM(t testing.TB) []byte {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return pkcs8(t, key)
}

func TestLoadReadsAllLayoutsAtOnce(t *testing.T) {
	d := newDirectory(t)
	d.write("flat.example.private", pkcs1(rsaKeys(1024, 0)))
	d.write("flat.example.txt", []byte("mail._domainkey IN TXT ..."))
	d.write("folder.example/s1.private", pkcs8(t, rsaKeys(1024, 1)))
	d.write("folder.example/ed.private", ed25519PEM(t))
	d.write("rspamd.example.dkim.key", pkcs8(t, rsaKeys(1024, 2)))
	d.write("README", []byte("keys live here"))
	d.write("all.example.private", pkcs8(t, rsaKeys(1024, 0)))
	d.write("all.example/new.private", pkcs8(t, rsaKeys(1024, 1)))
	d.age("all.example.private", time.Now().Add(-time.Hour))

	s := d.load(nil)
	for domain, want := range map[string]string{
		"flat.example":   "mail:rsa",
		"folder.example": "ed:ed25519 s1:rsa",
		"rspamd.example": "dkim:rsa",
		"all.example":    "mail:rsa new:rsa",
		"other.example":  "no key",
	} {
		if got := describeKeys(s.Domain(domain)); got != want {
			t.Errorf("%s has %q, want %q", domain, got, want)
		}
	}
	if got := strings.Join(s.Domains(), " "); got != "all.example flat.example folder.example rspamd.example" {
		t.Errorf("domains %s", got)
	}
	if usable, unread := s.Count(); len(s.Problems()) != 0 || usable != 6 || unread != 0 {
		t.Errorf("problems %v, %d keys, %d domains not read", s.Problems(), usable, unread)
	}
}

func TestLoadSaysWhatIsWrong(t *testing.T) {
	d := newDirectory(t)
	d.write("good.example.private", pkcs8(t, rsaKeys(1024, 0)))
	d.write("empty.example.private", nil)
	d.write("huge.example.private", bytes.Repeat([]byte("x"), maxFile+1))
	d.write("mail.private", pkcs8(t, rsaKeys(1024, 0)))
	if err := syscall.Mkfifo(filepath.Join(d.path, "fifo.example.private"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(d.path, "dangling.example.private")); err != nil {
		t.Fatal(err)
	}
	s := d.load(nil)
	var got []string
	for _, p := range s.Problems() {
		got = append(got, strings.ReplaceAll(finding.Text(p), d.path+"/", ""))
	}
	want := []string{
		"key dangling.example.private: it is a symlink whose target is missing; hint: bring the target back, or remove the symlink",
		"key empty.example.private: the file is empty",
		"key fifo.example.private: it is not a regular file; hint: remove it or rename it",
		"key huge.example.private: it is larger than 65536 bytes, so it is not a key",
		`key mail.private: invalid domain name "mail": it has only one label; hint: call it <domain>/<selector>.private or <domain>.private`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("problems:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	// A domain that the directory names is never taken for one without keys.
	if got := describeKeys(s.Domain("empty.example")); !strings.Contains(got, "the file is empty") {
		t.Errorf("for a domain with a broken key only: %s", got)
	}
	if got := describeKeys(s.Domain("good.example")); got != "mail:rsa" {
		t.Errorf("a good key beside broken ones: %s", got)
	}
}

func TestLoadAsksForMoreBitsAndCare(t *testing.T) {
	d := newDirectory(t)
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	for _, test := range []struct {
		options Options
		mode    os.FileMode
		want    string
	}{
		{Options{MinBits: 2048}, 0o600, "shorter than the 2048"},
		{Options{RequireSafe: true}, 0o640, "mode 0640 lets others"},
		{Options{RequireSafe: true}, 0o400, "mail:rsa"},
		{Options{}, 0o644, "mail:rsa"},
	} {
		if err := os.Chmod(filepath.Join(d.path, "example.org.private"), test.mode); err != nil {
			t.Fatal(err)
		}
		test.options.Dir = d.path
		s, err := Load(test.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := describeKeys(s.Domain("example.org")); !strings.Contains(got, test.want) {
			t.Errorf("with %+v and mode %o: %q, want %q", test.options, test.mode, got, test.want)
		}
	}
}

func TestTwoFilesWithOneName(t *testing.T) {
	one, two := pkcs8(t, rsaKeys(1024, 0)), pkcs8(t, rsaKeys(1024, 1))

	d := newDirectory(t)
	d.write("example.org.private", one)
	d.write("example.org/mail.private", one)
	s := d.load(nil)
	if got := describeKeys(s.Domain("example.org")); got != "mail:rsa" || len(s.Problems()) != 0 {
		t.Errorf("the same key twice: %s, %v", got, s.Problems())
	}

	d = newDirectory(t)
	d.write("example.org/mail.private", one)
	before := d.load(nil)
	d.write("example.org.private", two)
	// The same key in two files, of which one is replaced.
	twice := newDirectory(t)
	twice.write("example.org.private", one)
	twice.write("example.org/mail.private", one)
	beforeTwice := twice.load(nil)
	twice.write("example.org.private", two)
	if s := twice.load(beforeTwice); describeKeys(s.Domain("example.org")) != "mail:rsa" || len(s.Problems()) != 1 {
		t.Errorf("one of two copies replaced: %s, %v", describeKeys(s.Domain("example.org")), s.Problems())
	}

	for name, previous := range map[string]*Snapshot{"at the start": nil, "beside one in force": before} {
		s := d.load(previous)
		if len(s.Problems()) != 1 || !strings.Contains(finding.Text(s.Problems()[0]), "another key for selector mail of example.org; hint: remove one of them") {
			t.Errorf("%s: problems %v", name, s.Problems())
		}
		got := describeKeys(s.Domain("example.org"))
		if previous == nil && !strings.Contains(got, "another key") {
			t.Errorf("%s: %s signs", name, got)
		}
		if previous != nil && (got != "mail:rsa" || !s.Keys("example.org")[0].Equal(before.Keys("example.org")[0])) {
			t.Errorf("%s: %s signs, and not the key that was in force", name, got)
		}
	}
}

// Each way of changing a file is seen by the next load, whatever its times say.
func TestReload(t *testing.T) {
	old, fresh := pkcs8(t, rsaKeys(1024, 0)), pkcs8(t, rsaKeys(1024, 1))
	const name = "example.org.private"
	for title, test := range map[string]struct {
		change func(d directory)
		want   string // the selector's key: "old", "fresh", or the error
	}{
		"nothing":            {func(directory) {}, "old"},
		"replaced by rename": {func(d directory) { d.rename(name, fresh) }, "fresh"},
		"written over":       {func(d directory) { d.write(name, fresh) }, "fresh"},
		"older time": {func(d directory) {
			d.write(name, fresh)
			d.age(name, time.Now().Add(-24*time.Hour))
		}, "fresh"},
		"same time": {func(d directory) {
			info, _ := os.Stat(filepath.Join(d.path, name))
			d.write(name, fresh)
			d.age(name, info.ModTime())
		}, "fresh"},
		"cut short": {func(d directory) { d.write(name, fresh[:100]) }, "old"},
		"emptied":   {func(d directory) { d.write(name, nil) }, "old"},
		"removed":   {func(d directory) { os.Remove(filepath.Join(d.path, name)) }, "old"}, // for a moment
		"removed and broken in between": {func(d directory) {
			os.Remove(filepath.Join(d.path, name))
			d.write(name, []byte("-----BEGIN"))
		}, "old"},
	} {
		t.Run(title, func(t *testing.T) {
			d := newDirectory(t)
			d.write(name, old)
			before := d.load(nil)
			test.change(d)
			after := d.load(before)
			got := "no key"
			for which, key := range map[string]int{"old": 0, "fresh": 1} {
				if keys := after.Keys("example.org"); len(keys) == 1 && rsaKeys(1024, key).PublicKey.Equal(keys[0].Signer.Public()) {
					got = which
				}
			}
			if got != test.want {
				t.Errorf("%s key in force, want %s; problems %v", got, test.want, after.Problems())
			}
			if keys := before.Keys("example.org"); len(keys) != 1 || !rsaKeys(1024, 0).PublicKey.Equal(keys[0].Signer.Public()) {
				t.Error("the snapshot from before has changed")
			}
		})
	}
}

// Many programs replace a file by removing it and making it anew. No message in
// between may go unsigned.
func TestRemovedKeyStaysForAMoment(t *testing.T) {
	d := newDirectory(t)
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	d.write("example.net.private", []byte("broken"))
	before := d.load(nil)
	for _, name := range []string{"example.org.private", "example.net.private"} {
		if err := os.Remove(filepath.Join(d.path, name)); err != nil {
			t.Fatal(err)
		}
	}
	moment := d.load(before)
	if got := describeKeys(moment.Domain("example.org")); got != "mail:rsa" || !moment.Domain("example.org").missing() {
		t.Errorf("right after the removal signs %q", got)
	}
	if got := describeKeys(moment.Domain("example.net")); !strings.Contains(got, "no whole PEM block") {
		t.Errorf("right after the removal of a broken one: %q", got)
	}
	if got := describeKeys(d.load(moment).Domain("example.org")); got != "mail:rsa" {
		t.Errorf("still in the same moment signs %q", got)
	}

	// Made anew in another layout, with another key of the same name.
	d.write("example.org/mail.private", ed25519PEM(t))
	anew := d.load(moment)
	if got := describeKeys(anew.Domain("example.org")); got != "mail:ed25519" || anew.Domain("example.org").faults != nil {
		t.Errorf("made anew: %q signs, %v", got, anew.Problems())
	}
	if err := os.RemoveAll(filepath.Join(d.path, "example.org")); err != nil {
		t.Fatal(err)
	}

	// A folder that is moved away and back leaves its files as they were.
	state := moment.Domain("example.org").files[0]
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	state.stamp, _ = stampOf(mustStat(t, filepath.Join(d.path, "example.org.private")), time.Now())
	if back := d.load(moment); back.Domain("example.org").missing() || describeKeys(back.Domain("example.org")) != "mail:rsa" {
		t.Error("a file that is back is still taken for missing")
	}
	if err := os.Remove(filepath.Join(d.path, "example.org.private")); err != nil {
		t.Fatal(err)
	}

	later := d.reload(moment, Options{Dir: d.path, RemovalGrace: 1})
	for _, domain := range []string{"example.org", "example.net"} {
		if got := describeKeys(later.Domain(domain)); got != "no key" || later.Domain(domain).missing() {
			t.Errorf("a moment later signs %q", got)
		}
	}
}

func mustStat(t testing.TB, path string) os.FileInfo {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func TestFolderWithTheNameOfAKey(t *testing.T) {
	d := newDirectory(t)
	if err := os.Mkdir(filepath.Join(d.path, "example.org.private"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got := describeKeys(d.load(nil).Domain("example.org")); !strings.Contains(got, "not a regular file") {
		t.Errorf("signs %q", got)
	}
}

// A file that nobody touched is not even opened again.
func TestReloadLeavesSettledFilesAlone(t *testing.T) {
	d := newDirectory(t)
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 0)))
	before := d.load(nil)
	state := before.Domain("example.org").files[0]
	state.stamp, _ = stampOf(mustStat(t, state.File), time.Now()) // as it would be two seconds on
	if after := d.load(before); after.Domain("example.org").files[0] != state {
		t.Error("an unchanged file was read again")
	}
	d.write("example.org.private", pkcs8(t, rsaKeys(1024, 1)))
	if after := d.load(before); after.Domain("example.org").files[0] == state {
		t.Error("a changed file was not read again")
	}
}

func TestUnreadableFolderKeepsItsKeys(t *testing.T) {
	if os.Geteuid() == 0 {
		// Root reads everything, so take another user's rights.
		dropRights(t)
	}
	d := newDirectory(t)
	d.write("example.org/s1.private", pkcs8(t, rsaKeys(1024, 0)))
	before := d.load(nil)
	folder := filepath.Join(d.path, "example.org")
	if err := os.Chmod(folder, 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(folder, 0o755)
	if got := describeKeys(d.load(before).Domain("example.org")); got != "s1:rsa" {
		t.Errorf("with a folder that cannot be read any more: %s", got)
	}
	if got := describeKeys(d.load(nil).Domain("example.org")); !strings.Contains(got, "hint: run this as its owner") {
		t.Errorf("with a folder that cannot be read at the start: %s", got)
	}

	// The same through a link, whose target cannot even be looked at.
	linked := newDirectory(t)
	if err := os.Symlink(filepath.Join(folder, "below"), filepath.Join(linked.path, "example.net")); err != nil {
		t.Fatal(err)
	}
	if got := describeKeys(linked.load(nil).Domain("example.net")); !strings.Contains(got, "permission denied") {
		t.Errorf("with a link to such a folder: %s", got)
	}
}
