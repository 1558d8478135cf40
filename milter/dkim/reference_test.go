package dkim

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// This is a second implementation, for tests: the words of RFC 6376 turned
// into code in the most obvious way, with the whole message in memory. It
// shares nothing with the package.

var (
	refBlanks    = regexp.MustCompile(`[ \t]+`)
	refSignature = regexp.MustCompile(`(;[ \t\r\n]*b[ \t\r\n]*=)[^;]*`)
)

// refBody is sections 3.4.3 and 3.4.4.
func refBody(c Canonicalization, body []byte) []byte {
	s := string(body)
	if c == Simple {
		// "converts *CRLF at the end of the body to a single CRLF"
		for strings.HasSuffix(s, "\r\n") {
			s = strings.TrimSuffix(s, "\r\n")
		}
		return []byte(s + "\r\n")
	}
	lines := strings.Split(s, "\r\n")
	for i, line := range lines {
		// "Ignore all whitespace at the end of lines", "Reduce all sequences
		// of WSP within a line to a single SP character."
		lines[i] = strings.TrimSuffix(refBlanks.ReplaceAllString(line, " "), " ")
	}
	// "Ignore all empty lines at the end of the message body."
	for len(lines) > 0 && lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	// "If the body is non-empty but does not end with a CRLF, a CRLF is added."
	if len(lines) == 0 {
		return nil
	}
	return []byte(strings.Join(lines, "\r\n") + "\r\n")
}

// refField is sections 3.4.1 and 3.4.2, without the final CRLF.
func refField(c Canonicalization, f Field) string {
	value := strings.ReplaceAll(strings.ReplaceAll(f.Value, "\r\n", "\n"), "\n", "\r\n")
	if c == Simple {
		return f.Name + ":" + value
	}
	name := strings.TrimRight(f.Name, " \t")
	for c := 'A'; c <= 'Z'; c++ {
		name = strings.ReplaceAll(name, string(c), string(c+'a'-'A'))
	}
	value = strings.ReplaceAll(value, "\r\n", "")
	value = refBlanks.ReplaceAllString(value, " ")
	return name + ":" + strings.Trim(value, " ")
}

// refVerify verifies the signature in value, the last step included.
func refVerify(header []Field, body []byte, value string, key crypto.PublicKey) error {
	tags := map[string]string{}
	for _, tag := range strings.Split(value, ";") {
		name, v, _ := strings.Cut(tag, "=")
		tags[strings.TrimSpace(name)] = strings.Join(strings.Fields(v), "")
	}
	h, b, err := ParseCanonicalization(tags["c"])
	if err != nil {
		return err
	}
	if want := sha256.Sum256(refBody(b, body)); tags["bh"] != base64.StdEncoding.EncodeToString(want[:]) {
		return errors.New("the body hash differs")
	}
	var hashed bytes.Buffer
	used := make([]bool, len(header))
	for _, name := range strings.Split(tags["h"], ":") {
		for i := len(header) - 1; i >= 0; i-- {
			if !used[i] && strings.EqualFold(strings.TrimRight(header[i].Name, " \t"), name) {
				used[i] = true
				hashed.WriteString(refField(h, header[i]) + "\r\n")
				break
			}
		}
	}
	hashed.WriteString(refField(h, Field{"DKIM-Signature", refSignature.ReplaceAllString(value, "$1")}))
	digest := sha256.Sum256(hashed.Bytes())
	sig, err := base64.StdEncoding.DecodeString(tags["b"])
	if err != nil {
		return err
	}
	switch key := key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], sig)
	case ed25519.PublicKey:
		if !ed25519.Verify(key, digest[:], sig) {
			return errors.New("the signature differs")
		}
		return nil
	}
	return fmt.Errorf("key of type %T", key)
}
