package mailbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
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

	"signpost/milter/reports"
)

// testServer is an IMAP server for 127.0.0.1 with a user dmarc@example.org and a folder
// DMARC/Reports.
type testServer struct {
	user   *imapmemserver.User
	port   int
	caFile string
	heard  *transcript
}

// transcript is what was said on the connections, without TLS.
type transcript struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *transcript) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *transcript) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}

// start runs a server. With implicit, TLS is from the start, else by STARTTLS.
func start(t *testing.T, implicit bool) *testServer {
	t.Helper()
	s := &testServer{user: imapmemserver.NewUser("dmarc@example.org", "secret"), heard: new(transcript)}
	memory := imapmemserver.New()
	memory.AddUser(s.user)
	for _, folder := range []string{"INBOX", "DMARC/Reports"} {
		if err := s.user.Create(folder, nil); err != nil {
			t.Fatal(err)
		}
	}
	certificate := s.certificate(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.port = listener.Addr().(*net.TCPAddr).Port
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	server := imapserver.New(&imapserver.Options{
		NewSession: func(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
			return memory.NewSession(), nil, nil
		},
		TLSConfig:    config,
		InsecureAuth: true,
		DebugWriter:  s.heard,
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
func (s *testServer) certificate(t *testing.T) tls.Certificate {
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
	s.caFile = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(s.caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (s *testServer) config(scheme, folder string) Config {
	return Config{
		URL:      fmt.Sprintf("%s://dmarc@example.org@127.0.0.1:%d/%s", scheme, s.port, folder),
		Password: "secret", CAFile: s.caFile,
	}
}

// add puts a message into a folder.
func (s *testServer) add(t *testing.T, folder, text string, arrived time.Time) {
	t.Helper()
	if _, err := s.user.Append(folder, literal{strings.NewReader(text)}, &imap.AppendOptions{Time: arrived}); err != nil {
		t.Fatal(err)
	}
}

type literal struct{ *strings.Reader }

func (l literal) Size() int64 { return l.Reader.Size() }

const ordinary = "From: a@example.org\r\nSubject: lunch\r\n\r\nHungry yet?\r\n"

// reported is a message with an aggregate report.
func reported(id string) string {
	return "From: dmarc@mail.example\r\nSubject: Report\r\nContent-Type: text/xml; name=r.xml\r\n\r\n" +
		`<feedback><report_metadata><org_name>mail.example</org_name><report_id>` + id + `</report_id>
<date_range><begin>1764288000</begin><end>1764374399</end></date_range></report_metadata>
<policy_published><domain>example.org</domain><p>none</p></policy_published>
<record><row><source_ip>192.0.2.1</source_ip><count>2</count>
<policy_evaluated><disposition>none</disposition><dkim>pass</dkim><spf>fail</spf></policy_evaluated></row>
<identifiers><header_from>example.org</header_from></identifiers><auth_results></auth_results></record></feedback>` + "\r\n"
}

// line says what was found.
func line(f reports.Found) string {
	switch {
	case f.Err != nil:
		return f.Where + ": " + f.Err.Error()
	case f.Report != nil:
		return f.Where + ": report " + f.Report.ID
	}
	return f.Where + ": without: " + string(f.Without)
}
