package redistest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"testing"
	"time"
)

// Certificates are files of an authority, and of a server and a client that it certifies.
type Certificates struct {
	CA                    string
	ServerCert, ServerKey string // for redis.test and 127.0.0.1
	ClientCert, ClientKey string
}

// NewCertificates makes them in a folder of the test.
func NewCertificates(t testing.TB) *Certificates {
	t.Helper()
	dir := t.TempDir()
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caKey := newKey(t)
	sign := func(name string, template *x509.Certificate, key *ecdsa.PrivateKey) (string, string) {
		der, err := x509.CreateCertificate(rand.Reader, template, ca, key.Public(), caKey)
		if err != nil {
			t.Fatal(err)
		}
		private, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		block := func(kind string, data []byte) string {
			return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
		}
		return write(t, dir, name+".crt", block("CERTIFICATE", der)),
			write(t, dir, name+".key", block("PRIVATE KEY", private))
	}
	leaf := func(serial int64, usage x509.ExtKeyUsage) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "redis.test"},
			NotBefore: ca.NotBefore, NotAfter: ca.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{usage},
			DNSNames: []string{"redis.test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		}
	}
	var c Certificates
	c.CA, _ = sign("ca", ca, caKey)
	c.ServerCert, c.ServerKey = sign("server", leaf(2, x509.ExtKeyUsageServerAuth), newKey(t))
	c.ClientCert, c.ClientKey = sign("client", leaf(3, x509.ExtKeyUsageClientAuth), newKey(t))
	return &c
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func (c *Certificates) dial(addr string) (net.Conn, error) {
	authority, err := os.ReadFile(c.CA)
	if err != nil {
		return nil, err
	}
	client, err := tls.LoadX509KeyPair(c.ClientCert, c.ClientKey)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(authority)
	return tls.Dial("tcp", addr, &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{client}})
}
