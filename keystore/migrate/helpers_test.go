package migrate

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/place"
)

// rsaKeys are made once: it is the slow part.
var rsaKeys = sync.OnceValue(func() []*rsa.PrivateKey {
	keys := make([]*rsa.PrivateKey, 4)
	for i := range keys {
		key, err := rsa.GenerateKey(rand.Reader, 1024)
		if err != nil {
			panic(err)
		}
		keys[i] = key
	}
	return keys
})

// keyText returns key number i in the form of a file: pkcs1, pkcs8, der64 (one
// line of base64), oneline (PEM on one line), or ed25519.
func keyText(i int, form string) string {
	key := crypto.Signer(rsaKeys()[i])
	kind := "PRIVATE KEY"
	if form == "ed25519" {
		key = ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune('a'+i)), ed25519.SeedSize)))
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	if form == "pkcs1" || form == "der64" {
		kind, der = "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKeys()[i])
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	switch form {
	case "der64":
		return base64.StdEncoding.EncodeToString(der)
	case "oneline":
		return strings.ReplaceAll(text, "\n", "")
	}
	return text
}

// keyMark is where lay puts a key: KEY<n>:<form>.
var keyMark = regexp.MustCompile(`KEY[0-9]:[a-z0-9]+`)

// lay writes files below dir. In their content, DIR stands for dir.
func lay(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		content = strings.ReplaceAll(content, "DIR", dir)
		content = keyMark.ReplaceAllStringFunc(content, func(mark string) string {
			return keyText(int(mark[3]-'0'), mark[5:])
		})
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// carry imports the plan into an empty directory and loads that as signpostd
// does.
func carry(t *testing.T, plan *Plan) *keystore.Snapshot {
	t.Helper()
	dest := t.TempDir()
	steps, _ := Steps([]*Plan{plan}, place.Directory(keystore.Options{Dir: dest}), nil, time.Now())
	for _, step := range steps {
		if step.State != New {
			continue
		}
		if _, err := keystore.Install(dest, step.Domain, step.Selector, step.Data, step.Time); err != nil {
			t.Fatal(err)
		}
	}
	snapshot, err := keystore.Load(keystore.Options{Dir: dest})
	if err != nil {
		t.Fatal(err)
	}
	if problems := snapshot.Problems(); len(problems) > 0 {
		t.Errorf("problems in the key directory: %v", problems)
	}
	return snapshot
}

// losses are the findings that are more than notes, one a line.
func losses(plan *Plan) string {
	var text strings.Builder
	for _, f := range plan.Findings {
		if f.Level != finding.Note {
			text.WriteString(string(f.Level) + " " + f.Code + ": " + f.Name + ": " + f.What + "; " + f.Effect + "\n")
		}
	}
	return text.String()
}

func setting(plan *Plan, variable string) string {
	for _, s := range plan.Settings {
		if s.Variable == variable {
			return s.Value
		}
	}
	return ""
}

// number says which of the test's keys a signer is; "e" for an Ed25519 one.
func number(signer crypto.Signer) string {
	for i, key := range rsaKeys() {
		if key.PublicKey.Equal(signer.Public()) {
			return strconv.Itoa(i)
		}
	}
	return "e"
}
