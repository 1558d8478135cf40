package milter

import (
	"fmt"
	"testing"

	"signpost/keystore"
)

// Postfix tries a bounce again whatever the answer is, so one that time does not help is sent
// unsigned, and one that waits for a key to work again is deferred. So is one that another program
// sends as a bounce is sent, with somebody else in From.
func TestDecideNotice(t *testing.T) {
	known := keysFor(t, "example.org", "!broken.example").Signing
	keys := func(domain string) ([]*keystore.Key, error) {
		if domain == "unknown.example" {
			return nil, fmt.Errorf("store: %w", keystore.ErrNoAnswer)
		}
		return known(domain)
	}
	rules := Rules{MustSign: map[string]bool{"must.example": true}, Subdomains: true}
	also := rules
	also.Also = Also{Domain: "none.example"}
	for from, test := range map[string]struct {
		rules   Rules
		reason  Reason
		notice  Action
		another Action // for a message of sendmail(1)
	}{
		"MAILER-DAEMON@host.example.org":             {rules, Signed, Accept, Accept},
		"MAILER-DAEMON@must.example":                 {rules, NoKey, Accept, TempFail},
		"mailer-daemon@host.must.example (Mail)":     {rules, NoKey, Accept, TempFail},
		"MAILER-DAEMON@other.example":                {rules, NoKey, Accept, Accept},
		"MAILER-DAEMON@else.example":                 {also, RelayKey, Accept, TempFail},
		"MAILER-DAEMON@broken.example":               {rules, KeyBroken, TempFail, TempFail},
		"MAILER-DAEMON@unknown.example":              {rules, KeyUnknown, TempFail, TempFail},
		"a@must.example":                             {rules, NoKey, TempFail, TempFail}, // sendmail -f '<>'
		"MAILER-DAEMON <a@must.example>":             {rules, NoKey, TempFail, TempFail},
		"MAILER-DAEMON@must.example, a@must.example": {rules, NoKey, TempFail, TempFail},
		"a@must.example, MAILER-DAEMON@x.example":    {rules, FromMultiple, Reject, Reject},
	} {
		for _, notice := range []bool{true, false} {
			want := map[bool]Action{true: test.notice, false: test.another}[notice]
			got := test.rules.Decide(Client{Local: true, Notice: notice}, []string{" " + from}, keys)
			if got.Reason != test.reason || got.Action != want {
				t.Errorf("%s, notice %t: got %+v, want %s and %d", from, notice, got, test.reason, want)
			}
		}
	}
}

// A notice is told by its sender, and only when it comes from the host itself.
func TestNoticeBySession(t *testing.T) {
	for _, c := range []struct {
		family, sender string
		want           bool
	}{
		{"4\x00\x00127.0.0.1", "", true},
		{"4\x00\x00127.0.0.1", "<>", true},
		{"4\x00\x00127.0.0.1", "double-bounce@mail.example.org", true},
		{"L\x00\x00", "<>", true},
		{"4\x00\x00127.0.0.1", "a@example.org", false},
		{"4\x00\x00127.0.0.1", "<double-bounces@example.org>", false},
		{"4\x04\x01127.0.0.1", "<>", false},
		{"4\x04\x0110.0.0.1", "<>", false},
		{"U", "<>", false},
	} {
		s := &session{conn: &conn{server: &Server{}}, terms: terms{version: 6, protocol: wantedProtocol}}
		for _, frame := range []struct {
			command byte
			payload string
		}{{cmdConnect, "host\x00" + c.family + "\x00"}, {cmdMail, c.sender + "\x00"}} {
			if err := s.handle(frame.command, []byte(frame.payload)); err != nil {
				t.Fatal(err)
			}
		}
		if s.client.Notice != c.want {
			t.Errorf("%q from %q: %t, want %t", c.sender, c.family, s.client.Notice, c.want)
		}
	}
}
