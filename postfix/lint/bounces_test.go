package lint

import (
	"strings"
	"testing"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// TestBounces: whether bounces are signed depends on the class, on myorigin, and on the keys,
// where they are known.
func TestBounces(t *testing.T) {
	t.Parallel()
	const unsigned, noKey = "note postfix-bounces-unsigned", "warning postfix-bounces-no-key"
	for name, c := range map[string]struct {
		main       string
		keys       string // of these domains, white space between; "?" for not known
		subdomains bool
		want       string
		effect     string // a part of it
		fix        string
	}{
		"keys not known, off": {keys: "?", main: "myorigin = example.org", want: unsigned,
			effect: "they come from MAILER-DAEMON@example.org, which then needs a key", fix: "internal_mail_filter_classes = bounce"},
		"keys not known": {keys: "?", main: "internal_mail_filter_classes = bounce"},
		"covered, off": {keys: "example.org", main: "myorigin = $mydomain", want: unsigned,
			effect: "MAILER-DAEMON@example.org, which has a key", fix: "internal_mail_filter_classes = bounce"},
		"covered from above, off": {keys: "example.org", subdomains: true, want: unsigned,
			effect: "MAILER-DAEMON@mail.example.org, which the key of example.org covers", fix: "internal_mail_filter_classes = bounce"},
		"not covered, off": {keys: "example.org", want: unsigned, effect: "MAILER-DAEMON@mail.example.org, which no key covers",
			fix: "make a key for it, with signpost keygen mail.example.org, or let the key of example.org sign for names below it (--subdomains), " +
				"or set\nmyorigin = example.org\ninternal_mail_filter_classes = bounce"},
		"covered":        {keys: "example.org", main: "myorigin = Example.ORG\ninternal_mail_filter_classes = bounce"},
		"the host's key": {keys: "mail.example.org", main: "internal_mail_filter_classes = notify,bounce"},
		"not covered": {keys: "example.org", main: "internal_mail_filter_classes = bounce", want: noKey, effect: "MAILER-DAEMON@mail.example.org",
			fix: "make a key for it, with signpost keygen mail.example.org, or let the key of example.org sign for names below it (--subdomains), or set\nmyorigin = example.org"},
		"no key anywhere": {main: "internal_mail_filter_classes = bounce", want: noKey,
			fix: "make a key for it, with signpost keygen mail.example.org, or set myorigin to a domain that has one"},
		"a name that no key can have": {main: "myorigin = box\ninternal_mail_filter_classes = bounce", want: noKey,
			fix: "set a domain that has a key, such as\nmyorigin = example.org"},
		"another file than ours": {main: "myorigin = /etc/mailname\ninternal_mail_filter_classes = bounce"},
		"rewritten":              {main: "masquerade_domains = example.org\ninternal_mail_filter_classes = bounce"},
	} {
		config, err := postfix.ParseConfig("main.cf", []byte("myhostname = mail.example.org\nnon_smtpd_milters = "+ours+"\n"+c.main+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		signer := Signer{Address: ours, Subdomains: c.subdomains}
		if c.keys != "?" {
			signer.HasKey = func(domain string) bool { return strings.Contains(" "+c.keys+" ", " "+domain+" ") }
		}
		var got finding.Finding
		for _, f := range Check(config, signer) {
			if strings.HasPrefix(f.Code, "postfix-bounces") {
				got = f
			}
		}
		if text := strings.TrimSpace(string(got.Level) + " " + got.Code); text != c.want || !strings.Contains(got.Effect, c.effect) || got.Fix != c.fix {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
