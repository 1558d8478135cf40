package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// notPrivate says what a PEM block is that is no key to sign with.
func notPrivate(blockType string) error {
	const advice = "the private key belongs here"
	switch blockType {
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return finding.WithHint(errors.New("this is a public key"), advice)
	case "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
		return finding.WithHint(errors.New("this is a certificate"), advice)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return finding.WithHint(errors.New("this is a request for a certificate"), advice)
	case "EC PRIVATE KEY", "EC PARAMETERS", "DSA PRIVATE KEY", "DSA PARAMETERS":
		algorithm, _, _ := strings.Cut(blockType, " ")
		return finding.WithHint(fmt.Errorf("this is a key of type %s, which cannot sign DKIM", algorithm),
			"use RSA or Ed25519")
	case "OPENSSH PRIVATE KEY":
		return finding.WithHint(errors.New("this is a key of OpenSSH"),
			"make one with signpost keygen")
	}
	return finding.WithHint(fmt.Errorf("this is a PEM block of type %q", blockType), advice)
}

// notPEM says what a file is that has no whole PEM block.
func notPEM(data []byte) error {
	has := func(s string) bool { return bytes.Contains(data, []byte(s)) }
	switch {
	case has("-----BEGIN ") && !has("-----END "):
		return errors.New("no whole PEM block of a private key found: it has no END line, so the file is cut off")
	case has("v=DKIM1") || has("._domainkey"):
		return finding.WithHint(errors.New("this is a DNS record"), "the private key belongs here")
	case bytes.HasPrefix(data, []byte("ssh-")):
		return finding.WithHint(errors.New("this is a public key of OpenSSH"),
			"the private key belongs here")
	case len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80:
		return finding.WithHint(errors.New("no PEM block found, but DER"),
			"turn it into PEM with openssl pkey -inform der")
	}
	return errors.New("no whole PEM block of a private key found")
}
