package system

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// sendResult is what came of `signpost send`.
type sendResult struct {
	code           int
	stdout, stderr string
}

// send runs `signpost send` with the password of jane.
func (w *world) send(args ...string) sendResult {
	w.t.Helper()
	return w.sendAs("hush hush", args...)
}

func (w *world) sendAs(password string, args ...string) sendResult {
	w.t.Helper()
	cmd := w.companion(append([]string{"send"}, args...)...)
	cmd.Env = append(os.Environ(), "SIGNPOST_PASSWORD="+password)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		w.t.Fatal(err)
	}
	for _, secret := range []string{password, "aHVzaCBodXNo", "AGphbmUAaHVzaCBodXNo"} {
		if strings.Contains(stdout.String()+stderr.String(), secret) {
			w.t.Errorf("signpost send shows the password:\n%s%s", &stdout, &stderr)
		}
	}
	return sendResult{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// must asserts the exit code and texts of standard output or error.
func (r sendResult) must(t testing.TB, code int, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if !strings.Contains(r.stdout+r.stderr, text) {
			t.Errorf("signpost send does not say %q", text)
			code = -1
		}
	}
	if r.code != code {
		t.Errorf("signpost send ended with %d:\n%s%s", r.code, r.stdout, r.stderr)
	}
}

// loginSettings make Postfix ask Cyrus SASL, which has one user: jane, with the
// password "hush hush".
func (w *world) loginSettings() []string {
	w.t.Helper()
	// Debian's Postfix looks there, whatever cyrus_sasl_config_path says.
	if err := os.MkdirAll(w.dir+"/postfix/etc/sasl", 0o755); err != nil {
		w.t.Fatal(err)
	}
	w.offerMechanisms("PLAIN LOGIN")
	w.run("perl", "-MDB_File", "-e", `tie(my %users, "DB_File", $ARGV[0], O_RDWR|O_CREAT, 0600, $DB_HASH) or die $!;
		$users{"jane\0mta.test\0userPassword"} = "hush hush"`, w.dir+"/sasldb2")
	w.run("chown", "postfix", w.dir+"/sasldb2")
	return []string{
		"smtpd_sasl_auth_enable = yes",
		"cyrus_sasl_config_path = " + w.dir + "/postfix/etc/sasl",
		"smtpd_sasl_local_domain = mta.test",
		"mynetworks =",
		"smtpd_relay_restrictions = permit_sasl_authenticated, reject_unauth_destination",
	}
}

// offerMechanisms says which mechanisms there are to log in by.
func (w *world) offerMechanisms(names string) {
	w.t.Helper()
	w.write("postfix/etc/sasl/smtpd.conf",
		"pwcheck_method: auxprop\nauxprop_plugin: sasldb\nmech_list: "+names+"\nsasldb_path: "+w.dir+"/sasldb2\n")
}

// tlsSettings make Postfix offer STARTTLS with a certificate for the address,
// which the authority in ca.pem signed.
func (w *world) tlsSettings(address string) []string {
	w.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		w.t.Fatal(err)
	}
	sign := func(name string, template, parent *x509.Certificate) {
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), key)
		if err != nil {
			w.t.Fatal(err)
		}
		w.write(name, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	}
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true}
	sign("ca.pem", ca, ca)
	sign("cert.pem", &x509.Certificate{SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.ParseIP(address)}, DNSNames: []string{"mta.test"}}, ca)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		w.t.Fatal(err)
	}
	w.write("key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	return []string{
		"smtpd_tls_security_level = may",
		"smtpd_tls_auth_only = yes",
		"smtpd_tls_cert_file = " + w.dir + "/cert.pem",
		"smtpd_tls_key_file = " + w.dir + "/key.pem",
	}
}

// `signpost send` through a real Postfix with STARTTLS and AUTH: what it sends
// arrives as it was and verifies, signed for the login alone; and each way to
// be refused is told.
func TestSendThroughPostfix(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	w.startDaemon("--trusted-networks=192.0.2.0/24", "--domains=example.org must.example", "--canonicalization=simple/simple")
	p := w.startPostfix(w.milterAddr(), append(w.loginSettings(), w.tlsSettings(w.net+".1")...)...)
	server, ca := "--server="+p.addr, "--ca="+w.dir+"/ca.pem"
	envelope := []string{"--from=a@example.org", "--to=reader@rcpt.test"}

	// A message of ours
	r := w.send(append(envelope, server, ca, "--user=jane", "--subject=of-ours")...)
	r.must(t, 0, "certificate good for mta.test", "C: AUTH PLAIN (hidden)", "235 2.7.0", "accepted by "+p.addr+", queue id ")
	id := p.Logged("sasl_username=jane")
	if len(id) != 1 || !strings.Contains(r.stdout, "queue id "+queueIDOf(id[0])) {
		t.Errorf("Postfix logs %q, signpost send says\n%s", id, r.stdout)
	}
	await(t, "delivery", func() bool { return len(w.sink.Find("\r\nSubject: of-ours\r\n")) > 0 })
	w.mustVerify(w.sink.Find("\r\nSubject: of-ours\r\n")[0].Data, want)

	// A file, with dots, blank ends, 8-bit text and LF, by each mechanism
	for _, mechanisms := range []string{"PLAIN", "LOGIN", "CRAM-MD5"} {
		w.offerMechanisms(mechanisms)
		if err := p.Reload(); err != nil {
			t.Fatal(err)
		}
		text := "From: A <a@example.org>\nTo: reader@rcpt.test\nSubject: file-" + mechanisms + "\nDate: Mon, 02 Nov 2026 10:00:00 +0000\nMessage-ID: <file-" + mechanisms + "@mta.test>\n\n" +
			".\n..\n.dot \t\n\nGr\xc3\xbc\xc3\x9fe  \n\n\n"
		w.write("message.eml", text)
		var r sendResult
		await(t, "Postfix to offer "+mechanisms, func() bool {
			r = w.send(server, ca, "--user=jane", w.dir+"/message.eml")
			return strings.Contains(r.stdout, "AUTH "+mechanisms+"\n") || strings.Contains(r.stdout, "AUTH "+mechanisms+" (hidden)")
		})
		r.must(t, 0, "BODY=8BITMIME", "accepted")
		message := w.awaitDelivery("file-" + mechanisms)
		if !bytes.HasSuffix(message, []byte(crlf(text))) {
			t.Errorf("the message was changed on its way:\n%q", message)
		}
		w.mustVerify(message, want)
	}

	w.sendAs("hush hash", append(envelope, server, ca, "--user=jane")...).must(t, 1, "answers AUTH with 535 5.7.8", "user or password is wrong")
	w.send(append(envelope, server, "--tls=starttls", "--user=jane")...).must(t, 1, "unknown authority", "the certificate for mta.test, "+w.net+".1;", "--ca")
	w.send(append(envelope, server, ca)...).must(t, 1, "refused: reader@rcpt.test: 554 5.7.1 <reader@rcpt.test>: Relay access denied", "give --user")
	w.send(append(envelope, server, "--user=jane", "--tls=off")...).must(t, 1, "the server does not offer AUTH", "try --tls starttls")
	w.send("--from=a@must.example", "--to=reader@rcpt.test", server, ca, "--user=jane").must(t, 3,
		"451 4.7.1 the message cannot be signed now", "signpostd has no usable key")
	w.send("--from=a@example.org", "--to=reader@rcpt.test", "--to=@bad@rcpt.test", server).must(t, 2, "invalid mail address")
	w.send("--from=a@example.org", "--server="+w.net+".77:587", "--to=reader@rcpt.test").must(t, 3, "connection refused", "nothing listens on")
	w.send("--from=a@example.org", "--server=nowhere.test:587", "--to=reader@rcpt.test").must(t, 3, "no such host", "is it spelled correctly?")
}

// queueIDOf is the queue id in a line of Postfix's log.
func queueIDOf(line string) string {
	_, rest, _ := strings.Cut(line, "]: ")
	id, _, _ := strings.Cut(rest, ":")
	return id
}

// Over the network, no password goes out in clear text, even where the server
// asks for it.
func TestSendKeepsPasswordFromTheWire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	address := strings.Replace(w.net, "127.1", "10.98", 1) + ".1"
	w.addAddress(address)
	p := w.startPostfix("", append(w.loginSettings(), "inet_interfaces = "+w.net+".1, "+address)...)
	args := []string{"--from=a@example.org", "--to=reader@rcpt.test", "--user=jane"}
	// On this host it may.
	w.send(append(args, "--server="+p.addr)...).must(t, 0, "accepted")
	for _, mode := range []string{"off", "opportunistic", "starttls"} {
		r := w.send(append(args, "--server="+address+":587", "--tls="+mode)...)
		text := "a password is not sent over that"
		if mode == "starttls" {
			text = "does not offer STARTTLS"
		}
		r.must(t, 1, "S: 250-AUTH", text)
		if strings.Contains(r.stdout, "C: AUTH") {
			t.Errorf("--tls %s: logs in:\n%s", mode, r.stdout)
		}
	}
}
