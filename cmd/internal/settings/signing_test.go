package settings

import (
	"flag"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/milter"
)

// command returns what a command line with the flags says, in an environment that
// has only those variables of ours.
func command(t *testing.T, given, env map[string]string) *cli.Context {
	t.Helper()
	set := flag.NewFlagSet("signpostd", flag.ContinueOnError)
	for _, s := range ForDaemon() {
		for _, name := range s.Variables {
			t.Setenv(name, env[name])
		}
	}
	flags := Flags(ForDaemon())
	for _, f := range flags {
		if err := f.Apply(set); err != nil {
			t.Fatal(err)
		}
	}
	for name, value := range given {
		if err := set.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	c := cli.NewContext(&cli.App{Flags: flags}, set, nil)
	c.Command = &cli.Command{Flags: flags}
	return c
}

func TestSettingsComeFromFlagThenVariableThenDefault(t *testing.T) {
	env := map[string]string{"DKIM_SELECTOR": "image", "OPENDKIM_Canonicalization": "simple", "SIGNPOST_KEYS": ""}
	s, err := ReadSigning(command(t, nil, env))
	if err != nil {
		t.Fatal(err)
	}
	if s.Keys.Dir != "/etc/opendkim/keys" || s.Keys.Selectors.For("example.org") != "image" || s.Policy.Header.String() != "simple" {
		t.Errorf("got %+v", s)
	}
	env["SIGNPOST_SELECTOR"] = "ours"
	if s, err = ReadSigning(command(t, nil, env)); err != nil || s.Keys.Selectors.For("example.org") != "ours" {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = ReadSigning(command(t, map[string]string{"selector": "flag"}, env)); err != nil || s.Keys.Selectors.For("example.org") != "flag" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestSettingErrorsNameWhereTheyCameFrom(t *testing.T) {
	for _, test := range []struct{ name, variable, value, want string }{
		{"keys", "", "", "--keys: an empty name is not a place of keys; hint: "},
		{"keys", "", "/keys", ""},
		{"selector", "DKIM_SELECTOR", "a b", `DKIM_SELECTOR: entry "a b": `},
		{"domains", "ALLOWED_SENDER_DOMAINS", "a.example,b.example", `ALLOWED_SENDER_DOMAINS: "a.example,b.example" has a comma; hint: `},
		{"domains", "", "example", `--domains: invalid domain name "example": `},
		{"trusted-networks", "", "10.0.0.0/33", `--trusted-networks: "10.0.0.0/33" is not a network; hint: `},
		{"subdomains", "SIGNPOST_SUBDOMAINS", "perhaps", `SIGNPOST_SUBDOMAINS: "perhaps" is neither yes nor no; hint: `},
		{"canonicalization", "OPENDKIM_Canonicalization", "nofws", `OPENDKIM_Canonicalization: unknown canonicalization "nofws"; hint: `},
		{"sign-headers", "OPENDKIM_SignHeaders", "Subject", "OPENDKIM_SignHeaders: field From is not to be signed; hint: "},
		{"oversign-headers", "", "X-Other", `--oversign-headers: field "X-Other" is oversigned but not signed; hint: `},
		{"expire", "", "500ms", `--expire: "500ms" is less than a second; hint: `},
		{"min-key-bits", "OPENDKIM_MinimumKeyBits", "512", `OPENDKIM_MinimumKeyBits: "512" must be a number between 1024 and `},
		{"max-header-bytes", "", "lots", `--max-header-bytes: "lots" must be a number between `},
	} {
		flags, env := map[string]string{test.name: test.value}, map[string]string(nil)
		if test.variable != "" {
			flags, env = nil, map[string]string{test.variable: test.value}
		}
		_, err := ReadSigning(command(t, flags, env))
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(finding.Text(err), test.want)) {
			t.Errorf("%s %q: %v, want %s...", test.name, test.value, err, test.want)
		}
	}
}

// Both lists can change the default: what is no longer signed is not oversigned.
func TestDefaultsOfSignedAndOversignedFieldsAgree(t *testing.T) {
	s, err := ReadSigning(command(t, map[string]string{"sign-headers": "*,-Date,-to", "oversign-headers": "*,-MIME-Version"}, nil))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(s.Policy.Oversign, " "), "From Reply-To Subject Cc Content-Type Content-Transfer-Encoding"; got != want {
		t.Errorf("oversigned are %s, want %s", got, want)
	}
}

func TestFieldList(t *testing.T) {
	for text, want := range map[string]string{
		"A, B":        "A B",
		"*":           "From To",
		"*,+X-A,-to":  "From X-A",
		"from,From,A": "from A",
		"*,From":      "From To",
	} {
		if got := strings.Join(FieldList(text, []string{"From", "To"}), " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func TestParseAlso(t *testing.T) {
	for text, want := range map[string]milter.Also{
		"":                          {},
		" ":                         {},
		"relay.example":             {Domain: "relay.example"},
		"Relay.Example=always":      {Domain: "relay.example"},
		"münchen.example":           {Domain: "xn--mnchen-3ya.example"},
		"relay.example=without-key": {Domain: "relay.example", WithoutKey: true},
	} {
		if got, err := ParseAlso(text); got != want || err != nil {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for text, want := range map[string]string{
		"relay":                      "",
		"=always":                    "",
		"relay.example=":             `"" is not one of always, without-key`,
		"relay.example=withoutkey":   "did you mean without-key?",
		"relay.example,else.example": "",
	} {
		if got, err := ParseAlso(text); err == nil || got != (milter.Also{}) || !strings.Contains(finding.Text(err), want) {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
}

func TestParseShared(t *testing.T) {
	for text, want := range map[string][]keystore.KeyFile{
		"":                  nil,
		" ":                 nil,
		"s1=/a/b.private":   {{Selector: "s1", Path: "/a/b.private"}},
		" S1=a=b , e.ed=/c": {{Selector: "s1", Path: "a=b"}, {Selector: "e.ed", Path: "/c"}},
	} {
		if got, err := ParseShared(text); !slices.Equal(got, want) || err != nil {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"/a/b", "s1=", "=/a", "s_=/a,", "s1=/a,s1=/b", "s1=/a,,s2=/b"} {
		if got, err := ParseShared(text); err == nil || len(got) > 2 {
			t.Errorf("%q: got %+v, %v", text, got, err)
		}
	}
	flags := map[string]string{"shared-key": "s1=/a", "dns-check": "off"}
	if _, err := ReadSigning(command(t, flags, nil)); err == nil || !strings.Contains(finding.Text(err), "--dns-check: it is off") {
		t.Errorf("got %v", err)
	}
}
