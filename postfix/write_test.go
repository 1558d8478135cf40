package postfix_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/finding"
	"signpost/postfix"
	"signpost/postfix/setup"
)

const (
	stockMain  = "# stock\nmydestination = $myhostname,\n  localhost\n\nsmtpd_banner = $myhostname\n"
	senders    = "signpost_senders"
	password   = "signpost_relay_password"
	publicMode = 0o644
	secretMode = 0o600
)

func put(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// newDir makes a configuration directory of stock files.
func newDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	put(t, filepath.Join(dir, "main.cf"), stockMain)
	put(t, filepath.Join(dir, "master.cf"), "smtp inet n - y - - smtpd\n")
	return dir
}

// change works out the change of a directory.
func change(t *testing.T, dir string, vars map[string]string) (*postfix.Change, error) {
	t.Helper()
	vars["POSTFIX_myhostname"] = "a.example.org"
	d, err := postfix.Open(dir)
	if err != nil {
		return nil, err
	}
	machine := setup.Machine{Hostname: "box.example.org", Exists: func(string) bool { return false }}
	wanted, err := setup.FromVariables(vars, d.Main, setup.Request{Dir: d.Path, Milter: "inet:signpostd:8891"}, machine)
	if err != nil {
		t.Fatal(err)
	}
	return wanted.Change(d)
}

func mustWrite(t *testing.T, dir string, vars map[string]string) *postfix.Change {
	t.Helper()
	c, err := change(t, dir, vars)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(); err != nil {
		t.Fatal(err)
	}
	return c
}

func relayVars() map[string]string {
	return map[string]string{
		"ALLOWED_SENDER_DOMAINS": "example.org", "RELAYHOST": "r.example.net",
		"RELAYHOST_USERNAME": "u", "RELAYHOST_PASSWORD": "hush",
	}
}

// snapshot is the content of a directory, with what Write must not touch.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			t.Fatal(err)
		}
		data, _ := os.ReadFile(filepath.Join(dir, entry.Name()))
		b.WriteString(info.Mode().String() + " " + info.ModTime().Format(time.RFC3339Nano) + " " + entry.Name() + "\n" + string(data))
	}
	return b.String()
}

func TestWriteTwice(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	if got := len(mustWrite(t, dir, relayVars()).Summary()); got != 4 {
		t.Errorf("%d files written, want 4", got)
	}
	before := snapshot(t, dir)
	if got := mustWrite(t, dir, relayVars()).Summary(); len(got) != 0 {
		t.Errorf("a second time: %q", got)
	}
	if after := snapshot(t, dir); after != before {
		t.Errorf("a second time:\n%s\nfirst:\n%s", after, before)
	}
}

func TestWriteTakesBack(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	mustWrite(t, dir, relayVars())
	c := mustWrite(t, dir, map[string]string{"ALLOW_EMPTY_SENDER_DOMAINS": "yes"})
	want := []string{"removed " + filepath.Join(dir, senders), "removed " + filepath.Join(dir, password), "wrote " + filepath.Join(dir, "main.cf")}
	if got := strings.Join(c.Summary(), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("summary is %s", got)
	}
	data, err := os.ReadFile(filepath.Join(dir, "main.cf"))
	if err != nil {
		t.Fatal(err)
	}
	file, err := postfix.ParseMain("main.cf", data)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := file.Get("relayhost"); ok {
		t.Error("relayhost is still there")
	}
	if got := string(file.Base().Bytes()); got != stockMain {
		t.Errorf("without us main.cf is\n%s", got)
	}
}

func TestWriteKeepsModeAndOwner(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	path := filepath.Join(dir, "main.cf")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(path, 12345, 54321); err != nil {
			t.Fatal(err)
		}
	}
	mustWrite(t, dir, relayVars())
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	owner := info.Sys().(*syscall.Stat_t)
	if info.Mode() != 0o640 || os.Geteuid() == 0 && (owner.Uid != 12345 || owner.Gid != 54321) {
		t.Errorf("main.cf has %v %d %d", info.Mode(), owner.Uid, owner.Gid)
	}
	for name, want := range map[string]os.FileMode{senders: publicMode, password: secretMode} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestWriteClosesPassword(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	mustWrite(t, dir, relayVars())
	path := filepath.Join(dir, password)
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, dir, relayVars())
	if info, err := os.Stat(path); err != nil || info.Mode() != secretMode {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestWriteWithoutMain(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	path := filepath.Join(dir, "main.cf")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, dir, relayVars())
	if info, err := os.Stat(path); err != nil || info.Mode() != publicMode {
		t.Errorf("%v, %v", info, err)
	}
}

func TestWriteThroughLink(t *testing.T) {
	t.Parallel()
	dir, other := newDir(t), t.TempDir()
	path, target := filepath.Join(dir, "main.cf"), filepath.Join(other, "main.cf")
	if err := os.Rename(path, target); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
	mustWrite(t, dir, relayVars())
	if info, err := os.Lstat(path); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link is gone: %v, %v", info.Mode(), err)
	}
	data, err := os.ReadFile(target)
	if err != nil || !strings.Contains(string(data), "relayhost = r.example.net\n") {
		t.Errorf("%v, %s", err, data)
	}
}

func TestWriteErrorChangesNothing(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		spoil func(t *testing.T, dir string)
		err   string
	}{
		{"bad line", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "main.cf"), "a = 1\nhush\n")
		}, "DIR/main.cf: line 2: missing '=' after the parameter name; hint: "},
		{"bad service", func(t *testing.T, dir string) {
			put(t, filepath.Join(dir, "master.cf"), "smtp inet\n")
		}, "DIR/master.cf: line 1: a service needs 8 fields, there are 2; hint: "},
		{"no services", func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "master.cf"))
		}, "DIR/master.cf does not exist; hint: "},
		{"directory in the way", func(t *testing.T, dir string) {
			if err := os.Mkdir(filepath.Join(dir, senders), 0o755); err != nil {
				t.Fatal(err)
			}
		}, "read DIR/signpost_senders: is a directory; hint: "},
		// /proc takes no new files, not even from root.
		{"unwritable", func(t *testing.T, dir string) {
			if err := os.Symlink("/proc/version", filepath.Join(dir, password)); err != nil {
				t.Fatal(err)
			}
		}, "writing /proc/version: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := newDir(t)
			test.spoil(t, dir)
			before := snapshot(t, dir)
			c, err := change(t, dir, relayVars())
			if err == nil {
				err = c.Write()
			}
			want := strings.ReplaceAll(test.err, "DIR", dir)
			if err == nil || !strings.HasPrefix(finding.Text(err), want) || !strings.Contains(finding.Text(err), "; hint: ") || strings.Contains(finding.Text(err), "hush") {
				t.Errorf("error is %v, want %s", err, want)
			}
			if after := snapshot(t, dir); after != before {
				t.Errorf("is now\n%s\nwas\n%s", after, before)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	for path, want := range map[string]string{
		filepath.Join(dir, "none"):    "configuration directory: stat " + dir + "/none: no such file or directory; hint: ",
		filepath.Join(dir, "main.cf"): "configuration directory " + dir + "/main.cf: not a directory; hint: ",
	} {
		if _, err := postfix.Open(path); err == nil || !strings.HasPrefix(finding.Text(err), want) {
			t.Errorf("error is %v, want %s", err, want)
		}
	}
}
