package postfix

import (
	"os"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

func TestEditMaster(t *testing.T) {
	t.Parallel()
	const postlog = "postlog unix-dgram n - n - 1 postlogd\n"
	tests := []struct{ name, text, want, err string }{
		{name: "both missing", text: "smtp inet n - n - - smtpd\n",
			want: "smtp inet n - n - - smtpd\n" + submissionService + postlogService},
		{name: "empty", text: "", want: submissionService + postlogService},
		{name: "no final newline", text: strings.TrimSuffix(postlog, "\n"), want: postlog + submissionService},
		{name: "nothing to do", text: postlog + "587 inet n - n - - smtpd", want: postlog + "587 inet n - n - - smtpd"},
		{name: "on one address", text: postlog + "[::1]:submission inet n - n - - smtpd\n", want: postlog + "[::1]:submission inet n - n - - smtpd\n"},
		{name: "a comment is no service", text: postlog + "#submission inet n - y - - smtpd\n",
			want: postlog + "#submission inet n - y - - smtpd\n" + submissionService},
		{name: "a unix service is none either", text: postlog + "submission unix n - n - - smtpd\n",
			want: postlog + "submission unix n - n - - smtpd\n" + submissionService},
		{name: "chroot", text: postlog + "submission\tinet n\t- y - - smtpd # y\n  -o a=b y\n# y\n  -o c=y\ncleanup unix n y y - - cleanup\npickup unix n - y 60 1 pickup\nlmtp unix - - - - - lmtp\n",
			want: postlog + "submission\tinet n\t- n - - smtpd # y\n  -o a=b y\n# y\n  -o c=y\ncleanup unix n y n - - cleanup\npickup unix n - y 60 1 pickup\nlmtp unix - - - - - lmtp\n"},
		{name: "fields on several lines", text: postlog + "submission inet\n n -\n# y\n y - - smtpd\n", want: postlog + "submission inet\n n -\n# y\n n - - smtpd\n"},
		{name: "fields missing", text: "# services\nsmtp inet n\n", err: "master.cf: line 2: a service needs 8 fields, there are 3; hint: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := editMaster("master.cf", []byte(test.text))
			if test.err != "" {
				if err == nil || !strings.HasPrefix(finding.Text(err), test.err) {
					t.Fatalf("error is %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
			again, err := editMaster("master.cf", got)
			if err != nil || string(again) != string(got) {
				t.Errorf("a second time:\n%s\n%v", again, err)
			}
		})
	}
}

func FuzzMaster(f *testing.F) {
	stock, err := os.ReadFile("/usr/share/postfix/master.cf.dist")
	if err != nil {
		f.Fatalf("%v; hint: run make setup", err)
	}
	f.Add(stock)
	f.Add([]byte("submission\n inet n - y - - smtpd"))
	f.Fuzz(func(t *testing.T, data []byte) {
		first, err := editMaster("master.cf", data)
		if err != nil {
			return
		}
		second, err := editMaster("master.cf", first)
		if err != nil || string(first) != string(second) {
			t.Fatalf("first:\n%q\nsecond:\n%q\n%v", first, second, err)
		}
	})
}
