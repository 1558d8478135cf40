package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"signpost/keystore/finding"
	"signpost/keystore/record"
	"signpost/keystore/record/render"
)

// The three records that users of the image have published for years must come
// out as they are.
func TestDNSSaysTheRecordsOfOld(t *testing.T) {
	dir := t.TempDir()
	key, err := rsa.GenerateKey(rand.Reader, 1024) // small, to be quick
	if err != nil {
		t.Fatal(err)
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	if err := os.WriteFile(filepath.Join(dir, "example.org.private"), block, 0o600); err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{
		"example.org":                 "v=spf1 mx -all",
		"mail._domainkey.example.org": "v=DKIM1; h=sha256; k=rsa; s=email; p=" + base64.StdEncoding.EncodeToString(public),
		"_dmarc.example.org":          "v=DMARC1; p=reject; rua=mailto:postmaster@example.org; adkim=s; aspf=s",
	}
	var stdout, stderr bytes.Buffer
	args := []string{"signpost", "dns", "--json", "--keys", dir, "--selector", "mail", "--policy", "reject",
		"--rua", "mailto:postmaster@example.org", "--adkim", "s", "--aspf", "s", "example.org"}
	if code := run(context.Background(), args, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var answer struct {
		Records []struct{ Name, Type, Value string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	for _, r := range answer.Records {
		if r.Type != "TXT" || want[r.Name] != r.Value {
			t.Errorf("got %s %s %q, want %q", r.Name, r.Type, r.Value, want[r.Name])
		}
		delete(want, r.Name)
	}
	if len(want) > 0 {
		t.Errorf("not printed: %v", want)
	}
}

// What is printed passes the lint of "signpost check": the two agree on what is
// right. A policy of none is the one thing that check has to say of.
func TestDNSPassesLint(t *testing.T) {
	dir := t.TempDir()
	writeSeed(t, dir)
	for _, options := range []string{
		"", "--policy quarantine --test", "--policy reject --sp reject --np reject --adkim s --aspf s --rua a@example.org,b@example.net",
		"--policy reject --ruf a@example.org --fo d:s", "--mx --a --ip 192.0.2.0/24,2001:db8::/32 --include _spf.example.net --all ~all", "--no-mail --null-mx",
	} {
		args := append([]string{"signpost", "dns", "--json", "--keys", dir, "example.org"}, strings.Fields(options)...)
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), args, &stdout, &stderr); code != 0 {
			t.Fatalf("%s: exit code %d: %s", options, code, stderr.String())
		}
		var answer struct{ Records []render.Object }
		if err := json.Unmarshal(stdout.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		for _, r := range answer.Records {
			var findings []finding.Finding
			switch published := []record.TXT{r.Strings}; {
			case strings.HasPrefix(r.Name, "_dmarc."):
				findings = record.LintDMARC(r.Name, published)
			case strings.HasPrefix(r.Value, "v=spf1"):
				findings = record.LintSPF(r.Name, published)
			case strings.HasPrefix(r.Name, "s1."):
				findings = record.LintDKIM(r.Name, published, record.DKIM{})
			}
			for _, f := range findings {
				if f.Level == finding.Fault || f.Level == finding.Warning && !strings.Contains(r.Value, "p=none") {
					t.Errorf("%s: %s %s: %s", options, f.Code, f.Name, f.What)
				}
			}
		}
	}
}

// writeSeed writes the key of RFC 8463, appendix A.2.
func writeSeed(t *testing.T, dir string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "example.org.s1.key"), []byte("nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The answers shown in the help are those that the program gives.
func TestDNSHelpIsTrue(t *testing.T) {
	dir := t.TempDir()
	writeSeed(t, dir)
	t.Setenv("SIGNPOST_KEYS", dir)
	_, examples, _ := strings.Cut(description("signpost dns"), "\nexamples:\n")
	examples, _, _ = strings.Cut(examples, "\njson:\n")
	shown := 0
	for _, example := range strings.Split("\n"+examples, "\n   $ ")[1:] {
		command, answer, _ := strings.Cut(example, "\n")
		if strings.TrimSpace(answer) == "" || strings.Contains(command, "|") {
			continue
		}
		shown++
		answer = strings.TrimRight(strings.ReplaceAll("\n"+answer, "\n   ", "\n"), "\n")
		var stdout, stderr bytes.Buffer
		if code := run(context.Background(), strings.Fields(command), &stdout, &stderr); code != 0 {
			t.Errorf("%s: exit code %d: %s", command, code, stderr.String())
		}
		if got := strings.TrimRight("\n"+stdout.String(), "\n"); got != answer {
			t.Errorf("%s: got\n%s\nwant\n%s", command, got, answer)
		}
	}
	if shown != 2 {
		t.Errorf("%d examples with an answer", shown)
	}
}
