package keystore

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"

	"signpost/keystore/finding"
)

// rsaKeys are made once per size: making them is slow.
var rsaKeys = func() func(bits, n int) *rsa.PrivateKey {
	type which struct{ bits, n int }
	var mu sync.Mutex
	keys := make(map[which]*rsa.PrivateKey)
	return func(bits, n int) *rsa.PrivateKey {
		mu.Lock()
		defer mu.Unlock()
		if keys[which{bits, n}] == nil {
			key, err := rsa.GenerateKey(rand.Reader, bits)
			if err != nil {
				panic(err)
			}
			keys[which{bits, n}] = key
		}
		return keys[which{bits, n}]
	}
}()

func pkcs8(t testing.TB, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func pkcs1(key *rsa.PrivateKey) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
}

func TestParsePrivate(t *testing.T) {
	rsaKey := rsaKeys(1024, 0)
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	for name, test := range map[string]struct {
		data []byte
		want interface{ Equal(crypto.PrivateKey) bool }
	}{
		"PKCS#8":               {pkcs8(t, rsaKey), rsaKey},
		"PKCS#1":               {pkcs1(rsaKey), rsaKey},
		"no final newline":     {bytes.TrimSpace(pkcs1(rsaKey)), rsaKey},
		"CRLF line ends":       {bytes.ReplaceAll(pkcs8(t, rsaKey), []byte("\n"), []byte("\r\n")), rsaKey},
		"byte order mark":      {append([]byte("\ufeff"), pkcs8(t, rsaKey)...), rsaKey},
		"certificate before":   {append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), pkcs8(t, rsaKey)...), rsaKey},
		"text before":          {append([]byte("made by hand\n"), pkcs8(t, rsaKey)...), rsaKey},
		"Ed25519":              {pkcs8(t, edKey), edKey},
		"PKCS#1 in base64":     {[]byte(base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PrivateKey(rsaKey))), rsaKey},
		"PKCS#8 in base64":     {bare(pkcs8(t, rsaKey)), rsaKey}, // in lines of 64
		"PKCS#8, CRLF":         {bytes.ReplaceAll(bare(pkcs8(t, rsaKey)), []byte("\n"), []byte("\r\n")), rsaKey},
		"Ed25519 seed":         {[]byte(base64.StdEncoding.EncodeToString(edKey.Seed()) + "\n"), edKey},
		"Ed25519 in base64":    {bare(pkcs8(t, edKey)), edKey},
		"Ed25519 seed and key": {[]byte(base64.StdEncoding.EncodeToString(edKey)), edKey},
	} {
		got, err := ParsePrivate(test.data)
		if err != nil || !test.want.Equal(got) {
			t.Errorf("%s: got %T, %v", name, got, err)
		}
	}
}

// bare takes the marks off PEM.
func bare(block []byte) []byte {
	lines := bytes.SplitAfter(block, []byte("\n"))
	return bytes.Join(lines[1:len(lines)-2], nil)
}

func TestParsePrivateRefuses(t *testing.T) {
	key := rsaKeys(1024, 0)
	ec, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	public, _ := x509.MarshalPKIXPublicKey(key.Public())
	whole := pkcs8(t, key)
	// Go refuses to make short keys, so here is one of 512 bits.
	short := &rsa.PrivateKey{PublicKey: key.PublicKey}
	short.N = new(big.Int).Lsh(big.NewInt(1), 511)
	for name, test := range map[string]struct {
		data  []byte
		wrong string
	}{
		"empty":            {nil, "empty"},
		"white space":      {[]byte(" \n"), "empty"},
		"cut short":        {whole[:len(whole)-40], "no whole PEM block"},
		"damaged":          {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("nonsense")}), "PKCS#8 block"},
		"public key":       {pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), "public key"},
		"certificate":      {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: public}), "certificate"},
		"encrypted":        {pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: public}), "passphrase"},
		"ECDSA":            {pkcs8(t, ec), "cannot sign DKIM"},
		"half a seed":      {[]byte(base64.StdEncoding.EncodeToString([]byte("too short"))), "no Ed25519 key"},
		"public in base64": {[]byte(base64.StdEncoding.EncodeToString(public)), "public key"},
		"ECDSA in base64":  {bare(pkcs8(t, ec)), "cannot sign DKIM"},
		"noise in base64":  {[]byte(base64.StdEncoding.EncodeToString(make([]byte, 200))), "neither a PKCS#1 nor a PKCS#8"},
		"half of base64":   {bare(whole)[:300], "neither a PKCS#1 nor a PKCS#8"},
		"torn seed":        {[]byte(base64.StdEncoding.EncodeToString(make([]byte, 64))), "do not fit"},
		"EC":               {pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: public}), "type EC, which cannot sign DKIM"},
		"DSA":              {pem.EncodeToMemory(&pem.Block{Type: "DSA PRIVATE KEY", Bytes: public}), "type DSA, which cannot sign DKIM"},
		"request":          {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: public}), "request for a certificate"},
		"OpenSSH":          {pem.EncodeToMemory(&pem.Block{Type: "OPENSSH PRIVATE KEY", Bytes: public}), "key of OpenSSH"},
		"ssh-rsa":          {[]byte("ssh-rsa AAAAB3NzaC1yc2E= me"), "public key of OpenSSH"},
		"PKCS#1, encrypted": {pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: public,
			Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-128-CBC,00"}}), "passphrase"},
		"other PEM":  {pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: public}), "\"X509 CRL\""},
		"no END":     {whole[:len(whole)-40], "cut off"},
		"the record": {[]byte("mail._domainkey\tIN\tTXT\t( \"v=DKIM1; k=rsa; \""), "DNS record"},
		"DER":        {public, "but DER"},
		"a README":   {[]byte("Put your keys here."), "no whole PEM block"},
	} {
		if got, err := ParsePrivate(test.data); err == nil || !strings.Contains(finding.Text(err), test.wrong) {
			t.Errorf("%s: got %T, %v, want an error with %q", name, got, err, test.wrong)
		}
	}
	if _, err := checked(short); err == nil || !strings.Contains(err.Error(), "512 bits is too short") {
		t.Errorf("512 bits: got %v", err)
	}
}

func FuzzParsePrivate(f *testing.F) {
	_, edKey, _ := ed25519.GenerateKey(rand.Reader)
	f.Add(pkcs8(f, edKey))
	f.Add(pkcs1(rsaKeys(1024, 0)))
	f.Add(bare(pkcs8(f, rsaKeys(1024, 0))))
	f.Add(bare(pkcs1(rsaKeys(1024, 0))))
	f.Add([]byte(base64.StdEncoding.EncodeToString(edKey.Seed())))
	f.Fuzz(func(t *testing.T, data []byte) {
		key, err := ParsePrivate(data)
		if (key == nil) == (err == nil) {
			t.Fatalf("got %v, %v", key, err)
		}
	})
}
