package setup

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// Files of Debian: the bundle of package ca-certificates, and what package
// ssl-cert makes at installation.
const (
	caBundle    = "/etc/ssl/certs/ca-certificates.crt"
	selfCert    = "/etc/ssl/certs/ssl-cert-snakeoil.pem"
	selfCertKey = "/etc/ssl/private/ssl-cert-snakeoil.key"
)

// clientTLS sets how mail leaves.
func (p *plan) clientTLS() error {
	variable, level := p.first("POSTFIX_smtp_tls_security_level", "RELAYHOST_TLS_LEVEL")
	if level == "" {
		level = "may"
	}
	levels := []string{"none", "may", "encrypt", "dane", "dane-only", "fingerprint", "verify", "secure"}
	if !slices.Contains(levels, level) {
		return finding.WithHint(fmt.Errorf("%s=%q is not a TLS level", variable, level),
			"one of %s", strings.Join(levels, ", "))
	}
	p.set("smtp_tls_security_level", level)
	if p.theirs("smtp_tls_CAfile") != "" {
		return nil
	}
	// Postfix goes without TLS altogether when the file cannot be read.
	if p.machine.Exists(caBundle) {
		p.set("smtp_tls_CAfile", caBundle)
	} else if level == "verify" || level == "secure" {
		p.warn(fmt.Errorf("%s=%s, but %s does not exist", variable, level, caBundle),
			"install the package ca-certificates")
	}
	return nil
}

// serverTLS offers STARTTLS to clients when there is a certificate. Debian's
// main.cf names one that a minimal image does not have, and Postfix then
// complains at every connection.
func (p *plan) serverTLS() error {
	cert, key := p.theirs("smtpd_tls_cert_file"), p.theirs("smtpd_tls_key_file")
	switch {
	case p.theirs("smtpd_tls_chain_files") != "" || cert == "none":
		return nil
	case p.vars[overridePrefix+"smtpd_tls_cert_file"] == "" && p.has(overridePrefix+"smtpd_tls_cert_file"):
		p.set("smtpd_tls_security_level", "none")
		return nil
	case cert == "" && p.machine.Exists(selfCert) && p.machine.Exists(selfCertKey):
		p.set("smtpd_tls_cert_file", selfCert)
		p.set("smtpd_tls_key_file", selfCertKey)
	case cert != "" && p.found(cert) && (key == "" || p.found(key)):
	default:
		if cert != "" && cert != selfCert {
			p.warn(fmt.Errorf("smtpd_tls_cert_file %s or its key does not exist, so clients are not offered TLS", cert),
				"mount the files")
		}
		p.set("smtpd_tls_security_level", "none")
		return nil
	}
	if p.theirs("smtpd_tls_security_level") == "" {
		p.set("smtpd_tls_security_level", "may")
	}
	return nil
}

// found reports whether a file of main.cf exists. A name that Postfix still
// has to expand is taken to.
func (p *plan) found(path string) bool {
	return strings.Contains(path, "$") || p.machine.Exists(path)
}
