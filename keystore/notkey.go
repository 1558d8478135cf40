package keystore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// notPrivate says what a PEM block is that is no key to sign with.
func notPrivate(blockType string) error {
	const hint = "; hint: the private key belongs here"
	switch blockType {
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return errors.New("this is a public key" + hint)
	case "CERTIFICATE", "TRUSTED CERTIFICATE", "X509 CERTIFICATE":
		return errors.New("this is a certificate" + hint)
	case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
		return errors.New("this is a request for a certificate" + hint)
	case "EC PRIVATE KEY", "EC PARAMETERS", "DSA PRIVATE KEY", "DSA PARAMETERS":
		algorithm, _, _ := strings.Cut(blockType, " ")
		return fmt.Errorf("this is a key of type %s, which cannot sign DKIM; hint: use RSA or Ed25519", algorithm)
	case "OPENSSH PRIVATE KEY":
		return errors.New("this is a key of OpenSSH; hint: make one with signpost keygen")
	}
	return fmt.Errorf("this is a PEM block of type %q%s", blockType, hint)
}

// notPEM says what a file is that has no whole PEM block.
func notPEM(data []byte) error {
	has := func(s string) bool { return bytes.Contains(data, []byte(s)) }
	switch {
	case has("-----BEGIN ") && !has("-----END "):
		return errors.New("no whole PEM block of a private key found: it has no END line, so the file is cut off")
	case has("v=DKIM1") || has("._domainkey"):
		return errors.New("this is a DNS record; hint: the private key belongs here")
	case bytes.HasPrefix(data, []byte("ssh-")):
		return errors.New("this is a public key of OpenSSH; hint: the private key belongs here")
	case len(data) > 1 && data[0] == 0x30 && data[1] >= 0x80:
		return errors.New("no PEM block found, but DER; hint: turn it into PEM with openssl pkey -inform der")
	}
	return errors.New("no whole PEM block of a private key found")
}
