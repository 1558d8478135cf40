// Package mailboxtest runs an IMAP server in memory, for tests.
package mailboxtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
)

// Server is an IMAP server at 127.0.0.1. It has a user dmarc@example.org with the password
// "secret", and the folders INBOX and DMARC/Reports.
type Server struct {
	User   *imapmemserver.User
	Port   int
	CAFile string // of the authority that signed its certificate
	Heard  *Transcript
}

// Transcript is what was said on the connections, without TLS.
type Transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to it.
func (h *Transcript) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *Transcript) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// Start runs a server until the test ends. With implicit, TLS is from the start, else by STARTTLS.
func Start(t testing.TB, implicit bool) *Server {
	t.Helper()
	s := &Server{User: imapmemserver.NewUser("dmarc@example.org", "secret"), Heard: new(Transcript)}
	memory := imapmemserver.New()
	memory.AddUser(s.User)
	for _, folder := range []string{"INBOX", "DMARC/Reports"} {
		if err := s.User.Create(folder, nil); err != nil {
			t.Fatal(err)
		}
	}
	certificate := s.certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.Port = listener.Addr().(*net.TCPAddr).Port
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		TLSConfig:    config,
		InsecureAuth: true,
		DebugWriter:  s.Heard,
		Logger:       log.New(io.Discard, "", 0),
	})
	if implicit {
		listener = tls.NewListener(listener, config)
	}
	served := make(chan struct{})
	go func() { server.Serve(listener); close(served) }()
	t.Cleanup(func() { server.Close(); <-served })
	return s
}

// certificate makes one for 127.0.0.1, and the file of the authority that signed it.
func (s *Server) certificate(t testing.TB) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	s.CAFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// Add puts a message into a folder.
func (s *Server) Add(t testing.TB, folder, text string, arrived time.Time) {
	t.Helper()
	if _, err := s.User.Append(folder, literal{strings.NewReader(text)}, &imap.AppendOptions{Time: arrived}); err != nil {
		t.Fatal(err)
	}
}

type literal struct{ *strings.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }
