package record

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"

	"signpost/keystore/finding"
)

// bokyRecord is the record of a real key of 2048 bits.
func bokyRecord(t testing.TB) DKIM {
	t.Helper()
	r, err := ParseDKIM(unquote(boky[:strings.Index(boky, " )")]))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// publicOfSize returns the record of an RSA key of so many bits. Nobody knows
// its private half.
func publicOfSize(t testing.TB, bits int) DKIM {
	t.Helper()
	limit := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	n, err := rand.Int(rand.Reader, limit)
	if err != nil {
		t.Fatal(err)
	}
	n.SetBit(n.Add(n, limit), 0, 1)
	r, err := ForKey(&rsa.PublicKey{N: n, E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// codes returns the codes of findings, with the level of each before it.
func codes(findings []finding.Finding) string {
	var all []string
	for _, f := range findings {
		all = append(all, string(f.Level)+" "+f.Code)
	}
	return strings.Join(all, ", ")
}

func TestLintDKIMAgainstKey(t *testing.T) {
	want := bokyRecord(t)
	other := publicOfSize(t, 2048)
	good := want.String()
	key := base64.StdEncoding.EncodeToString(want.PublicKey)
	replace := func(old, new string) TXT { return TXT{strings.Replace(good, old, new, 1)} }
	swap := func(s string, i int) string { return s[:i] + string(s[i]^1) + s[i+1:] }

	tests := []struct {
		name      string
		published []TXT
		want      string
	}{
		{"good", []TXT{{good}}, ""},
		{"good, split", []TXT{{good[:255], good[255:]}}, ""},
		{"good, split like genkey", []TXT{{want.tags(), "p=" + key[:250], key[250:]}}, ""},
		{"without defaults", []TXT{{"v=DKIM1; p=" + key}}, ""},
		{"semicolon at the end", []TXT{{good + ";"}}, ""},
		{"all white space that is allowed", []TXT{{" v = DKIM1 ;\tk\t= rsa ; p = " + key + " ; "}}, ""},
		{"odd split", []TXT{{good[:100], "", good[100:]}}, "note dkim-odd-split"},

		{"none", nil, "fault dkim-missing"},
		{"two", []TXT{{"v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(other.PublicKey)}, {good}}, "fault dkim-several"},
		{"two wrong", []TXT{{"hello"}, {other.String()}}, "fault dkim-several, fault dkim-different"},
		{"parts as records", []TXT{{good[250:]}, {good[:250]}}, "fault dkim-split-records"},
		{"parts as records, quoted", []TXT{{want.tags()}, {`"` + key[250:] + `"`}, {`"p=` + key[:250] + `"`}}, "fault dkim-split-records"},
		{"SPF", []TXT{{"v=spf1 mx -all"}}, "fault dkim-other-record"},
		{"DMARC", []TXT{{"v=DMARC1; p=none"}}, "fault dkim-other-record"},
		{"another key", []TXT{{other.String()}}, "fault dkim-different"},
		{"empty", []TXT{{""}}, "fault dkim-empty"},
		{"words", []TXT{{"hello world"}}, "fault dkim-syntax, note dkim-no-version, fault dkim-no-key"},

		{"quoted", []TXT{{`"` + good + `"`}}, "fault dkim-quoted"},
		{"one quote", []TXT{{`"` + good}}, "fault dkim-quoted"},
		{"single quotes", []TXT{{`'` + good + `'`}}, "fault dkim-quoted"},
		{"curly quotes", []TXT{{"“" + good + "”"}}, "fault dkim-non-ascii, fault dkim-quoted"},
		{"no-break space", []TXT{replace("; k", ";\u00a0k")}, "fault dkim-non-ascii"},
		{"zero width space", []TXT{{good + "\u200b"}}, "fault dkim-non-ascii"},
		{"escaped", []TXT{{strings.ReplaceAll(good, ";", `\;`)}}, "fault dkim-escaped"},
		{"escaped quotes", []TXT{{`\"` + good + `\"`}}, "fault dkim-escaped"},
		{"split pasted", []TXT{{good[:200] + `" "` + good[200:]}}, "fault dkim-split-pasted"},
		{"split pasted with quotes", []TXT{{`"` + good[:200] + "\"\n\t\"" + good[200:] + `"`}}, "fault dkim-split-pasted"},
		{"split pasted without white space", []TXT{{good[:200] + `""` + good[200:]}}, "fault dkim-split-pasted"},
		{"zone line", []TXT{{boky}}, "fault dkim-zone-line"},
		{"zone line with all", []TXT{{"mail._domainkey.example.org. 3600 IN TXT " + good}}, "fault dkim-zone-line"},
		{"only parentheses", []TXT{{`( "` + good[:200] + `" "` + good[200:] + `" )`}}, "fault dkim-zone-line"},
		{"space in key", []TXT{{good[:300] + " " + good[300:]}}, "warning dkim-key-space"},
		{"lines in key", []TXT{{good[:300] + "\r\n\t" + good[300:]}}, "warning dkim-line-end"},
		{"PEM", []TXT{{"v=DKIM1; k=rsa; p=-----BEGIN PUBLIC KEY-----" + key + "-----END PUBLIC KEY-----"}}, "fault dkim-pem"},

		{"strings the wrong way round", []TXT{{good[255:], good[:255]}}, "fault dkim-split-order"},
		{"last strings exchanged", []TXT{{good[:100], good[200:], good[100:200]}}, "fault dkim-split-order"},
		{"the end first, in one", []TXT{{good[250:] + good[:250]}}, "fault dkim-split-order"},
		{"parts exchanged, in one", []TXT{{want.tags() + "p=" + key[200:] + key[:200]}}, "fault dkim-split-order"},
		{"middle lost", []TXT{{good[:100], good[200:]}}, "fault dkim-part-lost"},
		{"beginning lost", []TXT{{good[100:]}}, "fault dkim-part-lost"},
		{"part twice", []TXT{{good[:200], good[100:200], good[200:]}}, "fault dkim-part-twice"},
		{"cut off", []TXT{{good[:255]}}, "fault dkim-truncated"},
		{"slip", []TXT{{swap(good, 200)}}, "fault dkim-altered"},
		{"lower case", []TXT{{want.tags() + "p=" + strings.ToLower(key)}}, "fault dkim-altered"},

		{"v=DKIM", []TXT{replace("DKIM1", "DKIM")}, "fault dkim-wrong-version"},
		{"v=dkim1", []TXT{replace("DKIM1", "dkim1")}, "fault dkim-wrong-version"},
		{"V=DKIM1", []TXT{replace("v=", "V=")}, "fault dkim-wrong-version, note dkim-unknown-tag"},
		{"version last", []TXT{{"k=rsa; p=" + key + "; v=DKIM1"}}, "fault dkim-version-not-first"},
		{"no version", []TXT{{"k=rsa; p=" + key}}, "note dkim-no-version"},
		{"only p", []TXT{{"p=" + key}}, "note dkim-no-version"},
		{"commas", []TXT{{strings.ReplaceAll(good, ";", ",")}}, "fault dkim-wrong-version, fault dkim-no-key"},
		{"two semicolons", []TXT{replace("; k", ";; k")}, "fault dkim-empty-tag"},
		{"no equals sign", []TXT{replace("; k=", "; rsa; k=")}, "fault dkim-syntax"},
		{"twice", []TXT{replace("; k=", "; k=rsa; k=")}, "fault dkim-duplicate-tag"},
		{"no p", []TXT{{"v=DKIM1; k=rsa"}}, "fault dkim-no-key"},
		{"revoked", []TXT{{"v=DKIM1; k=rsa; p="}}, "fault dkim-revoked"},
		{"testing", []TXT{replace("; p", "; t=y; p")}, "warning dkim-testing"},
		{"testing and strict", []TXT{replace("; p", "; t = s : y; p")}, "warning dkim-testing, note dkim-strict"},
		{"wrong hash", []TXT{replace("h=sha256", "h=rsa-sha256")}, "fault dkim-wrong-hash"},
		{"old hash", []TXT{replace("h=sha256", "h=sha1")}, "fault dkim-wrong-hash"},
		{"old hash too", []TXT{replace("h=sha256", "h=sha1:sha256")}, "note dkim-sha1"},
		{"wrong service", []TXT{replace("s=email", "s=tlsrpt")}, "fault dkim-wrong-service"},
		{"any service", []TXT{replace("s=email", "s=*")}, ""},
		{"wrong type", []TXT{replace("k=rsa", "k=ed25519")}, "fault dkim-wrong-key-type"},
		{"unknown type", []TXT{replace("k=rsa", "k=rsa2048")}, "fault dkim-wrong-key-type"},
		{"unknown tag", []TXT{replace("; p", "; x=1; g=*; p")}, "note dkim-unknown-tag, note dkim-unknown-tag"},
	}
	const name = "mail._domainkey.example.org"
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			findings := LintDKIM(name, test.published, want)
			if got := codes(findings); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
			for _, f := range findings {
				if f.Name != name || f.What == "" || f.Effect == "" {
					t.Errorf("incomplete: %+v", f)
				}
				// The value to publish is a line of its own, and has no fault.
				lines := strings.Split(f.Advice(), "\n")
				if value := lines[len(lines)-1]; f.Level != finding.Note && value != good {
					t.Errorf("%s: fix is %q", f.Code, f.Advice())
				}
			}
		})
	}
}

func TestLintDKIMKeys(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := ForKey(public)
	spki, _ := x509.MarshalPKIXPublicKey(public)
	pkcs8, _ := x509.MarshalPKCS8PrivateKey(private)
	real := bokyRecord(t)
	rsaKey, _ := x509.ParsePKIXPublicKey(real.PublicKey)
	pkcs1 := x509.MarshalPKCS1PublicKey(rsaKey.(*rsa.PublicKey))
	text := func(keyType string, key []byte) string {
		return "v=DKIM1; k=" + keyType + "; p=" + base64.StdEncoding.EncodeToString(key)
	}
	tests := []struct {
		name, published string
		want            DKIM
		codes           string
	}{
		{"good", want.String(), want, ""},
		{"as SPKI", text("ed25519", spki), want, "fault dkim-ed25519-spki"},
		{"as SPKI, alone", text("ed25519", spki), DKIM{}, "fault dkim-ed25519-spki"},
		{"the seed", text("ed25519", private.Seed()), want, "fault dkim-private-key"},
		{"seed and key", text("ed25519", private), want, "fault dkim-private-key"},
		{"PKCS#8", text("ed25519", pkcs8), want, "fault dkim-private-key"},
		{"PKCS#8, alone", text("ed25519", pkcs8), DKIM{}, "fault dkim-private-key"},
		{"no k=", "v=DKIM1; p=" + base64.StdEncoding.EncodeToString(public), want, "fault dkim-wrong-key-type"},
		{"RSA for Ed25519", real.String(), want, "fault dkim-different"},
		{"no = at the end", strings.TrimRight(want.String(), "="), want, "fault dkim-not-base64"},
		{"no = at the end, alone", strings.TrimRight(want.String(), "="), DKIM{}, "fault dkim-not-base64"},
		{"for URLs", "v=DKIM1; k=ed25519; p=__7_" + strings.Repeat("A", 39) + "=", want, "fault dkim-not-base64"},
		{"RSAPublicKey", text("rsa", pkcs1), real, "fault dkim-pkcs1"},
		{"cut off, alone", text("rsa", real.PublicKey[:180]), DKIM{}, "fault dkim-not-a-key"},
		{"no key", text("rsa", []byte("hello world!")), real, "fault dkim-not-a-key"},
		{"512", publicOfSize(t, 512).String(), DKIM{}, "fault dkim-short-key"},
		{"1024", publicOfSize(t, 1024).String(), DKIM{}, "warning dkim-weak-key"},
		{"2048", publicOfSize(t, 2048).String(), DKIM{}, ""},
		{"4096", publicOfSize(t, 4096).String(), DKIM{}, "note dkim-long"},
		{"8192", publicOfSize(t, 8192).String(), DKIM{}, "warning dkim-large-key, note dkim-long"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			split := slices.Collect(slices.Values(chunks(test.published, 255)))
			if got := codes(LintDKIM("s1._domainkey.example.org", []TXT{split}, test.want)); got != test.codes {
				t.Errorf("got %q, want %q", got, test.codes)
			}
		})
	}
}

func chunks(s string, size int) []string {
	var parts []string
	for s != "" {
		n := min(size, len(s))
		parts, s = append(parts, s[:n]), s[n:]
	}
	return parts
}

// Both keys are named, so that one can see which is which.
func TestLintDKIMNamesBothKeys(t *testing.T) {
	want, other := bokyRecord(t), publicOfSize(t, 1024)
	findings := LintDKIM("mail._domainkey.example.org", []TXT{{other.String()}}, want)
	if len(findings) != 1 {
		t.Fatalf("got %s", codes(findings))
	}
	for _, part := range []string{"RSA of 1024 bits", "RSA of 2048 bits", classify(want.PublicKey).String(), classify(other.PublicKey).String()} {
		if !strings.Contains(findings[0].What, part) {
			t.Errorf("%q does not say %q", findings[0].What, part)
		}
	}
}

// Without a wanted key, what can be mended is mended.
func TestLintDKIMAloneMends(t *testing.T) {
	good := bokyRecord(t).String()
	for _, published := range []string{`"` + good + `"`, boky, strings.ReplaceAll(good, ";", `\;`)} {
		findings := LintDKIM("mail._domainkey.example.org", []TXT{{published}}, DKIM{})
		if len(findings) != 1 || !strings.HasSuffix(findings[0].Advice(), "\n"+good) {
			t.Errorf("%q: got %+v", published, findings)
		}
	}
}

// What is told to be published in the place of a record, whatever key should
// stand there, has nothing of what is wrong with it.
func TestLintDKIMFixesWithoutKey(t *testing.T) {
	public, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	key := base64.StdEncoding.EncodeToString(public)
	for _, published := range []string{"v=DKIM1; k=rsa; p=", "v=DKIM1; k=RSA; p=", "v=DKIM1; h=sha1; k=ed25519; p=", "v=DKIM1; k=ed25519; s=tlsrpt; t=s:y; p="} {
		findings := LintDKIM("mail._domainkey.example.org", []TXT{{published + key}}, DKIM{})
		if len(findings) == 0 {
			t.Errorf("%s: nothing is found", published)
		}
		for _, f := range findings {
			if f.Level == finding.Note {
				continue
			}
			for _, again := range LintDKIM(f.Name, []TXT{{lastLine(f.Advice())}}, DKIM{}) {
				if again.Level != finding.Note {
					t.Errorf("%s: to publish %q has %s", published, lastLine(f.Advice()), again.Code)
				}
			}
		}
	}
}
