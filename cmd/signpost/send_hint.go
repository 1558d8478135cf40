package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
)

// What can be wrong without a word of the server.
var (
	errNoStartTLS  = errors.New("the server does not offer STARTTLS")
	errPlainText   = errors.New("the connection is in clear text, and a password is not sent over that")
	errNoAuth      = errors.New("the server does not offer AUTH")
	errNoMechanism = errors.New("the server offers no way to log in that signpost knows (PLAIN, LOGIN, CRAM-MD5)")
	errNoSMTPUTF8  = errors.New("an address is not ASCII, and the server does not offer SMTPUTF8")
)

// exitCode is 1 for a no that stays, 3 for what may be otherwise next time.
func (e *stageError) exitCode() int {
	switch {
	case e.reply != nil && e.reply.code >= 500:
		return exitFinding
	case e.reply != nil:
		return exitUnknown
	case certificateError(e.err) != nil:
		return exitFinding
	}
	for _, refusal := range []error{errNoStartTLS, errPlainText, errNoAuth, errNoMechanism, errNoSMTPUTF8} {
		if errors.Is(e.err, refusal) {
			return exitFinding
		}
	}
	return exitUnknown
}

// hintFor says what a failure mostly comes from and what to do.
func hintFor(e *stageError, p *sending) string {
	if e.reply != nil {
		return replyHint(e.stage, *e.reply, p)
	}
	var unresolved *net.DNSError
	var timeout net.Error
	var record tls.RecordHeaderError
	switch {
	case errors.Is(e.err, errStopped):
		return ""
	case errors.Is(e.err, errNoStartTLS):
		return "try another port (587), --tls implicit for port 465, or --tls off if the way to the server is safe"
	case errors.Is(e.err, errPlainText):
		return "use --tls starttls, or --tls implicit on port 465; over clear text signpost logs in to this host alone"
	case errors.Is(e.err, errNoAuth):
		if p.tls.mode == "off" {
			return "many servers offer AUTH only after STARTTLS: try --tls starttls"
		}
		return "try port 587, for port 25 often has none; for Postfix, set smtpd_sasl_auth_enable = yes"
	case errors.Is(e.err, errNoMechanism):
		return "install the mechanisms on the server: on Debian, libsasl2-modules for PLAIN and LOGIN"
	case errors.Is(e.err, errNoSMTPUTF8):
		return "use an address in ASCII"
	case errors.As(e.err, &unresolved) && unresolved.IsNotFound:
		return fmt.Sprintf("no host has the name %s; is it spelled correctly?", p.host)
	case errors.As(e.err, &unresolved):
		return "the DNS does not answer; see /etc/resolv.conf, or give an IP address"
	case errors.Is(e.err, syscall.ECONNREFUSED):
		return fmt.Sprintf("nothing listens on %s; is Postfix running, and is submission on in master.cf?", p.server)
	case errors.Is(e.err, syscall.ENETUNREACH), errors.Is(e.err, syscall.EHOSTUNREACH):
		return "this host has no route to that address"
	case errors.As(e.err, &record) && p.tls.mode == "implicit":
		return "the server does not speak TLS from the first byte on this port; try --tls starttls, or port 465"
	case certificateError(e.err) != nil:
		return certificateHint(certificateError(e.err), p)
	case errors.As(e.err, &timeout) && timeout.Timeout():
		if e.stage == "connect" {
			return fmt.Sprintf("nothing answered within %v; a firewall may be in the way, and "+
				"many networks close port 25", p.timeout)
		}
		if e.stage == "greeting" && p.tls.mode != "implicit" {
			return fmt.Sprintf("no greeting within %v; a port for TLS from the first byte waits "+
				"for the client: try --tls implicit", p.timeout)
		}
		return fmt.Sprintf("no answer within %v; give it longer with --timeout", p.timeout)
	case errors.Is(e.err, io.EOF), errors.Is(e.err, io.ErrUnexpectedEOF),
		errors.Is(e.err, syscall.ECONNRESET), errors.Is(e.err, syscall.EPIPE):
		return "the server closed the connection; its log says why"
	case e.stage == "greeting":
		return "is that the port of an SMTP server?"
	}
	return ""
}

// replyHint is for a reply that is a no. The texts are those of Postfix.
func replyHint(stage string, r reply, p *sending) string {
	has := func(text string) bool { return strings.Contains(strings.ToLower(r.text()), strings.ToLower(text)) }
	switch {
	case has("cannot be signed now"):
		return "signpostd has no usable key for the domain of From, and its mail must be signed: " +
			"see its log, and signpost explain"
	case r.code == 451 && has("4.7.1 service unavailable"):
		return "Postfix cannot reach its milter (milter_default_action = tempfail): ask signpost health"
	case has("must issue a starttls"):
		return "use --tls starttls"
	case has("relay access denied"), has("relaying denied"):
		return "the server relays for its networks and for those who log in: give --user, or add " +
			"this host to mynetworks"
	case has("sender address rejected: not owned"):
		return "the login may not use this --from (smtpd_sender_login_maps)"
	case has("sender address rejected"):
		return "the server does not take this --from; is its domain in ALLOWED_SENDER_DOMAINS?"
	case has("recipient address rejected: domain not found"), has("domain not found"):
		return "the domain has neither MX nor address in the DNS that the server asks"
	case has("user unknown"), r.code == 550 && has("5.1.1"):
		return "that mailbox does not exist; is --to spelled correctly?"
	case has("helo command rejected"):
		return "give a full host name with --helo"
	case stage == "AUTH" && (r.code == 535 || r.code == 534):
		return "user or password is wrong, or the server cannot check it: its log says which"
	case stage == "AUTH" && r.code == 454:
		return "the server cannot check passwords now: see its log"
	case stage == "AUTH" && (r.code == 530 || r.code == 538):
		return "use --tls starttls"
	case r.code == 530 || has("authentication required"):
		return "the server wants a login: give --user"
	case r.code == 421:
		return "the server is busy or shuts down, or has had enough of this client: try again later"
	case r.code == 452, has("4.3.1"):
		return "the server is short of space, or has too many recipients at a time"
	case r.code == 552 || has("size limit"), has("too big"):
		return "the message is too large for it (message_size_limit)"
	case stage == "greeting":
		return "the server refuses this client; its address may be on a block list"
	case stage == "EHLO" || stage == "HELO":
		return "give a full host name with --helo"
	case stage == "STARTTLS":
		return "the server offers STARTTLS and cannot do it: see its log for a missing certificate or key"
	case stage == "message" && r.code >= 500, stage == "DATA" && r.code >= 500:
		return "the server or a filter of it does not take the content"
	case r.code < 500:
		return "the server defers it: its log says why; try again later"
	}
	return "the log of the server says why"
}

// certificateError is what is wrong with the server's certificate, if that is it.
func certificateError(err error) error {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) {
		return verification
	}
	return nil
}

func certificateHint(err error, p *sending) string {
	var name x509.HostnameError
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &name):
		return fmt.Sprintf("the certificate is for %s; give that name with --server, or take "+
			"--insecure for a test", certificateNames(name.Certificate))
	case errors.As(err, &unknown):
		return fmt.Sprintf("nobody whom this host trusts has signed the certificate for %s; give "+
			"its authority with --ca, or take --insecure for a test", namesIn(err))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate for %s is good from %s to %s; renew it, or set the clock",
			certificateNames(invalid.Cert),
			invalid.Cert.NotBefore.Format("2006-01-02"), invalid.Cert.NotAfter.Format("2006-01-02"))
	}
	return "take --insecure for a test"
}

// namesIn are the names of the certificate that was turned down.
func namesIn(err error) string {
	var verification *tls.CertificateVerificationError
	if errors.As(err, &verification) && len(verification.UnverifiedCertificates) > 0 {
		return certificateNames(verification.UnverifiedCertificates[0])
	}
	return "it"
}
