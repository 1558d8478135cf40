package milter

import (
	"net/netip"
	"strings"
	"testing"

	"signpost/milter/logins"
)

// A login may write as whom the maps say: by every author's address, and by every domain that
// some program may show. Who has not logged in is not asked.
func TestLoginMismatch(t *testing.T) {
	t.Parallel()
	keys := keysFor(t, "example.com", "other.test").Signing
	maps := "inline:{ anna@example.com=anna, bert@example.com=bert, @anna.test=anna, a.b@example.com=anna, {all@example.com=anna,bert} }"
	open := func(text string, strict bool) *Rules {
		m, err := logins.Open(text, logins.Options{Strict: strict})
		if err != nil {
			t.Fatal(err)
		}
		return &Rules{Trusted: networks("10.0.0.0/8"), Logins: m}
	}
	known, strict, others := open(maps, false), open(maps, true), open(maps+" static:nobody", false)
	for _, test := range []struct {
		from    string
		login   string
		refused string // what the error says; "" for none
		rules   *Rules
	}{
		{" anna@example.com", "anna", "", known},
		{" Anna <ANNA@Example.COM>", "Anna", "", known},
		{" Anna <anna@example.com>", "bert", `login "bert" does not own anna@example.com`, known},
		{" anna@example.com", "", "", strict},
		{" nobody@example.com", "anna", "", known},
		{" nobody@example.com", "anna", `login "anna" does not own nobody@example.com`, strict},
		{" all@example.com, anna@example.com", "anna", "", known},
		{" all@example.com, anna@example.com", "bert", "does not own anna@example.com", known},
		{" Us: all@example.com, anna@example.com;", "bert", "does not own anna@example.com", known},
		{" bert@example.com, x@anna.test", "bert", "does not own x@anna.test", known},
		{" anna@example.com, x@anna.test", "anna", "", known},
		{` "anna"@example.com`, "bert", "does not own anna@example.com", known},
		{` "an\na"@example.com`, "bert", "does not own anna@example.com", known},
		{` "a.b"@example.com`, "bert", "does not own a.b@example.com", known},
		{" a.b@example.com", "anna", "", known},
		// Programs differ in these.
		{" x anna@example.com", "anna", "does not own example.com: programs differ", known},
		{" an(c)na@example.com", "anna", "programs differ", known},
		{" a . b@example.com", "anna", "programs differ", known},
		{" anna @example.com", "anna", "programs differ", known},
		{` corp\anna@example.com`, "anna", "programs differ", known},
		{` "x"anna@example.com`, "anna", "programs differ", known},
		{" x anna@elsewhere.test", "anna", "", known},
		{" x anna@elsewhere.test", "anna", "programs differ", others},
		{" bert@example.com <x@anna.test>", "anna", "does not own example.com: programs differ", known},
		{" x@anna.test <anna@example.com>", "anna", "does not own anna.test: programs differ", known},
		// Some show the address that is in the place of a name.
		{" bert@example.com <anna@example.com>", "anna", "does not own bert@example.com: programs differ", known},
		{" 'bert@example.com' <anna@example.com>", "anna", "does not own bert@example.com", known},
		{" Doe bert@example.com via list <anna@example.com>", "anna", "does not own bert@example.com", known},
		{" x(y)bert@example.com <anna@example.com>", "anna", "programs differ", known},
		{" anna@example.com <anna@example.com>", "anna", "", known},
		{" Anna anna@example.com <anna@example.com>", "anna", "", known},
		{" nobody@example.com <anna@example.com>", "anna", "", known},
		{" 'anna@example.com' <all@example.com>", "anna", "", known},
		{" <@example.com:anna@example.com>", "anna", "", known},
		{" <anna@example.com", "anna", "programs differ", known},
		{" <anna@elsewhere.test", "anna", "", known},
		{" <anna@elsewhere.test", "anna", "programs differ", strict},
		{" scanner", "anna", "", strict}, // names nobody
		{" anna@example.com\n bert@example.com", "anna", "programs differ", known},
		{" " + strings.Repeat("a@b.c,", maxFromBytes/5) + "<", "anna", "too large", known},
	} {
		client := Client{Addr: netip.MustParseAddr("10.1.2.3"), Login: test.login}
		got := test.rules.Decide(client, []string{test.from}, keys)
		refused := got.Reason == LoginMismatch
		if refused != (test.refused != "") || refused && (got.Action != Reject || !strings.Contains(got.Err.Error(), test.refused)) {
			t.Errorf("%.60q of %q: %s, action %v, %v, want %q", test.from, test.login, got.Reason, got.Action, got.Err, test.refused)
		}
		if refused && !strings.HasPrefix(refusal(got), "550 5.7.1 login ") {
			t.Errorf("%.60q: the reply is %q", test.from, refusal(got))
		}
	}
	client := Client{Login: "bert"}
	if got := known.Decide(client, []string{" bert@example.com", " anna@example.com"}, keys); got.Reason != LoginMismatch {
		t.Errorf("two From fields: %s", got.Reason)
	}
	if got := known.Decide(client, nil, keys); got.Reason != FromMissing {
		t.Errorf("no From field: %s", got.Reason)
	}
	if got := known.Decide(Client{Addr: netip.MustParseAddr("192.0.2.1")}, []string{" anna@example.com"}, keys); got.Reason != UntrustedClient {
		t.Errorf("an untrusted client: %s", got.Reason)
	}
}
