package milter

import (
	"fmt"
	"strings"
	"testing"
)

// readWith reads the settings from flags and variables.
func readWith(flags, env map[string]string) (*Signing, error) {
	r := &Reader{Get: func(name string) Value {
		flag, isSet := flags[name]
		return FindSetting(SigningSettings(), name).Value(flag, isSet, env)
	}}
	s := ReadSigning(r)
	return s, r.Err
}

func TestSettingsComeFromFlagThenVariableThenDefault(t *testing.T) {
	env := map[string]string{"DKIM_SELECTOR": "image", "OPENDKIM_Canonicalization": "simple", "SIGNPOST_KEYS": ""}
	s, err := readWith(nil, env)
	if err != nil {
		t.Fatal(err)
	}
	if s.Keys.Dir != "/etc/opendkim/keys" || s.Keys.Selectors.For("example.org") != "image" || s.Policy.Header.String() != "simple" {
		t.Errorf("got %+v", s)
	}
	env["SIGNPOST_SELECTOR"] = "ours"
	if s, err = readWith(nil, env); err != nil || s.Keys.Selectors.For("example.org") != "ours" {
		t.Errorf("got %+v, %v", s, err)
	}
	if s, err = readWith(map[string]string{"selector": "flag"}, env); err != nil || s.Keys.Selectors.For("example.org") != "flag" {
		t.Errorf("got %+v, %v", s, err)
	}
}

func TestSettingErrorsNameWhereTheyCameFrom(t *testing.T) {
	for _, test := range []struct{ name, variable, value, want string }{
		{"keys", "", "", ""},
		{"selector", "DKIM_SELECTOR", "a b", `DKIM_SELECTOR: entry "a b": `},
		{"domains", "ALLOWED_SENDER_DOMAINS", "a.example,b.example", `ALLOWED_SENDER_DOMAINS: "a.example,b.example" has a comma; hint: `},
		{"domains", "", "example", `--domains: "example" is no domain name: `},
		{"trusted-networks", "", "10.0.0.0/33", `--trusted-networks: "10.0.0.0/33" is no network; hint: `},
		{"subdomains", "SIGNPOST_SUBDOMAINS", "perhaps", `SIGNPOST_SUBDOMAINS: "perhaps" is neither yes nor no; hint: `},
		{"canonicalization", "OPENDKIM_Canonicalization", "nofws", `OPENDKIM_Canonicalization: unknown canonicalization "nofws"; hint: `},
		{"sign-headers", "OPENDKIM_SignHeaders", "Subject", "OPENDKIM_SignHeaders: field From is not to be signed; hint: "},
		{"oversign-headers", "", "X-Other", `--oversign-headers: field "X-Other" is oversigned but not signed; hint: `},
		{"expire", "", "500ms", `--expire: "500ms" is less than a second; hint: `},
		{"min-key-bits", "OPENDKIM_MinimumKeyBits", "512", `OPENDKIM_MinimumKeyBits: "512" is no number from 1024 to `},
		{"max-header-bytes", "", "lots", `--max-header-bytes: "lots" is no number from `},
	} {
		flags, env := map[string]string{test.name: test.value}, map[string]string(nil)
		if test.variable != "" {
			flags, env = nil, map[string]string{test.variable: test.value}
		}
		_, err := readWith(flags, env)
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)) {
			t.Errorf("%s %q: %v, want %s...", test.name, test.value, err, test.want)
		}
	}
}

func TestParseNetworks(t *testing.T) {
	got, err := ParseNetworks("10.1.2.3/8, [::1]/128 192.0.2.1\t::ffff:10.0.0.0/104,fd00::1")
	if want := "[10.0.0.0/8 ::1/128 192.0.2.1/32 10.0.0.0/8 fd00::1/128]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v, want %s", got, err, want)
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
		if got := strings.Join(fieldList(text, []string{"From", "To"}), " "); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
