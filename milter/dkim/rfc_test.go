package dkim

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"os"
	"strings"
	"testing"
	"time"
)

// The keys that the RFCs publish.
const (
	rfc8463Seed = "nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A="
	rfc8463RSA  = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDkHlOQoBTzWRiGs5V6NpP3idY6Wk08a5qhdR6wy5bdOKb2jLQiY/J16JYi0Qvx/byYzCNb3W91y3FutACDfzwQ/BC/e/8uBsCR+yz1Lxj+PL6lHvqMKrM3rG4hstT5QjvHO9PzoxZyVYLzBfO2EeC3Ip3G+2kryOTIKT+l/K4w3QIDAQAB"
	rfc6376RSA  = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDwIRP/UC3SBsEmGqZ9ZJW3/DkMoGeLnQg1fWn7/zYtIxN2SnFCjxOCKG9v3b4jYfcTNh5ijSsq631uBItLa7od+v/RtdC2UzJ1lWT947qR+Rcac2gbto/NMqJ0fzfVjH4OuKhitdY9tf6mcwGjaNBcWToIMmPSPDdQPNUYckcQ2QIDAQAB"
	rfcBodyHash = "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="
)

// RFC 6376, section 3.4.5.
func TestRFC6376Canonicalization(t *testing.T) {
	t.Parallel()
	header := []Field{{"A", " X"}, {"B ", " Y\t\r\n\tZ  "}}
	body := " C \r\nD \t E\r\n\r\n\r\n"
	for _, c := range []struct {
		c            Canonicalization
		header, body string
	}{
		{Relaxed, "a:X\r\nb:Y Z\r\n", " C\r\nD E\r\n"},
		{Simple, "A: X\r\nB : Y\t\r\n\tZ  \r\n", " C \r\nD \t E\r\n"},
	} {
		var got strings.Builder
		for _, f := range header {
			got.Write(appendField(nil, c.c, f.Name, f.Value))
			got.WriteString("\r\n")
		}
		if got.String() != c.header {
			t.Errorf("%s header: got %q, want %q", c.c, got.String(), c.header)
		}
		if got, want := bodyHash(c.c, []byte(body), 1<<20), sha256.Sum256([]byte(c.body)); string(got) != string(want[:]) {
			t.Errorf("%s body: not the hash of %q", c.c, c.body)
		}
	}
}

// RFC 6376, sections 3.4.3 and 3.4.4, print the hashes of the empty body.
func TestRFC6376EmptyBody(t *testing.T) {
	t.Parallel()
	for c, want := range map[Canonicalization]string{
		Simple:  "frcCV1k9oG9oKj3dpUqdJg1PxRT2RSN/XKdLCPjaYaY=",
		Relaxed: "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
	} {
		if got := base64.StdEncoding.EncodeToString(bodyHash(c, nil, 1)); got != want {
			t.Errorf("%s: got %s, want %s", c, got, want)
		}
	}
}

// The signatures that the RFCs print verify over what we hash: so we hash the
// same octets. The Ed25519 one, which leaves no choice, we also make.
func TestRFCSignatures(t *testing.T) {
	t.Parallel()
	seed, err := base64.StdEncoding.DecodeString(rfc8463Seed)
	if err != nil {
		t.Fatal(err)
	}
	edKey := ed25519.NewKeyFromSeed(seed)
	football := []string{"from", "to", "subject", "date", "message-id"}
	for _, c := range []struct {
		file   string
		nth    int // of the DKIM-Signature fields
		policy Policy
		verify func(digest, sig []byte) bool
	}{
		{"rfc8463.eml", 0, Policy{Relaxed, Relaxed, football, []string{"from", "subject", "date"}, 0}, func(digest, sig []byte) bool {
			made, err := signDigest(edKey, digest)
			return err == nil && string(made) == string(sig)
		}},
		{"rfc8463.eml", 1, Policy{Relaxed, Relaxed, football, []string{"from", "subject", "date"}, 0}, verifyRSA(t, rfc8463RSA)},
		{"rfc6376.eml", 0, Policy{Simple, Simple, append([]string{"received"}, football...), []string{}, 0}, verifyRSA(t, rfc6376RSA)},
	} {
		header, body := readMessage(t, c.file)
		if got := base64.StdEncoding.EncodeToString(bodyHash(c.policy.Body, body, 7)); got != rfcBodyHash {
			t.Errorf("%s: body hash %s, want %s", c.file, got, rfcBodyHash)
		}
		value := header[c.nth].Value
		unsigned, b, _ := strings.Cut(value, " b=")
		after := ""
		if b, ok := strings.CutSuffix(b, ";"); ok {
			_, after = b, ";"
		}
		sig, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(strings.TrimSuffix(b, ";")), ""))
		if err != nil {
			t.Fatal(err)
		}
		m := c.policy.recipe().NewMessage() // not checked, for Received is among the fields
		for _, f := range header {
			m.Field([]byte(f.Name), []byte(f.Value))
		}
		hashed := sha256.New()
		m.header.all(m.recipe, func(_ string, text []byte) { hashed.Write(text) })
		hashed.Write(appendField(nil, c.policy.Header, fieldName, unsigned+" b="+after))
		if !c.verify(hashed.Sum(nil), sig) {
			t.Errorf("%s: signature %d does not verify over our header hash", c.file, c.nth)
		}
	}
}

// Ours over the message of RFC 8463, appendix A, with its names and key.
func TestRFC8463Resigned(t *testing.T) {
	t.Parallel()
	seed, err := base64.StdEncoding.DecodeString(rfc8463Seed)
	if err != nil {
		t.Fatal(err)
	}
	header, body := readMessage(t, "rfc8463.eml")
	header = header[2:]
	policy := &Policy{Relaxed, Relaxed, []string{"From", "To", "Subject", "Date", "Message-ID"}, []string{"From", "Subject", "Date"}, 0}
	ed := signature{Signature{"football.example.com", "brisbane", "@football.example.com", ed25519.NewKeyFromSeed(seed)}, policy}
	rsa := rsaSignature(t)
	rsa.Domain, rsa.Selector, rsa.Policy = "football.example.com", "test", policy
	values := sign(t, header, body, 1<<20, time.Unix(1528637909, 0), ed, rsa)
	want := " v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n" +
		"\td=football.example.com; s=brisbane; i=@football.example.com; t=1528637909;\r\n" +
		"\th=from:from:to:subject:subject:date:date:message-id;\r\n" +
		"\tbh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n\tb="
	if !strings.HasPrefix(values[0], want) {
		t.Errorf("got\n%s\nwant\n%s", values[0], want)
	}
	verify(t, header, body, values[0], ed)
	verify(t, header, body, values[1], rsa)
}

func verifyRSA(t *testing.T, p string) func(digest, sig []byte) bool {
	der, err := base64.StdEncoding.DecodeString(p)
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return func(digest, sig []byte) bool {
		return rsa.VerifyPKCS1v15(key.(*rsa.PublicKey), crypto.SHA256, digest, sig) == nil
	}
}

// readMessage reads a message from testdata, where lines end with LF.
func readMessage(t *testing.T, name string) ([]Field, []byte) {
	t.Helper()
	text, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	head, body, ok := strings.Cut(string(text), "\n\n")
	if !ok {
		t.Fatalf("%s has no body", name)
	}
	var header []Field
	for _, line := range strings.Split(head, "\n") {
		if line[0] == ' ' || line[0] == '\t' {
			header[len(header)-1].Value += "\n" + line
			continue
		}
		name, value, _ := strings.Cut(line, ":")
		header = append(header, Field{name, value})
	}
	return header, []byte(strings.ReplaceAll(body, "\n", "\r\n"))
}
