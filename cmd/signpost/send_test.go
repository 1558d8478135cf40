package main

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/mail"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/rogpeppe/go-internal/testscript"
)

// smtpServer is a command of the stories:
//
//	smtpserver SCRIPT [CERTNAME]
//
// starts a server on $SERVER that plays the lines of the script to one client:
//
//	S: text       say it
//	C: pattern    take a line, which must match
//	DATA FILE     take a message up to the final dot, and keep it as it was
//	TLS           turn to TLS, with a certificate for CERTNAME that $WORK/ca.pem signed
//	SLEEP         say nothing more
//	RAW text      say it without a line end
//	LONG n        greet with n bytes
//	INJECT        say more than the reply to STARTTLS
//
// After the last line the connection is closed. A client that does not keep to the
// script is told so with 599.
func smtpServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: smtpserver SCRIPT [CERTNAME]")
	}
	name := "localhost"
	if len(args) == 2 {
		name = args[1]
	}
	certificate, ca := makeCertificate(ts, name)
	ts.Check(os.WriteFile(ts.MkAbs("ca.pem"), ca, 0o600))
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	script := strings.Split(strings.TrimSpace(ts.ReadFile(args[0])), "\n")
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err == nil {
			playSMTP(conn, script, certificate, ts.MkAbs)
		}
	}()
	ts.Defer(func() { ln.Close(); <-done })
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	ts.Setenv("SERVER", "localhost:"+port)
	ts.Setenv("PORT", port)
}

func playSMTP(conn net.Conn, script []string, certificate tls.Certificate, path func(string) string) {
	defer func() { conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	in := bufio.NewReader(conn)
	for _, step := range script {
		verb, text, _ := strings.Cut(step, " ")
		switch verb {
		case "S:":
			fmt.Fprintf(conn, "%s\r\n", text)
		case "RAW":
			fmt.Fprint(conn, text)
		case "LONG":
			length, _ := strconv.Atoi(text)
			fmt.Fprintf(conn, "220 %s\r\n", strings.Repeat("x", length))
		case "INJECT":
			// Both in one write, so that the client has them at once.
			fmt.Fprint(conn, "220 2.0.0 Ready\r\n250 injected\r\n")
		case "C:":
			line, err := in.ReadString('\n')
			if matched, _ := regexp.MatchString("^(?:"+text+")\r\n$", line); !matched {
				fmt.Fprintf(conn, "599 the script wants %q, not %q, %v\r\n", text, line, err)
				return
			}
		case "DATA":
			var message bytes.Buffer
			for {
				line, err := in.ReadString('\n')
				if err != nil || line == ".\r\n" {
					break
				}
				message.WriteString(line)
			}
			if err := os.WriteFile(path(text), message.Bytes(), 0o600); err != nil {
				return
			}
		case "TLS":
			conn = tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{certificate}})
			in = bufio.NewReader(conn)
		case "SLEEP":
			_, _ = in.ReadString(0)
		}
	}
}

// makeCertificate makes an authority, and a certificate of it for the name, or, with
// "expired", one for localhost that is no longer good.
func makeCertificate(t interface{ Check(error) }, name string) (tls.Certificate, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	t.Check(err)
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: from.AddDate(-2, 0, 0), NotAfter: to,
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, key.Public(), key)
	t.Check(err)
	if name == "expired" {
		name, from, to = "localhost", from.AddDate(-1, 0, 0), to.AddDate(-1, 0, 0)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, ca, key.Public(), key)
	t.Check(err)
	return tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER})
}

// The generated message is one that RFC 5322 allows, and carries what was given.
func TestComposeTest(t *testing.T) {
	now := time.Date(2026, 11, 22, 21, 0, 0, 0, time.FixedZone("", 3600))
	for name, test := range map[string]struct{ subject, body, wantSubject string }{
		"ours":       {"", "", "signpost test of 2026-11-22 21:00:00"},
		"UTF-8":      {"Grüße aus München, " + strings.Repeat("sehr ", 30), "Grüße\n", ""},
		"long words": {strings.Repeat("x", 200), strings.Repeat("long ", 1000), ""},
		"dots":       {"dots", ".\n..\n.x", ""},
	} {
		message, err := composeTest("a@example.org", []string{"b@example.net", "c@example.net"}, test.subject, test.body, now)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := mail.ReadMessage(bytes.NewReader(message))
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, message)
		}
		if eightBit(message) || bytes.Contains(bytes.ReplaceAll(message, []byte("\r\n"), nil), []byte("\n")) {
			t.Errorf("%s: not 7 bits with CRLF:\n%s", name, message)
		}
		for line := range bytes.Lines(message) {
			if len(line) > 300 || strings.HasPrefix(name, "UTF") && len(line) > 80 {
				t.Errorf("%s: a line of %d bytes", name, len(line))
			}
		}
		to, err := parsed.Header.AddressList("To")
		if err != nil || len(to) != 2 {
			t.Errorf("%s: To is %v, %v", name, to, err)
		}
		if date, err := parsed.Header.Date(); err != nil || !date.Equal(now) {
			t.Errorf("%s: Date is %v, %v", name, date, err)
		}
		if !strings.HasSuffix(parsed.Header.Get("Message-ID"), "@example.org>") {
			t.Errorf("%s: Message-ID is %s", name, parsed.Header.Get("Message-ID"))
		}
		if test.wantSubject != "" && parsed.Header.Get("Subject") != test.wantSubject {
			t.Errorf("%s: Subject is %q", name, parsed.Header.Get("Subject"))
		}
	}
}

func TestServerAddress(t *testing.T) {
	for _, test := range []struct{ text, mode, want string }{
		{"mail.example.org", "", "mail.example.org:587"},
		{"mail.example.org", "implicit", "mail.example.org:465"},
		{"mail.example.org:25", "implicit", "mail.example.org:25"},
		{"mail.example.org:submission", "", "mail.example.org:submission"},
		{"[2001:db8::1]:25", "", "[2001:db8::1]:25"},
		{"2001:db8::1", "", "[2001:db8::1]:587"},
		{"[2001:db8::1]", "", "[2001:db8::1]:587"},
		{"", "", ""}, {":25", "", ""}, {"host:", "", ""}, {"a b:25", "", ""}, {"user@host", "", ""}, {"smtp://host:25", "", ""},
	} {
		got, _, err := serverAddress(test.text, test.mode)
		if got != test.want || (err != nil) != (test.want == "") {
			t.Errorf("%q: %q, %v, want %q", test.text, got, err, test.want)
		}
	}
}

// A password is shown in no form that it is sent in.
func TestDialogueHidesPasswords(t *testing.T) {
	var d dialogue
	d.hide("jane", "hush hush")
	for _, text := range []string{"hush hush", "aHVzaCBodXNo", "AGphbmUAaHVzaCBodXNo", "it was <hush hush>"} {
		d.say("S", "%s", "535 "+text)
	}
	for _, line := range d.Lines {
		if !strings.Contains(line.Text, hidden) || strings.Contains(line.Text, "hush") || strings.Contains(line.Text, "aHVz") {
			t.Errorf("shows %q", line.Text)
		}
	}
	d.say("S", "%s", "250 \x1b[2Jbell\x07")
	if got := d.Lines[len(d.Lines)-1].Text; got != `250 \x1b[2Jbell\a` {
		t.Errorf("shows %q", got)
	}
}

// What stands in a certificate is the server's, and shown as such in hints too.
func TestHintEscapesCertificates(t *testing.T) {
	hostile := &x509.Certificate{DNSNames: []string{"a\x1b]0;x\x07.example", "b\u009b2J"}}
	p := &sending{dialogue: &dialogue{}}
	var result sent
	result.fail(&stageError{stage: "TLS", err: &tls.CertificateVerificationError{Err: x509.HostnameError{Certificate: hostile, Host: "mail.example.org"}}}, p)
	for _, text := range []string{result.Error, result.Hint} {
		if strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q", text)
		}
	}
	if !strings.Contains(result.Hint, "the certificate is for a") {
		t.Errorf("hint %q", result.Hint)
	}
}

// An address that needs quotes in SMTP is refused, and goes out as no other.
func TestAddressThatNeedsQuotes(t *testing.T) {
	p := &sending{dialogue: &dialogue{}}
	for _, text := range []string{`"a@b"@example.org`, `"a,b"@example.org`, `"a b"@example.org`, `"a>b"@example.org`, `"a:b"@example.org`, "a\r\nRCPT TO:<b>@example.org"} {
		if got, err := p.address("--from", text); err == nil {
			t.Errorf("%q became %q", text, got)
		}
	}
	if got, err := p.address("--from", `Jane <"jane.doe"@Example.ORG>`); err != nil || got != "jane.doe@example.org" {
		t.Errorf("got %q, %v", got, err)
	}
}

func FuzzParseReplyLine(f *testing.F) {
	for _, line := range []string{"250 ok", "250-more", "250", "25", "999 x", "2500", "abc"} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		code, more, text, err := parseReplyLine(line)
		if err != nil {
			return
		}
		if code < 200 || code > 599 {
			t.Fatalf("code %d", code)
		}
		again := fmt.Sprintf("%d %s", code, text)
		if more {
			again = fmt.Sprintf("%d-%s", code, text)
		}
		if again != line && again != line+" " {
			t.Fatalf("%q became %q", line, again)
		}
	})
}
