package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"signpost/keystore/finding"
	"signpost/milter/verify"
	"signpost/postfix"
)

// The settings of a migration have a block of their own, however often it is made.
func TestUnitSettings(t *testing.T) {
	t.Parallel()
	settings := []importSetting{{Variable: "ALLOWED_SENDER_DOMAINS", Value: "a.example b.example"}, {Variable: "SIGNPOST_KEYS", Value: "/k"}}
	const block = unitBegin + "ALLOWED_SENDER_DOMAINS=\"a.example b.example\"\nSIGNPOST_KEYS=\"/k\"\n" + unitEnd
	for before, want := range map[string]string{
		"":                 block,
		"SIGNPOST_HTTP=:1": "SIGNPOST_HTTP=:1\n" + block,
		unitBegin + "X=1\n" + unitEnd + "SIGNPOST_HTTP=:1\n": "SIGNPOST_HTTP=:1\n" + block,
		unitBegin + "X=1\nSIGNPOST_HTTP=:1\n":                "X=1\nSIGNPOST_HTTP=:1\n" + block,
	} {
		got := withSettings(before, settings)
		if got != want || withSettings(got, settings) != got {
			t.Errorf("%q becomes %q, want %q", before, got, want)
		}
	}
}

// The file of the settings may be a link, and of a group that reads it.
func TestRewriteKeepsModeAndOwner(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	gid := os.Getgid()
	if os.Geteuid() == 0 {
		gid = 12345
	}
	if err := errors.Join(os.WriteFile(file, []byte("A=1\n"), 0o600), os.Chown(file, -1, gid), os.Chmod(file, 0o640),
		os.Symlink("file", link), rewrite(link, "A=2\n")); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file)
	if err != nil || string(text) != "A=2\n" {
		t.Errorf("the file has %q, %v", text, err)
	}
	info, err := os.Lstat(file)
	if err != nil || info.Mode() != 0o640 || int(info.Sys().(*syscall.Stat_t).Gid) != gid {
		t.Errorf("the file is %v, %v", info, err)
	}
	if target, err := os.Readlink(link); target != "file" || err != nil {
		t.Errorf("the link leads to %q, %v", target, err)
	}
}

// What an interrupted switch leaves, and what to do about it.
func TestSwitchedAlready(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const service = "smtp inet n - n - - smtpd\n"
	line := map[bool]string{false: "smtpd_milters = inet:a:1\n", true: "smtpd_milters = inet:b:2\n"}
	option := map[bool]string{false: "  -o smtpd_milters=inet:a:1\n", true: "  -o smtpd_milters=inet:b:2\n"}
	text, err := json.Marshal(journal{Edits: []postfix.LineEdit{
		{File: "master.cf", Old: option[false], New: option[true]}, {File: "main.cf", Old: line[false], New: line[true]},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := switchedAlready(dir); err != nil {
		t.Errorf("without a journal: %v", err)
	}
	write("signpost-migrate.json", string(text))
	for _, test := range []struct {
		master, main bool
		want         string
	}{
		{false, false, "a switch failed, and Postfix has perhaps not read that it was taken back; hint: have it read that"},
		{true, false, "a switch was interrupted, and not all of main.cf and master.cf is switched; hint: take it back"},
		{false, true, "a switch was interrupted, and not all"},
		{true, true, "Postfix is switched to signpostd already; hint: if that was interrupted, Postfix has perhaps not " +
			"read it: postfix -c " + dir + " reload; to switch back: signpost migrate --back --config-dir " + dir},
	} {
		write("master.cf", service+option[test.master])
		write("main.cf", line[test.main])
		if err := switchedAlready(dir); err == nil || !strings.Contains(finding.Text(err), test.want) {
			t.Errorf("%+v: got %v", test, err)
		}
	}
}

// What stops a switch, and what is a note.
func TestDifference(t *testing.T) {
	t.Parallel()
	sign := func(text string) (list []*verify.Signature) {
		for one := range strings.FieldsSeq(text) {
			part := strings.Split(one, ":")
			list = append(list, &verify.Signature{Domain: part[0], Selector: part[1], Result: verify.Result(part[2]),
				Signed: strings.Split(part[3], ","), Canonicalization: "relaxed/relaxed"})
		}
		return list
	}
	for _, test := range []struct{ theirs, ours, wrong, note string }{
		{"a.example:s:pass:from", "a.example:s:pass:from", "", ""},
		{"a.example:s:pass:from,x-a", "a.example:s:pass:from,from,to", "", "h= of OpenDKIM also has x-a; --sign-headers='*,+NAME' " +
			"has signpostd sign them too (1 domain); h= of signpostd also has from, to (1 domain)"},
		{"a.example:s:pass:from a.example:t:pass:from", "a.example:t:pass:from", "", "OpenDKIM adds 2 signatures, signpostd 1 (1 domain)"},
		{"a.example:s:pass:from b.example:s:neutral:from", "a.example:s:pass:from", "", "OpenDKIM adds 2 signatures, signpostd 1 (1 domain)"},
		{"", "a.example:s:pass:from", "OpenDKIM does not sign mail from a.example", ""},
		{"a.example:s:pass:from", "", "signpostd would not sign mail from a.example", ""},
		{"a.example:s:pass:from", "a.example:t:pass:from", "with d=a.example s=t, and is signed with d=a.example s=s", ""},
		{"b.example:s:pass:from", "a.example:s:pass:from", "with d=a.example s=s, and is signed with d=b.example s=s", ""},
		{"a.example:s:pass:from", "a.example:s:pass:from a.example:e:pass:from", "with d=a.example s=e, and is", ""},
		{"a.example:s:fail:from", "a.example:s:pass:from", "the signature of OpenDKIM with d=a.example s=s does not verify", ""},
		{"a.example:s:pass:from", "a.example:s:fail:from", "the signature of signpostd with d=a.example s=s does not verify", ""},
	} {
		r := compared{domain: "a.example", theirs: sign(test.theirs), ours: sign(test.ours)}
		r.err = difference(r.domain, r.theirs, r.ours)
		if (r.err == nil) != (test.wrong == "") || r.err != nil && !strings.Contains(r.err.Error(), test.wrong) {
			t.Errorf("%q and %q: %v, want %q", test.theirs, test.ours, r.err, test.wrong)
		}
		if note := strings.Join(alike([]compared{r}), "; "); note != test.note {
			t.Errorf("%q and %q: note %q, want %q", test.theirs, test.ours, note, test.note)
		}
	}
}

// What cannot be taken back keeps what it stands on.
func TestUndo(t *testing.T) {
	t.Parallel()
	var ran []string
	step := func(name string, err error) func() error {
		return func() error { ran = append(ran, name); return err }
	}
	broken := errors.New("no space")
	u := undo{step("keys", nil), step("journal", nil), step("main.cf", broken), step("reload", nil)}
	if err := u.run(); err != broken || !slices.Equal(ran, []string{"reload", "main.cf"}) {
		t.Errorf("ran %q: %v", ran, err)
	}
}
