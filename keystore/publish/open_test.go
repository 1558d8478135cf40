package publish

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodKey = `key "signpost" { algorithm hmac-sha256; secret "c2VjcmV0"; };`

func TestOpen(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "tsig.key")
	if err := os.WriteFile(file, []byte("// for signpost\n"+strings.ReplaceAll(goodKey, " ", "\n\t")), 0o600); err != nil {
		t.Fatal(err)
	}
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("abc_123\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for spec, want := range map[string]string{ // host:port zone name algorithm, or the error
		"rfc2136:server=ns1.example.org":                                  "ns1.example.org:53   ",
		"rfc2136:server=127.0.0.1:5353,zone=Example.org,key-file=" + file: "127.0.0.1:5353 example.org. signpost. hmac-sha256.",
		"rfc2136:server=2001:db8::1":                                      "[2001:db8::1]:53   ",
		"rfc2136:server=[2001:db8::1]:5353":                               "[2001:db8::1]:5353   ",
		"rfc2136:":                                                        "server is missing",
		"rfc2136:server=":                                                 `"server=" has no value`,
		"rfc2136:zone=example.org":                                        "server is missing",
		"rfc2136:server=a b":                                              `server: invalid server "a b"`,
		"rfc2136:server=:53":                                              `server: ":53" has no host`,
		"rfc2136:server=a,zone=a..b":                                      "zone: ",
		"rfc2136:server=a,key-file=/nonexistent":                          "key-file: open /nonexistent: no such file",
		"rfc2136:server=a,color=blue":                                     `unknown name "color"`,
		"route66:":                                                        `unknown way to publish "route66:"`,
		"":                                                                `unknown way to publish ""`,
		"route53:profile=mail":                                            "route53: is no longer built in",
		"cloudflare:token-file=" + token:                                  "cloudflare",
		"cloudflare:":                                                     "token-file: it is missing",
		"desec:zone=a..b":                                                 `zone: invalid domain name "a..b"`,
		"exec:":                                                           "the program is missing",
		"exec:/nonexistent":                                               "exec: \"/nonexistent\": stat /nonexistent: no such file",
		"exec:sh,zone=example.org":                                        "/",
		"exec:sh,zone=a..b":                                               `zone: invalid domain name "a..b"`,
	} {
		p, err := Open(spec, nil)
		got := ""
		switch p := p.(type) {
		case *update:
			got = strings.Join([]string{p.server, p.zone, p.key.name, p.key.algorithm}, " ")
		case *provider:
			got = p.name
		case *program:
			got = p.path
		default:
			got = err.Error()
		}
		if !strings.HasPrefix(got, want) {
			t.Errorf("%s: got %q, want %q", spec, got, want)
		}
	}
}

func TestParseKeyRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":      "not of the form key",
		"key x": "not of the form key",
		strings.Replace(goodKey, "hmac-sha256", "hmac-md5", 1):          `algorithm "hmac-md5" is none of`,
		strings.Replace(goodKey, "c2VjcmV0", "***", 1):                  "the secret is not in base64",
		strings.Replace(goodKey, ` secret "c2VjcmV0";`, "", 1):          "the secret is not in base64",
		strings.Replace(goodKey, "algorithm hmac-sha256", "color x", 1): `"color x" is neither`,
		strings.Replace(goodKey, `"signpost"`, "a..b", 1):               `invalid domain name "a..b"`,
	} {
		if _, err := parseKey(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}

// A secret may have slashes, which begin a comment elsewhere.
func TestParseKeyWithSlashes(t *testing.T) {
	t.Parallel()
	const secret = "abcd//cdab12"
	for _, text := range []string{
		strings.Replace(goodKey, "c2VjcmV0", secret, 1),
		strings.Replace(goodKey, `"c2VjcmV0"`, secret, 1),
		"// one\nkey \"k\" { # two\n\talgorithm hmac-sha256; // three\n\tsecret \"" + secret + "\"; # four\n};\n",
	} {
		if key, err := parseKey(text); err != nil || key.secret != secret {
			t.Errorf("%q gives %q, %v", text, key.secret, err)
		}
	}
}

func FuzzParseKey(f *testing.F) {
	f.Add(goodKey)
	f.Add("key a { algorithm \"hmac-sha512.\" ; secret aaaa; }")
	f.Fuzz(func(t *testing.T, text string) {
		if key, err := parseKey(text); err == nil && (key.name == "" || key.algorithm == "" || key.secret == "") {
			t.Errorf("%q gives %+v", text, key)
		}
	})
}

func FuzzOpen(f *testing.F) {
	f.Add("rfc2136:server=ns1.example.org,zone=example.org")
	f.Fuzz(func(t *testing.T, spec string) {
		p, err := Open(spec, nil)
		if u, ok := p.(*update); ok && u.server == "" || (p == nil) != (err != nil) {
			t.Errorf("%q gives %+v, %v", spec, p, err)
		}
	})
}
