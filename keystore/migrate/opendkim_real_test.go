package migrate

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/emersion/go-msgauth/dkim"

	"signpost/keystore"
	"signpost/keystore/record"
)

// TestAgainstOpenDKIM lets the real OpenDKIM sign with a configuration, and
// compares with what signpostd would sign with after the import: the same
// domain and selector, and a key that verifies OpenDKIM's signature. Where
// they differ, the import must have said so.
func TestAgainstOpenDKIM(t *testing.T) {
	const common = "Mode s\nRequireSafeKeys no\nSocket local:DIR/socket\n"
	const tablesOf = common + "KeyTable file:DIR/KeyTable\nSigningTable refile:DIR/SigningTable\n"
	for _, test := range []struct {
		name    string
		files   map[string]string
		authors string // addresses; after "|" those that are lost, and only with it anything is said to be
	}{
		{"one key", map[string]string{
			"opendkim.conf": common + "Domain example.org\nSelector mail\nKeyFile DIR/key\n",
			"key":           "KEY0:pkcs1",
		}, "joe@example.org joe@example.net joe@sub.example.org"},
		{"one key for several domains", map[string]string{
			"opendkim.conf": common + "Domain example.org, Example.NET\nSelector mail\nKeyFile DIR/key\n",
			"key":           "KEY0:pkcs8",
		}, "joe@example.org joe@example.net"},
		{"domains in a file, and what is below them", map[string]string{
			"opendkim.conf": common + "Domain file:DIR/domains\nSelector mail\nKeyFile DIR/key\nSubDomains yes\n",
			"domains":       "# ours\nexample.org\n example.net # too\n",
			"key":           "KEY0:pkcs8",
		}, "joe@example.org joe@example.net joe@a.b.example.org joe@example.com"},
		{"domain star", map[string]string{
			"opendkim.conf": common + "Domain *\nSelector mail\nKeyFile DIR/key\n",
			"key":           "KEY0:pkcs8",
		}, "| joe@example.org"},
		{"names of any case, comments, blanks, an include, carriage returns, no final newline", map[string]string{
			"opendkim.conf": common + "# SELECTOR no\nselector  mail   # yes\r\n\tDOMAIN\texample.net\nDomain example.org\nInclude DIR/more.conf",
			"more.conf":     "KEYFILE DIR/key",
			"key":           "KEY0:pkcs8",
		}, "joe@example.org joe@example.net"},
		{"the last directive holds, also one that is included", map[string]string{
			"opendkim.conf": common + "Selector old\nDomain example.org\nInclude DIR/more.conf\nKeyFile DIR/key\n",
			"more.conf":     "Selector new\nKeyFile DIR/other\n",
			"key":           "KEY0:pkcs8", "other": "KEY1:pkcs8",
		}, "joe@example.org"},
		{"base directory", map[string]string{
			"opendkim.conf":   common + "BaseDirectory DIR\nKeyTable file:tables/KeyTable\nSigningTable file:tables/SigningTable\n",
			"tables/KeyTable": "k example.org:mail:./keys/a\n", "tables/SigningTable": "example.org k\n",
			"keys/a": "KEY0:pkcs8",
		}, "joe@example.org"},
		{"the image's tables", map[string]string{
			"opendkim.conf":       common + "KeyTable refile:DIR/KeyTable\nSigningTable refile:DIR/SigningTable\n",
			"KeyTable":            "\nmail._domainkey.example.org example.org:mail:DIR/example.org.private\nmail._domainkey.example.net example.net:s2:DIR/example.net.private\n",
			"SigningTable":        "\n*@example.org mail._domainkey.example.org\n*@example.net mail._domainkey.example.net\n",
			"example.org.private": "KEY0:pkcs8", "example.net.private": "KEY1:pkcs1",
		}, "joe@example.org joe@example.net joe@sub.example.org"},
		{"the first line that fits", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\nb example.org:s2:DIR/b\n",
			"SigningTable":  "*@EXAMPLE.org a\n*@example.org b\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "joe@example.org"},
		{"two keys, both sign", map[string]string{
			"opendkim.conf": tablesOf + "MultipleSignatures yes\n",
			"KeyTable":      "a example.org:s1:DIR/a\nb example.org:s2:DIR/b\n",
			"SigningTable":  "*@example.org a\n*@example.org b\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "| joe@example.org"},
		{"a wildcard for subdomains, with the domain's key", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@example.org a\n*@*.example.org a\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org joe@sub.example.org joe@a.b.example.org"},
		{"a wildcard for subdomains alone", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@*.example.org a\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org | joe@sub.example.org"},
		{"everybody, each with a key of his own", map[string]string{
			"opendkim.conf":                 tablesOf,
			"KeyTable":                      "any %:mail:DIR/keys/%/mail.private\n",
			"SigningTable":                  "* any\n",
			"keys/example.org/mail.private": "KEY0:pkcs8", "keys/example.net/mail.private": "KEY1:pkcs1", "keys/README": "no domain",
		}, "joe@example.org joe@example.net"},
		{"the domain twice in the path", map[string]string{
			"opendkim.conf":                      tablesOf,
			"KeyTable":                           "any %:mail:DIR/keys/%-x-%.key\n",
			"SigningTable":                       "*@* any\n",
			"keys/example.org-x-example.org.key": "KEY0:pkcs8", "keys/example.net-x-example.com.key": "KEY1:pkcs8",
		}, "joe@example.org"},
		{"everybody in the name of one", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@* a\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org | joe@example.net joe@sub.example.org"},
		{"one key in the name of each", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a %:s1:DIR/a\n",
			"SigningTable":  "*@example.net a\n*@example.org a\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org joe@example.net joe@example.com"},
		{"keys named after the author's domain", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "example.org example.org:s1:DIR/a\nexample.net example.net:s2:DIR/b\n",
			"SigningTable":  "*@* %\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "joe@example.org joe@example.net"},
		{"patterns for names of keys", map[string]string{
			"opendkim.conf": common + "KeyTable refile:DIR/KeyTable\nSigningTable refile:DIR/SigningTable\n",
			"KeyTable":      "x*.org example.org:s1:DIR/a\n* example.net:s2:DIR/b\n",
			"SigningTable":  "*@example.org x.y.org\n*@example.net z\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "joe@example.org joe@example.net"},
		{"single addresses", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\nb example.org:s2:DIR/b\n",
			"SigningTable":  "joe@example.org b\n*-news@example.org b\n*@example.org a\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "ann@example.org | joe@example.org x-news@example.org"},
		{"a regular expression", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "(joe|ann)@example.org a\n",
			"a":             "KEY0:pkcs8",
		}, "eve@example.org | joe@example.org"},
		{"the name of another domain", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@example.org a\n*@example.net a\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org | joe@example.net"},
		{"a bare domain matches no address in a refile", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "example.org a\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org"},
		{"a line of a refile that begins with a blank", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\nb example.net:s1:DIR/a\n",
			"SigningTable":  " *@example.org a\n*@example.net b\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org joe@example.net"},
		{"a pattern for the ends of domains", map[string]string{
			"opendkim.conf":            tablesOf,
			"KeyTable":                 "any %:mail:DIR/keys/%.private\n",
			"SigningTable":             "*example.org any\n",
			"keys/example.org.private": "KEY0:pkcs8", "keys/myexample.org.private": "KEY1:pkcs8", "keys/example.net.private": "KEY2:pkcs8",
		}, "joe@example.org joe@myexample.org joe@example.net"},
		{"tables to look up in", map[string]string{
			"opendkim.conf": common + "KeyTable DIR/KeyTable\nSigningTable DIR/SigningTable\n",
			"KeyTable":      "a example.org:s1:DIR/a\nb example.net:s2:DIR/b\nc c.example.org:s3:DIR/c\n",
			"SigningTable":  "*@example.com a\n.example.org a\nexample.org a\n# x\n example.net b\nc.example.org c\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8", "c": "KEY2:pkcs8",
		}, "joe@example.org joe@example.net joe@c.example.org joe@d.example.org joe@example.com"},
		{"in such a table the star comes last", map[string]string{
			"opendkim.conf":    common + "KeyTable DIR/KeyTable\nSigningTable DIR/SigningTable\n",
			"KeyTable":         "a %:s1:DIR/keys/%\nb example.net:s2:DIR/b\n",
			"SigningTable":     "* a\nexample.net b\njoe@* b\n",
			"keys/example.org": "KEY0:pkcs8", "keys/example.net": "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "ann@example.org ann@example.net | joe@example.org"},
		{"in such a table the nearest domain above comes first", map[string]string{
			"opendkim.conf": common + "KeyTable DIR/KeyTable\nSigningTable DIR/SigningTable\n",
			"KeyTable":      "a %:s1:DIR/a/%\nb %:s2:DIR/b/%\n",
			"SigningTable":  ".org a\n.example.org b\n",
			"a/example.org": "KEY0:pkcs8", "a/x.example.org": "KEY1:pkcs8", "b/x.example.org": "KEY2:pkcs8",
		}, "joe@example.org joe@x.example.org"},
		{"a subdomain with the key of its parent, and carriage returns", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\r\n",
			"SigningTable":  "*@sub.example.org a\r\n*@example.org\ta\r\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org joe@sub.example.org"},
		{"lists in the configuration", map[string]string{
			"opendkim.conf": common + "KeyTable csl:a=example.org:s1:DIR/a,b=example.net:s2:DIR/b\nSigningTable csl:example.org=a, example.net = b\n",
			"a":             "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "joe@example.org joe@example.net"},
		{"a key in the table", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:KEY0:der64\n",
			"SigningTable":  "*@example.org a\n",
		}, "joe@example.org"},
		{"a key file without PEM", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@example.org a\n",
			"a":             "KEY0:der64",
		}, "joe@example.org"},
		{"a missing key", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\nb example.net:s1:DIR/b\n",
			"SigningTable":  "*@example.org a\n*@example.net b\n",
			"b":             "KEY0:pkcs8",
		}, "joe@example.org joe@example.net |"},
		{"Ed25519", map[string]string{
			"opendkim.conf": tablesOf + "SignatureAlgorithm ed25519-sha256\nCanonicalization relaxed/relaxed\n",
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@example.org a\n",
			"a":             "KEY0:ed25519",
		}, "joe@example.org"},
		{"an identity", map[string]string{
			"opendkim.conf": tablesOf,
			"KeyTable":      "a example.org:s1:DIR/a\n",
			"SigningTable":  "*@example.org a:list@%\n",
			"a":             "KEY0:pkcs8",
		}, "joe@example.org"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lay(t, dir, test.files)
			conf := filepath.Join(dir, "opendkim.conf")
			plan, err := Read(conf, Options{})
			if err != nil {
				t.Fatal(err)
			}
			snapshot := carry(t, plan)
			same, lost, lossy := strings.Cut(test.authors, "|")
			for _, author := range strings.Fields(same) {
				theirs := openDKIMSigns(t, conf, author)
				ours := signs(plan, snapshot, author)
				if !slices.Equal(names(ours), theirs.names) {
					t.Errorf("%s: OpenDKIM signs with %v, after the import it is %v\n%s", author, theirs.names, names(ours), losses(plan))
					continue
				}
				for i, key := range ours {
					theirs.verify(t, i, key)
					if c := "c=" + setting(plan, "SIGNPOST_CANONICALIZATION") + ";"; !strings.Contains(theirs.signatures[i], c) {
						t.Errorf("after the import it is %s where OpenDKIM has %s", c, theirs.signatures[i])
					}
				}
			}
			for _, author := range strings.Fields(lost) {
				theirs := openDKIMSigns(t, conf, author)
				if ours := signs(plan, snapshot, author); slices.Equal(names(ours), theirs.names) {
					t.Errorf("%s: thought to be lost, and is not: %v", author, theirs.names)
				}
			}
			if says := losses(plan); (says != "") != lossy {
				t.Errorf("said of what is lost: %q", says)
			}
		})
	}
}

// signs returns the keys that signpostd signs mail of an author with.
func signs(plan *Plan, snapshot *keystore.Snapshot, author string) []*keystore.Key {
	_, domain, _ := strings.Cut(author, "@")
	for {
		keys, err := newest(snapshot.Keys(domain)), snapshot.Domain(domain).Err()
		if err == nil {
			return keys
		}
		_, parent, found := strings.Cut(domain, ".")
		if !found || setting(plan, "SIGNPOST_SUBDOMAINS") != "yes" {
			return nil
		}
		domain = parent
	}
}

func names(keys []*keystore.Key) []string {
	var all []string
	for _, key := range keys {
		all = append(all, "d="+key.Domain+" s="+key.Selector)
	}
	return all
}

// signed is a message with the signatures that OpenDKIM made of it.
type signed struct {
	message    string
	signatures []string
	names      []string
}

var (
	inserted = regexp.MustCompile(`(?s)### INSHEADER: idx=\d+ hname='DKIM-Signature' hvalue='(.*?)'\n`)
	dTag     = regexp.MustCompile(`\bd=([^;]+);`)
	sTag     = regexp.MustCompile(`\bs=([^;]+);`)
)

// openDKIMSigns runs OpenDKIM on one message from an author.
func openDKIMSigns(t *testing.T, conf, author string) signed {
	t.Helper()
	s := signed{message: "From: " + author + "\r\nTo: someone@example.com\r\nSubject: test\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\nHello.\r\n"}
	cmd := exec.Command("opendkim", "-x", conf, "-t", "-", "-vvv")
	cmd.Dir = filepath.Dir(conf)
	cmd.Stdin = strings.NewReader(s.message)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output() // fails for a message that it does not sign
	if !strings.Contains(stderr.String(), "mlfi_eoh() returned") {
		t.Fatalf("opendkim: %v\n%s", err, stderr.String())
	}
	for _, match := range inserted.FindAllStringSubmatch(string(out), -1) {
		s.signatures = append(s.signatures, match[1])
		d, sel := dTag.FindStringSubmatch(match[1]), sTag.FindStringSubmatch(match[1])
		if d == nil || sel == nil {
			t.Fatalf("no d= or s= in %q", match[1])
		}
		s.names = append(s.names, "d="+strings.ToLower(d[1])+" s="+sel[1])
	}
	return s
}

// verify checks a signature with the public half of a key.
func (s signed) verify(t *testing.T, i int, key *keystore.Key) {
	t.Helper()
	want, err := record.ForKey(key.Signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	message := "DKIM-Signature: " + strings.ReplaceAll(s.signatures[i], "\n", "\r\n") + "\r\n" + s.message
	results, err := dkim.VerifyWithOptions(strings.NewReader(message), &dkim.VerifyOptions{
		LookupTXT: func(string) ([]string, error) { return []string{want.String()}, nil },
	})
	if err == nil && len(results) == 1 {
		err = results[0].Err
	}
	if err != nil {
		t.Errorf("the key that was carried over does not verify OpenDKIM's signature: %v\n%s", err, message)
	}
}
