package postfix

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	oldMilter = "inet:localhost:8891"
	newMilter = "unix:signpost/milter"
	services  = "smtp inet n - y - - smtpd\npickup unix n - y 60 1 pickup\ncleanup unix n - y - 0 cleanup\n"
)

func TestSwitchMilter(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, main, master string
		want, wantMaster   string // "" for an error with wrong in it
		wrong              string
		notes              string
	}{
		{name: "alone", main: "smtpd_milters = inet:localhost:8891\nnon_smtpd_milters = inet:localhost:8891\nmilter_default_action = accept\n",
			want: "smtpd_milters = unix:signpost/milter\nnon_smtpd_milters = unix:signpost/milter\nmilter_default_action = tempfail\n"},
		{name: "by reference, without a final newline", main: "non_smtpd_milters=$smtpd_milters\nsmtpd_milters=inet:localhost:8891",
			want: "non_smtpd_milters=$smtpd_milters\nsmtpd_milters=unix:signpost/milter"},
		{name: "a parameter of one's own", main: "odk = inet:localhost:8891\nsmtpd_milters = ${odk} unix:/spamass/s\nnon_smtpd_milters = $(odk)\n",
			want: "odk = unix:signpost/milter\nsmtpd_milters = ${odk} unix:/spamass/s\nnon_smtpd_milters = $(odk)\n"},
		{name: "between others, on several lines, with a comment between, and CRLF",
			main:  "# inet:localhost:8891\nsmtpd_milters = unix:/a,\n  # inet:localhost:8891 signs\n  inet:localhost:8891,unix:/b\r\nnon_smtpd_milters = unix:/b\n",
			want:  "# inet:localhost:8891\nsmtpd_milters = unix:/a,\n  # inet:localhost:8891 signs\n  unix:signpost/milter,unix:/b\r\nnon_smtpd_milters = unix:/b\n",
			notes: ""},
		{name: "others that may fail", main: "milter_default_action = accept\nsmtpd_milters = unix:/spamass, inet:localhost:8891\nnon_smtpd_milters = inet:localhost:8891\n",
			want: "milter_default_action = accept\nsmtpd_milters = unix:/spamass, { unix:signpost/milter, default_action=tempfail }\nnon_smtpd_milters = { unix:signpost/milter, default_action=tempfail }\n"},
		{name: "settings of its own", main: "smtpd_milters = { inet:localhost:8891, default_action=accept, connect_timeout=5s }\nnon_smtpd_milters = $smtpd_milters\n",
			want:  "smtpd_milters = { unix:signpost/milter, default_action=accept, connect_timeout=5s }\nnon_smtpd_milters = $smtpd_milters\n",
			notes: "sends mail unsigned while signpostd is away"},
		{name: "in master.cf", main: "smtpd_milters =\nmilter_default_action = accept\n",
			master:     services + "submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  -o smtpd_milters=inet:localhost:8891\n587 inet n - y - - smtpd -o { smtpd_milters = unix:/a inet:localhost:8891 }\n",
			want:       "smtpd_milters =\nmilter_default_action = accept\n",
			wantMaster: services + "submission inet n - y - - smtpd\n  -o syslog_name=postfix/submission\n  -o smtpd_milters={unix:signpost/milter,default_action=tempfail}\n587 inet n - y - - smtpd -o { smtpd_milters = unix:/a {unix:signpost/milter,default_action=tempfail} }\n",
			notes:      "non_smtpd_milters is not set"},
		{name: "an action on two lines", main: "milter_default_action =\n  accept\nsmtpd_milters = inet:localhost:8891\nnon_smtpd_milters =\n",
			want:  "milter_default_action =\n  accept\nsmtpd_milters = unix:signpost/milter\nnon_smtpd_milters =\n",
			notes: "sends mail unsigned while signpostd is away"},
		{name: "several instances", main: "multi_instance_directories = /etc/postfix-out\nsmtpd_milters = inet:localhost:8891\nnon_smtpd_milters = $smtpd_milters\n",
			want:  "multi_instance_directories = /etc/postfix-out\nsmtpd_milters = unix:signpost/milter\nnon_smtpd_milters = $smtpd_milters\n",
			notes: "the instances of Postfix in /etc/postfix-out are not switched"},
		{name: "both already", main: "smtpd_milters = inet:localhost:8891, unix:signpost/milter\n", wrong: "would be signed twice"},
		{name: "another milter on the same host", main: "smtpd_milters = inet:localhost:8892\n", wrong: "passes mail to it"},
		{name: "no milter", main: "myhostname = a.test\n", wrong: "passes mail to it"},
		{name: "where the address is not written", main: "port = 8891\nsmtpd_milters = inet:localhost:$port\n", wrong: "would be inet:localhost:8891"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if test.master == "" {
				test.master = services
			}
			if test.wantMaster == "" {
				test.wantMaster = test.master
			}
			writeFiles(t, dir, test.main, test.master)
			s, err := switchIn(dir)
			if test.wrong != "" {
				if err == nil || !strings.Contains(err.Error(), test.wrong) {
					t.Fatalf("got %v, want an error with %q", err, test.wrong)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Change.Write(); err != nil {
				t.Fatal(err)
			}
			mustRead(t, dir, test.want, test.wantMaster)
			if notes := strings.Join(s.Notes, "; "); !strings.Contains(notes, test.notes) || test.notes == "" && notes != "" {
				t.Errorf("notes %q, want %q", notes, test.notes)
			}

			// Back, also after somebody has added lines, and not after one of ours is gone.
			writeFiles(t, dir, "# added\n"+test.want, test.wantMaster+"# added\n")
			change, err := Back(dir, s.Edits)
			if err != nil {
				t.Fatal(err)
			}
			if err := change.Write(); err != nil {
				t.Fatal(err)
			}
			mustRead(t, dir, "# added\n"+test.main, test.master+"# added\n")
			if again, err := Back(dir, s.Edits); err != nil || len(again.Files()) > 0 {
				t.Errorf("back once more: %v, %v", again.Files(), err)
			}
			if err := change.Reverse().Write(); err != nil {
				t.Fatal(err)
			}
			mustRead(t, dir, "# added\n"+test.want, test.wantMaster+"# added\n")
			writeFiles(t, dir, "smtpd_milters = unix:/else\n", services)
			if _, err := Back(dir, s.Edits); err == nil || !strings.Contains(err.Error(), "was changed since") {
				t.Errorf("a line is gone: %v", err)
			}
		})
	}
	if _, err := switchIn(t.TempDir()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no main.cf: %v", err)
	}
}

// A configuration that somebody else has changed in the meantime is not written over.
func TestChangedInTheMeantime(t *testing.T) {
	t.Parallel()
	const main, master = "smtpd_milters = inet:localhost:8891\n", services + "587 inet n - y - - smtpd -o smtpd_milters=inet:localhost:8891\n"
	dir := t.TempDir()
	writeFiles(t, dir, main, master)
	s, err := switchIn(dir)
	if err != nil {
		t.Fatal(err)
	}
	const theirs = main + "relayhost = [relay.test]\n"
	writeFiles(t, dir, theirs, master)
	if err := s.Change.Write(); err == nil || !strings.Contains(err.Error(), "main.cf was changed by somebody else") {
		t.Errorf("before: %v", err)
	}
	if err := s.Change.Reverse().Write(); err != nil {
		t.Errorf("what was never written, taken back: %v", err)
	}
	mustRead(t, dir, theirs, master)
	writeFiles(t, dir, main, master)
	if err := s.Change.Write(); err != nil {
		t.Fatal(err)
	}
	writeFiles(t, dir, theirs, master)
	if err := s.Change.Reverse().Write(); err == nil {
		t.Error("after: no error")
	}
	mustRead(t, dir, theirs, master)
}

func switchIn(dir string) (*Switch, error) {
	config, err := ReadConfig(dir)
	if err != nil {
		return nil, err
	}
	return SwitchMilter(dir, config, isOld, newMilter)
}

func writeFiles(t *testing.T, dir, main, master string) {
	t.Helper()
	for name, text := range map[string]string{"main.cf": main, "master.cf": master} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func mustRead(t *testing.T, dir, main, master string) {
	t.Helper()
	for name, want := range map[string]string{"main.cf": main, "master.cf": master} {
		got, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || string(got) != want {
			t.Errorf("%s is %q, %v; want %q", name, got, err, want)
		}
	}
}

// Whatever stands in the files, a switch changes whole addresses only, and Back is its
// reverse.
func FuzzSwitchMilter(f *testing.F) {
	f.Add("smtpd_milters = unix:/a,inet:localhost:8891\nmilter_default_action=accept\n", services)
	f.Add("a=$b\nb={inet:localhost:8891,x=y}\nsmtpd_milters=$a", services+"1 inet n - y - - smtpd -o smtpd_milters=inet:localhost:8891\n")
	f.Fuzz(func(t *testing.T, mainText, masterText string) {
		config, err := ParseConfig("main.cf", []byte(mainText))
		if err != nil || config.AddMaster("master.cf", []byte(masterText)) != nil {
			return
		}
		w := &switching{before: config, from: isOld, to: newMilter, names: milterNames(config)}
		main := edit{path: "main.cf", old: []byte(mainText)}
		master := edit{path: "master.cf", old: []byte(masterText)}
		if _, err := w.edit(&master, &main); err != nil {
			return
		}
		for _, e := range []edit{main, master} {
			lines, err := takeBack(e.path, splitLines(string(e.new)), w.edits)
			if err != nil || strings.Join(lines, "") != string(e.old) {
				t.Errorf("%q became %q, and then %q, %v", e.old, e.new, lines, err)
			}
		}
	})
}

func isOld(address string) bool { return address == oldMilter }
