package migrate

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/place"
)

func TestKeyDirectories(t *testing.T) {
	selectors, err := keystore.ParseSelectors("mail,example.net=s2")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name  string
		files map[string]string
		want  string // domain selector number
		lost  string
	}{
		{"boky up to 5.1", map[string]string{
			"example.org.private": "KEY0:pkcs8", "example.org.txt": "text", "example.net.private": "KEY1:pkcs1",
		}, "example.net s2 1; example.org mail 0", ""},
		{"boky edge and Mailu", map[string]string{
			"example.org.mail.key": "KEY0:pkcs8", "example.net.dkim.key": "KEY1:pkcs1", "example.org.mail.txt": "text",
		}, "example.net dkim 1; example.org mail 0", ""},
		{"wader", map[string]string{
			"example.org/mail.private": "KEY0:pkcs8", "example.org/mail.txt": "text", "example.net/s2.private": "KEY1:pkcs1",
		}, "example.net s2 1; example.org mail 0", ""},
		{"a folder of keys inside", map[string]string{
			"TrustedHosts": "127.0.0.1", "keys/example.org.private": "KEY0:pkcs8",
		}, "example.org mail 0", ""},
		{"docker-mailserver for rspamd", map[string]string{
			"rsa-2048-mail-example.org.private.txt":    "KEY0:pkcs8",
			"rsa-2048-mail-example.org.public.txt":     "mail._domainkey IN TXT ( \"v=DKIM1\" )",
			"ed25519-ed-example.org.private.txt":       "KEY0:ed25519",
			"rsa-2048-my-sel-ex-ample.net.private.txt": "KEY1:pkcs8",
			"rsa-2048-my-sel-ex-ample.net.public.txt":  "my-sel._domainkey IN TXT ( \"v=DKIM1\" )",
			"rsa-2048-mail-my-shop.test.private.txt":   "KEY2:pkcs8",
			"rsa-2048-mail-my-shop.net.private.txt":    "KEY2:pkcs8",
			"rsa-2048-mail-my-shop.net.public.txt":     "mail-my._domainkey IN TXT ( \"v=DKIM1\" )",
			"rsa-2048-a-b-example.com.private.txt":     "KEY2:pkcs8",
		}, "ex-ample.net my-sel 1; example.org mail 0; example.org ed e; my-shop.test mail 2; shop.net mail-my 2", "matches no layout"},
		{"KumoMTA", map[string]string{
			"example.org/s1024.key": "KEY0:pkcs1", "example.net/default.key": "KEY1:der64",
			"example.com.dkim": "KEY2:pkcs8",
		}, "example.net default 1; example.org s1024 0", "example.com.dkim: it contains a private key"},
		{"unusable keys", map[string]string{
			"example.org.private": "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMAA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
			"example.net.private": "", "example.com.private": "KEY1:pkcs1",
		}, "example.com mail 1", "encrypted"},
		{"nothing", map[string]string{"README": "x"}, "", "it has neither keys nor a configuration"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			lay(t, dir, test.files)
			plan, err := Read(dir, Options{Selectors: selectors})
			if err != nil {
				t.Fatal(err)
			}
			snapshot := carry(t, plan)
			var got []string
			for _, domain := range snapshot.Domains() {
				keys, err := newest(snapshot.Keys(domain)), snapshot.Domain(domain).Err()
				if err != nil {
					t.Error(err)
				}
				for _, key := range keys {
					got = append(got, domain+" "+key.Selector+" "+number(key.Signer))
				}
			}
			if got := strings.Join(got, "; "); got != test.want {
				t.Errorf("signs with %s, want %s", got, test.want)
			}
			if lost := losses(plan); test.lost == "" && lost != "" || !strings.Contains(lost, test.lost) {
				t.Errorf("lost: %q, want %q", lost, test.lost)
			}
		})
	}
}

// TestCopiedDirectory is for directories that were /etc/opendkim elsewhere:
// the names in them still begin with that.
func TestCopiedDirectory(t *testing.T) {
	tables := map[string]string{
		"KeyTable":                      "mail._domainkey.example.org example.org:mail:/etc/opendkim/keys/example.org/mail.private\n",
		"SigningTable":                  "*@example.org mail._domainkey.example.org\n",
		"TrustedHosts":                  "127.0.0.1\nlocalhost\n10.1.0.0/16\nmail.example.org\n",
		"keys/example.org/mail.private": "KEY0:pkcs8",
	}
	dir := t.TempDir()
	lay(t, dir, tables)
	plan, err := Read(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Keys) != 1 || !plan.Keys[0].Signs || plan.Keys[0].Domain != "example.org" {
		t.Errorf("keys are %v\n%s", plan.Keys, losses(plan))
	}
	if got := setting(plan, "SIGNPOST_TRUSTED_NETWORKS"); got != "127.0.0.1,::1,10.1.0.0/16" {
		t.Errorf("trusted networks are %q", got)
	}
	if lost := losses(plan); !strings.Contains(lost, `TrustedHosts:4: TrustedHosts: the host name "mail.example.org"`) {
		t.Errorf("lost: %q", lost)
	}

	// The same under --root, with a link that leads out of it.
	root := t.TempDir()
	for name, text := range tables {
		lay(t, root, map[string]string{"etc/opendkim/" + name: text})
	}
	lay(t, root, map[string]string{
		"etc/opendkim.conf": "KeyTable /etc/opendkim/KeyTable\nSigningTable refile:/etc/opendkim/SigningTable\n",
	})
	conf := filepath.Join(root, "etc/opendkim.conf")
	if plan, err = Read(conf, Options{Root: root}); err != nil || len(plan.Keys) != 1 {
		t.Fatalf("%v %+v", err, plan)
	}
	key := filepath.Join(root, "etc/opendkim/keys/example.org/mail.private")
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "keys/example.org/mail.private"), key); err != nil {
		t.Fatal(err)
	}
	if plan, err = Read(conf, Options{Root: root}); err != nil || len(plan.Keys) != 0 || !strings.Contains(losses(plan), "path escapes") {
		t.Errorf("a link out of the root was followed: %v %+v", err, plan)
	}
}

// TestTimes asks that the key that signed goes on signing, however old.
func TestTimes(t *testing.T) {
	dir := t.TempDir()
	lay(t, dir, map[string]string{
		"opendkim.conf": "KeyTable DIR/KeyTable\nSigningTable refile:DIR/SigningTable\n",
		"KeyTable":      "old example.org:old:DIR/old\nnew example.org:new:DIR/new\ned example.org:ed:DIR/ed\nother example.net:x:DIR/new\n",
		"SigningTable":  "*@example.org old\n",
		"old":           "KEY0:pkcs8", "new": "KEY1:pkcs8", "ed": "KEY0:ed25519",
	})
	old, now := time.Now().Add(-1000*time.Hour), time.Now()
	if err := os.Chtimes(filepath.Join(dir, "old"), old, old); err != nil {
		t.Fatal(err)
	}
	plan, err := Read(filepath.Join(dir, "opendkim.conf"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	snapshot := carry(t, plan)
	var have []string
	for _, key := range snapshot.Keys("example.org") {
		have = append(have, key.Selector)
	}
	if !slices.Equal(have, []string{"new", "old"}) {
		t.Errorf("keys by age are %v, want the one that signs last, and no ed: it would sign", have)
	}
	if keys := snapshot.Keys("example.net"); len(keys) > 0 {
		t.Error("a key that signs nothing was carried over: it would sign")
	}

	// With nothing beside it, a key keeps the time of its file.
	lay(t, dir, map[string]string{"KeyTable": "old example.org:old:DIR/old\n"})
	if plan, err = Read(filepath.Join(dir, "opendkim.conf"), Options{}); err != nil {
		t.Fatal(err)
	}
	steps, _ := Steps([]*Plan{plan}, place.Directory(keystore.Options{Dir: t.TempDir()}), nil, now)
	if len(steps) != 1 || !steps[0].Time.Equal(old) {
		t.Errorf("steps are %+v, want the time %v", steps, old)
	}

	// What is in the key directory is no bar, unless it is of the future.
	for _, test := range []struct {
		age  time.Duration
		want string
	}{{time.Hour, "old"}, {-time.Hour, "there"}} {
		dest := t.TempDir()
		if _, err := keystore.Install(dest, "example.org", "there", []byte(keyText(2, "pkcs8")), now.Add(-test.age)); err != nil {
			t.Fatal(err)
		}
		there, err := keystore.Load(keystore.Options{Dir: dest})
		if err != nil {
			t.Fatal(err)
		}
		steps, findings := Steps([]*Plan{plan}, place.Directory(keystore.Options{Dir: dest}), there, now)
		if _, err := keystore.Install(dest, "example.org", "old", steps[0].Data, steps[0].Time); err != nil {
			t.Fatal(err)
		}
		if there, err = keystore.Load(keystore.Options{Dir: dest}); err != nil {
			t.Fatal(err)
		}
		if keys := newest(there.Keys("example.org")); len(keys) != 1 || keys[0].Selector != test.want || len(findings) != 1 {
			t.Errorf("age %v: %v signs, findings %v", test.age, names(keys), findings)
		}
	}
}

func TestParseKey(t *testing.T) {
	for _, form := range []string{"pkcs1", "pkcs8", "ed25519", "der64", "oneline"} {
		text := []byte(keyText(0, form))
		_, data, err := parseKey(text)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			continue
		}
		if _, err := keystore.ParsePrivate(data); err != nil {
			t.Errorf("%s: what would be written is no key: %v", form, err)
		}
		if same := string(data) == string(text); same == (form == "oneline") {
			t.Errorf("%s: copied as it is: %v", form, same)
		}
	}
	if _, _, err := parseKey([]byte("nonsense")); err == nil {
		t.Error("nonsense is a key")
	}
}

func TestGlob(t *testing.T) {
	for _, test := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*", "x", true}, {"a", "a", true}, {"a", "ab", false}, {"a*", "ab", true}, {"*b", "ab", true},
		{"a*b*c", "aXbYc", true}, {"a*b*c", "aXc", false}, {"ab*ba", "aba", false}, {"*@*.example.org", "x@example.org", false},
		{"*@*.example.org", "x@a.b.example.org", true}, {"", "x", false}, {"**", "x", true},
	} {
		if got := glob(test.pattern, test.text); got != test.want {
			t.Errorf("glob(%q, %q) is %v", test.pattern, test.text, got)
		}
	}
}

func FuzzOpenDKIM(f *testing.F) {
	f.Add("Mode s\nKeyTable csl:a=%:b:DIR/c%\nSigningTable csl:*=a\nInternalHosts ::1,x\n", "a %:s:./%/k\n", "*@*.example.org a:b\n", true)
	f.Add("Domain a.b, *\nSelector x\nKeyFile k # c\nSocket inet:1\nSignHeaders *,+X\n", "k x:y:MIIB", ".example.org k\n* %\n", false)
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, conf, keyTable, signingTable string, refile bool) {
		r := &reader{plan: &Plan{Path: "f"}, files: files{root: root, base: root}}
		directives := parseConf("f", []byte(conf))
		r.settings(directives)
		r.single(directives)
		kind := "file"
		if refile {
			kind = "refile"
		}
		r.sets(parseTable("file", "k", []byte(keyTable)), parseTable(kind, "s", []byte(signingTable)), refile)
		for _, keys := range r.plan.byDomain {
			key := keys[0]
			if name, err := keystore.Domain(key.Domain); err != nil || name != key.Domain {
				t.Errorf("a key for %q", key.Domain)
			}
		}
	})
}

func FuzzRspamd(f *testing.F) {
	f.Add("domain a.b { selectors [ { path = /x; selector = y } ] } path_map = [\"a.b /x\"]; use_esld = no; .include \"/x\"")
	f.Add("signing_table = /x; key_table { a = \"b:c\" } sign_networks = [\"::/0\", x]; use_redis = yes; path = \"$domain/$selector\"")
	root := f.TempDir()
	f.Fuzz(func(t *testing.T, conf string) {
		r := &reader{plan: &Plan{Path: "f"}, files: files{root: root, base: root}}
		parser := uclParser{file: "f", text: conf}
		settings, err := parser.parse()
		if err != nil {
			return
		}
		r.rspamdSettings(settings, settings)
		for _, keys := range r.plan.byDomain {
			key := keys[0]
			if name, err := keystore.Domain(key.Domain); err != nil || name != key.Domain {
				t.Errorf("a key for %q", key.Domain)
			}
		}
	})
}

func TestPathsStayInRoot(t *testing.T) {
	f := files{root: "/r", base: "/r/etc"}
	for name, want := range map[string]string{
		"x": "/r/etc/x", "../x": "/r/x", "../../../x": "/r/x", "/x": "/r/x", "/../../x": "/r/x", "/a/../../x": "/r/x",
	} {
		if got := f.path(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func FuzzGlob(f *testing.F) {
	f.Add("*@*.example.org", "x@a.example.org")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if glob(pattern, text) && !strings.Contains(pattern, "*") && pattern != text {
			t.Error("fits without a star")
		}
		if !glob("*"+pattern+"*", pattern) {
			t.Error("a pattern does not fit itself between stars")
		}
	})
}
