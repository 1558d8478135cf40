package migrate

import (
	"path/filepath"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

// What OpenDKIM does by default is carried over too, where signpostd has
// another default and a setting.
func TestOpenDKIMSettings(t *testing.T) {
	const trusted, canonicalization = "SIGNPOST_TRUSTED_NETWORKS", "SIGNPOST_CANONICALIZATION"
	const sign, oversign = "SIGNPOST_SIGN_HEADERS", "SIGNPOST_OVERSIGN_HEADERS"
	for _, test := range []struct{ conf, variable, want, notes string }{
		{"", trusted, "127.0.0.1,::1", ""},
		{"", canonicalization, "simple/simple", ""},
		{"", oversign, "", "not set, and signpostd's defaults differ: SignHeaders ("},
		{"Canonicalization relaxed", canonicalization, "relaxed/simple", ""},
		{"Canonicalization Simple/Relaxed", canonicalization, "simple/relaxed", ""},
		// The empty list.
		{"InternalHosts -", trusted, "none", ""},
		{"InternalHosts mail.example.org", trusted, "none", `the host name "mail.example.org"`},
		{"InternalHosts file:DIR/hosts", trusted, "none", ""},
		// What OpenDKIM finds nobody by.
		{"InternalHosts 192.168.0.1/24, 10.0.0.0/8", trusted, "10.0.0.0/8",
			`finds no client by "192.168.0.1/24", so it is left out; add 192.168.0.0/24 to`},
		{"InternalHosts 192.168.0.1/32", trusted, "192.168.0.1/32", ""},
		{"InternalHosts csl:FD00::/8, [2001:db8::1], 2001:db8:0::/48", trusted, "FD00::/8,2001:db8::1",
			`"2001:db8:0::/48", so it is left out; add 2001:db8::/48 to`},
		{"InternalHosts 10.0.0.0/255.0.0.0, 127.0.0.1, *.example.org", trusted, "127.0.0.1", `finds no client by "*.example.org"`},
		{"InternalHosts refile:DIR/names", trusted, "127.0.0.1", `the host name "*.example.org"`},
		{"InternalHosts 10.0.0.0/8, !10.1.0.0/16", trusted, "10.0.0.0/8", `an exception "!10.1.0.0/16"`},
		// With a star, only what has a sign changes SignHeaders; elsewhere a star is a name.
		{"SignHeaders +Autocrypt,*,x-mine,-Sender", sign, "*,+Autocrypt,-Sender", ""},
		{"SignHeaders To,Subject", sign, "From,To,Subject", ""},
		{"OversignHeaders *,+Subject,From", oversign, "From", "the star is a field name for OpenDKIM"},
	} {
		t.Run(test.conf, func(t *testing.T) {
			dir := t.TempDir()
			lay(t, dir, map[string]string{
				"opendkim.conf": "Mode s\nDomain example.org\nSelector s\nKeyFile DIR/key\n" + test.conf + "\n",
				"key":           "KEY0:pkcs8", "hosts": "# nobody\n", "names": "*.example.org\n127.0.0.1\n",
			})
			plan, err := Read(filepath.Join(dir, "opendkim.conf"), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if got := setting(plan, test.variable); got != test.want {
				t.Errorf("%s is %q, want %q", test.variable, got, test.want)
			}
			if text := said(plan.Findings); !strings.Contains(text, test.notes) {
				t.Errorf("%q is not in:\n%s", test.notes, text)
			}
		})
	}
}

// said is what findings say, one a line.
func said(findings []finding.Finding) string {
	var text strings.Builder
	for _, f := range findings {
		text.WriteString(f.What + "; " + f.Fix + "\n")
	}
	return text.String()
}
