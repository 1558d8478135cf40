package vault

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"signpost/keystore/finding"
)

func envOf(env map[string]string) environment {
	return func(name string) string { return env[name] }
}

func TestURL(t *testing.T) {
	env := envOf(map[string]string{"VAULT_ADDR": "https://vault.example:8200/", "VAULT_TOKEN": secretToken})
	bao := envOf(map[string]string{"VAULT_ADDR": "https://vault.example:8200", "BAO_ADDR": "http://bao.example/behind/proxy"})
	for _, test := range []struct {
		url  string
		env  environment
		name string
		port uint16
	}{
		{"vault:https://v.example:8200/secret/dkim", env, "vault:https://v.example:8200/secret/dkim", 8200},
		{"vault:https://v.example/secret/dkim/?kv=2&mount=secret", env, "vault:https://v.example/secret/dkim", 443},
		{"vault:http://[::1]:8200/a/b/c", env, "vault:http://[::1]:8200/a/b/c", 8200},
		{"vault:secret/dkim", env, "vault:https://vault.example:8200/secret/dkim", 8200},
		{"vault:/secret/dkim", env, "vault:https://vault.example:8200/secret/dkim", 8200},
		{"vault:///secret/dkim?layout=rspamd", env, "vault:https://vault.example:8200/secret/dkim", 8200},
		{"vault:http://admin:8080?layout=mailu", env, "vault:http://admin:8080/internal/rspamd/vault/dkim", 8080},
		{"vault:http://admin/a/v1/b?layout=mailu", env, "vault:http://admin/a/b", 80},
	} {
		b, err := New(test.url, test.env)
		if err != nil {
			t.Errorf("%s: %s", test.url, finding.Text(err))
			continue
		}
		if b.Name() != test.name || b.Ports()[0] != test.port {
			t.Errorf("%s: name %s, ports %d", test.url, b.Name(), b.Ports())
		}
	}
	if a, err := parseAddress("vault:secret/dkim", bao); err != nil || a.base.Host != "bao.example" {
		t.Errorf("BAO_ADDR does not come first: %v %v", a, err)
	}
	for url, want := range map[string]string{
		"redis://x":                                  "vault:",
		"vault:":                                     "where the keys are",
		"vault:https://v.example":                    "where the keys are",
		"vault:https://v.example/":                   "where the keys are",
		"vault://v.example/secret":                   "http or https",
		"vault:https://u:geheim@v.example/s":         "user or password",
		"vault:https://v.example/s?token=geheim":     "has a secret",
		"vault:https://v.example/s?secret_id=geheim": "has a secret",
		"vault:https://v.example/s?layuot=rspamd":    "unknown parameter",
		"vault:https://v.example/s?layout=opendkim":  "unknown layout",
		"vault:https://v.example/s?kv=3":             "kv=",
		"vault:https://v.example/s?kv=1&kv=2":        "2 times",
		"vault:https://v.example/s/../x":             `a part ".."`,
		"vault:https://v.example/s//x":               `a part ""`,
		"vault:https://v.example/s?mount=other":      "not in the mount",
		"vault:https://v.example/s?auth=ldap":        "unknown auth",
		"vault:https://v.example/s?auth=approle":     "needs role_id_file",
		"vault:https://v.example/s?auth=kubernetes":  "needs role",
		"vault:https:///s":                           "names no server",
		"vault:https://v.example/s#x":                "#",
		"vault:https://v.example:geheim/s":           "invalid URL",
		"vault:https://v.example/s?%zz":              "well formed",
	} {
		_, err := New(url, env)
		if err == nil {
			t.Errorf("%s: no error", url)
			continue
		}
		what, hint := finding.Split(err)
		if !strings.Contains(what, want) || hint == "" {
			t.Errorf("%s: %s; hint: %s", url, what, hint)
		}
		if strings.Contains(what+hint, "geheim") && url != "vault:https://v.example:geheim/s" {
			t.Errorf("%s: the error has the secret: %s %s", url, what, hint)
		}
	}
	if _, err := New("vault:secret", envOf(nil)); err == nil || !strings.Contains(finding.Text(err), "VAULT_ADDR") {
		t.Errorf("no server: %v", err)
	}
}

// A URL that is taken has a name that is taken, and means the same place.
func FuzzURL(f *testing.F) {
	for _, seed := range []string{
		"vault:https://v.example:8200/secret/dkim?kv=2", "vault:secret/dkim", "vault:http://a:8080?layout=mailu",
		"vault:https://u:p@v/s", "vault:https://v/s%2f%00?mount=s&auth=kubernetes&role=x",
	} {
		f.Add(seed)
	}
	env := envOf(map[string]string{"VAULT_ADDR": "https://vault.example"})
	f.Fuzz(func(t *testing.T, url string) {
		a, err := parseAddress(url, env)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		if a.path == "" || a.base.Host == "" || a.base.User != nil || a.base.Scheme != "http" && a.base.Scheme != "https" {
			t.Errorf("%q: %+v", url, a)
		}
	})
}

// Whatever an object has in it, an entry has a key or an error, and what is changed in it is
// all that changes.
func FuzzObject(f *testing.F) {
	for _, seed := range []string{
		`{"selectors": [{"selector": "s", "key": "aGk=", "valid_start": 1, "valid_end": "2", "signpost": {"made": 3, "start": 1}}]}`,
		`{"selectors": [{"selector": "s", "key": "\ud83d\ude00\n\/", "domain": "a.example"}, 5, {}]}`, `{"key": "x"}`, `{}`, `[]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := parseObject(data)
		if err != nil {
			return
		}
		for _, e := range o.entries("example.org", "place") {
			if (e.Err == nil) != (len(e.Data) > 0) || e.Err == nil && e.Selector == "" || !strings.HasPrefix(e.Place, "place selector ") {
				t.Errorf("%s: %+v", data, e)
			}
		}
		for _, raw := range o.selectors {
			e, err := parseElement(raw)
			if err != nil {
				continue
			}
			now := moment(1800000000)
			changed, err := e.window(append([]byte(nil), raw...), &now, nil)
			if err != nil {
				continue
			}
			after, err := parseElement(changed)
			if err != nil || after.Selector != e.Selector || string(after.Key) != string(e.Key) || !same(after.Start, &now) || after.End != nil {
				t.Errorf("%s became %s: %v", raw, changed, err)
			}
			if _, notBefore, notAfter := after.times(); !notAfter.IsZero() || !notBefore.IsZero() && !same(e.Start, &now) {
				t.Errorf("%s became %s: from %v until %v", raw, changed, notBefore, notAfter)
			}
		}
		if again := o.encode(); again != nil {
			if _, err := parseObject(again); err != nil {
				t.Errorf("%s became %s", data, again)
			}
		}
	})
}

// A text is what encoding/json makes of it.
func FuzzText(f *testing.F) {
	for _, seed := range []string{`"a\n\u0041"`, `"\ud83d\ude00\ud83d"`, `""`, `null`, `5`, `"\x"`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var want struct{ V string }
		var got struct{ V text }
		line := []byte(`{"V":` + string(data) + `}`)
		wantErr, gotErr := json.Unmarshal(line, &want), json.Unmarshal(line, &got)
		if (wantErr == nil) != (gotErr == nil) || wantErr == nil && want.V != strings.ToValidUTF8(string(got.V), "\ufffd") && utf8.Valid(data) {
			t.Errorf("%q: %q %v, not %q %v", data, got.V, gotErr, want.V, wantErr)
		}
	})
}
