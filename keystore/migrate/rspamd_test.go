package migrate

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The settings are those of rspamd's documentation of the module dkim_signing,
// and what is expected of them follows its source, lua_dkim_tools.lua.
func TestRspamd(t *testing.T) {
	for _, test := range []struct {
		name  string
		files map[string]string
		path  string
		want  string // author: d= s= number of the key
		lost  string // in what is lost; empty: nothing is
	}{
		{"the default path", map[string]string{
			"dkim_signing.conf":              "path = \"DIR/dkim/$domain.$selector.key\";\n",
			"dkim/example.org.dkim.key":      "KEY0:pkcs8",
			"dkim/example.net.dkim.key":      "KEY1:pkcs8",
			"dkim/example.net.2024.key":      "KEY2:pkcs8",
			"dkim/example.com.mail.key":      "KEY3:pkcs8",
			"dkim/mail.example.edu.dkim.key": "KEY3:pkcs8",
		}, "dkim_signing.conf", "example.org: dkim 0; example.net: dkim 1; sub.example.net: dkim 1; example.com:; mail.example.edu:", "never signs as mail.example.edu"},
		{"without eSLD", map[string]string{
			"dkim_signing.conf":            "use_esld = false; selector = s1; path = \"DIR/dkim/$domain.$selector.key\";\n",
			"dkim/example.org.s1.key":      "KEY0:pkcs8",
			"dkim/mail.example.org.s1.key": "KEY1:pkcs1",
		}, "dkim_signing.conf", "example.org: s1 0; mail.example.org: s1 1; x.example.org:", ""},
		{"sections for domains", map[string]string{
			"local.d/dkim_signing.conf": `
# as in the documentation
try_fallback = false;
path = "DIR/none/$domain.$selector.key";
domain {
  example.org {
    # one key
    path = "DIR/dkim/example.key"; selector = "ds";
  }
  example.net {
    selectors [
      { path: "DIR/dkim/$domain.$selector.pem"; selector: "one" },
      { path: "DIR/dkim/eddsa.key"; selector: "eddsa" },
    ]
  }
}
`,
			"dkim/example.key": "KEY0:pkcs8", "dkim/example.net.one.pem": "KEY1:pkcs8", "dkim/eddsa.key": "KEY0:ed25519",
			"none/example.com.dkim.key": "KEY2:pkcs8",
		}, "local.d/dkim_signing.conf", "example.org: ds 0; example.net: one 1 eddsa e; example.com:", ""},
		{"the image's maps", map[string]string{
			"etc/dkim_signing.conf": "enabled = true;\nsign_networks = [\"0.0.0.0/0\"];\nallow_hdrfrom_mismatch = true;\nallow_username_mismatch = true;\nuse_domain = \"header\";\n" +
				"selector_map = \"DIR/dkim_selectors.map\";\npath_map = \"DIR/dkim_paths.map\";\ntry_fallback = false\n",
			"dkim_selectors.map":   "example.org mail\n# x\nexample.net 2026.mail\n",
			"dkim_paths.map":       "example.org DIR/example.org.mail.key\nexample.net DIR/example.net.2026.mail.key\n",
			"example.org.mail.key": "KEY0:pkcs8", "example.net.2026.mail.key": "KEY1:pkcs8",
		}, "etc/dkim_signing.conf", "example.org: mail 0; example.net: 2026.mail 1", ""},
		{"maps fill in what sections lack", map[string]string{
			"dkim_signing.conf": "try_fallback = no\ndomain example.org { selector = s9 }\npath_map { example.org = DIR/k1; example.net = DIR/k2 }\nselector_map = [\"example.net s8\"]\n",
			"k1":                "KEY0:pkcs8", "k2": "KEY1:pkcs8",
		}, "dkim_signing.conf", "example.org: s9 0; example.net: s8 1", ""},
		{"layers", map[string]string{
			"rspamd/modules.d/dkim_signing.conf":  "dkim_signing {\n selector = \"dkim\";\n .include(try=true,priority=1,duplicate=merge) \"$LOCAL_CONFDIR/local.d/dkim_signing.conf\"\n}\n",
			"rspamd/local.d/dkim_signing.conf":    "selector = local;\npath = \"DIR/$domain.$selector.key\"\ndomain { example.net { selector = x; path = DIR/missing } }\n.include \"DIR/more.conf\"\n",
			"rspamd/override.d/dkim_signing.conf": "domain { example.org { selector = over } }\n",
			"more.conf":                           "sign_local = true\n",
			"example.org.over.key":                "KEY0:pkcs8",
		}, "rspamd", "example.org: over 0; example.net:", ""},
		{"OpenDKIM's tables", map[string]string{
			"dkim_signing.conf": "signing_table = [\"*@example.org a\", \"*@example.net %\"];\nkey_table = [\n \"a example.org:s1:DIR/a\",\n \"example.net %:DIR/%.key\" ];\nselector = dd\n",
			"a":                 "KEY0:pkcs8", "example.net.key": "KEY1:pkcs8",
		}, "dkim_signing.conf", "example.org: s1 0; example.net: dd 1", ""},
		{"Redis", map[string]string{
			"dkim_signing.conf": "use_redis = true;\nkey_prefix = \"DKIM_KEYS\";\n",
		}, "dkim_signing.conf", "example.org:", "the keys are in Redis"},
		{"one key for whatever domain", map[string]string{
			"dkim_signing.conf": "path = DIR/mail.key; selector = mail; allow_username_mismatch = true",
			"mail.key":          "KEY0:pkcs8",
		}, "dkim_signing.conf", "example.org:", "signs with one key in the name of whatever domain the author has"},
		{"Vault beside files", map[string]string{
			"dkim_signing.conf": "use_vault = true;\ndomain { example.org { selector = a; path = DIR/a } }\ntry_fallback = false",
			"a":                 "KEY0:pkcs8",
		}, "dkim_signing.conf", "example.org: a 0", "keys are in Vault"},
		{"another domain than that of From", map[string]string{
			"dkim_signing.conf": "use_domain = \"envelope\"; domain { example.org { selector = a; path = DIR/a } }\ntry_fallback = false",
			"a":                 "KEY0:pkcs8",
		}, "dkim_signing.conf", "example.org: a 0", "use_domain = envelope"},
		{"a map from the network", map[string]string{
			"dkim_signing.conf": "path_map = \"https://example.com/map\"; domain { example.org { selector = a; path = DIR/a } }\ntry_fallback = false",
			"a":                 "KEY0:pkcs8",
		}, "dkim_signing.conf", "example.org: a 0", "is not fetched"},
		{"not enabled", map[string]string{
			"dkim_signing.conf": "enabled = false; domain { example.org { selector = a; path = DIR/a } }",
			"a":                 "KEY0:pkcs8",
		}, "dkim_signing.conf", "example.org:", "not enabled"},
		{"two RSA keys", map[string]string{
			"dkim_signing.conf": "try_fallback = false\ndomain { example.org { selectors [ { selector = a; path = DIR/a }, { selector = b; path = DIR/b } ] } }",
			"a":                 "KEY0:pkcs8", "b": "KEY1:pkcs8",
		}, "dkim_signing.conf", "example.org: a 0", "with two rsa keys"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lay(t, dir, test.files)
			plan, err := Read(filepath.Join(dir, test.path), Options{})
			if err != nil {
				t.Fatal(err)
			}
			snapshot := carry(t, plan)
			for want := range strings.SplitSeq(test.want, ";") {
				author, keys, _ := strings.Cut(strings.TrimSpace(want), ":")
				var got []string
				for _, key := range signs(plan, snapshot, "joe@"+author) {
					got = append(got, key.Selector, number(key.Signer))
				}
				if !slices.Equal(got, strings.Fields(keys)) {
					t.Errorf("%s: signs with %v, want %s\n%s", author, got, keys, losses(plan))
				}
			}
			switch lost := losses(plan); {
			case test.lost == "" && lost != "":
				t.Errorf("lost: %s", lost)
			case !strings.Contains(lost, test.lost):
				t.Errorf("lost is %q, want %q", lost, test.lost)
			}
		})
	}
}

func TestRspamdTrusted(t *testing.T) {
	for _, test := range []struct{ settings, want string }{
		{"", ""},
		{"sign_networks = [\"198.51.100.0/24\", \"2001:db8::1\"]; sign_local = false", "198.51.100.0/24,2001:db8::1"},
		{"sign_networks = DIR/nets", "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,::1/128,fd00::/8,fe80::/10,198.51.100.7"},
		{"sign_local = false", "none"},
		{"sign_local = false; sign_networks = [\"mail.example.org\"]", "none"},
		{"sign_networks = [\"192.0.2.1/24\"]; sign_local = false", "192.0.2.1/24"}, // masked there as here
	} {
		dir := t.TempDir()
		lay(t, dir, map[string]string{"dkim_signing.conf": test.settings, "nets": "198.51.100.7 # gateway\n"})
		plan, err := Read(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := setting(plan, "SIGNPOST_TRUSTED_NETWORKS"); got != test.want {
			t.Errorf("%q: %q, want %q", test.settings, got, test.want)
		}
	}
}

// What is signed is in dkim_signing.conf or in dkim.conf, which holds; whom
// rspamd knows for local is in options.inc.
func TestRspamdOtherFiles(t *testing.T) {
	const sign, oversign, trusted = "SIGNPOST_SIGN_HEADERS", "SIGNPOST_OVERSIGN_HEADERS", "SIGNPOST_TRUSTED_NETWORKS"
	const private = "127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,169.254.0.0/16,::1/128,fd00::/8,fe80::/10,"
	for _, test := range []struct {
		name, file, content, variable, want, notes string
	}{
		{"a list of its own", "local.d/dkim_signing.conf", "sign_headers = '(o)from:(x)sender:Subject:to:to';", sign, "from,sender,Subject,to", "signed and not oversigned are sender"},
		{"an array", "local.d/dkim_signing.conf", "sign_headers = ['(O)From', 'to'];", oversign, "From", ""},
		{"dkim.conf comes first", "local.d/dkim.conf", "sign_headers = '(o)from';", sign, "from", ""},
		{"in a section", "override.d/dkim.conf", "dkim { sign_headers = '(o)from:cc'; }", sign, "from,cc", ""},
		{"nothing oversigned", "local.d/dkim_signing.conf", "sign_headers = 'from:to';", oversign, "", "oversigns nothing"},
		{"not set", "local.d/dkim_signing.conf", "selector = x;", sign, "", "defaults differ: sign_headers"},
		{"lines", "local.d/dkim_signing.conf", "sign_headers = '(o)from:\\\n(o)to';", oversign, "from,to", ""},
		{"another setting", "local.d/dkim_signing.conf", "allow_headers_fallback = true;", sign, "", "allow_headers_fallback is left out"},
		{"the old name of sign_authenticated", "local.d/dkim_signing.conf", "auth_only = false;", sign, "", "auth_only = false cannot be carried over"},
		{"local addresses", "local.d/options.inc", "local_addrs = [192.0.2.0/24];", trusted, private + "192.0.2.0/24", ""},
		{"local addresses instead", "override.d/options.inc", "local_addrs = 192.0.2.0/24;", trusted, "127.0.0.0/8,::1/128,fe80::/10,192.0.2.0/24", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"local.d/dkim_signing.conf": "sign_headers = 'from:reply-to';"}
			files[test.file] = test.content
			lay(t, dir, files)
			plan, err := Read(dir, Options{})
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
