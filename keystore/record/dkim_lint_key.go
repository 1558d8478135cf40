package record

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// keyTag checks the tag that holds the key, and compares it with the wanted one.
func (l *dkimLinter) keyTag(text string, tags []Tag) {
	at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == "p" })
	if at < 0 {
		l.wrong(finding.Fault, "dkim-no-key", "it has no p=, where the key should be",
			"verifiers find no key, so "+keyFails)
		return
	}
	value := tags[at].Value
	if value == "" {
		l.wrong(finding.Fault, "dkim-revoked", "p= is empty: the key is revoked",
			"verifiers reject every signature with it")
		return
	}
	if strings.Contains(value, "-----") {
		l.wrong(finding.Fault, "dkim-pem", "the BEGIN and END lines of a key file stand in p=", unreadable)
		value = withoutPEM(value)
	}
	switch {
	case strings.ContainsAny(value, "\r\n"):
		l.wrong(finding.Warning, "dkim-line-end", "p= has line ends inside", "some verifiers cannot read the key")
	case strings.ContainsAny(value, whiteSpace):
		l.wrong(finding.Warning, "dkim-key-space", "p= has white space inside",
			"it is allowed, and some verifiers cannot read the key all the same")
	}
	value = spaceless(value)
	if len(l.key.PublicKey) > 0 && l.differs(text, value) {
		return
	}
	decoded, err := base64.StdEncoding.DecodeString(value)
	if err != nil {
		l.notBase64(value)
		return
	}
	l.public(decoded, keyTypeOf(tags))
}

func keyTypeOf(tags []Tag) string {
	for _, t := range tags {
		if t.Name == "k" {
			return t.Value
		}
	}
	return "rsa"
}

func withoutPEM(value string) string {
	for range 2 {
		if begin := strings.Index(value, "-----"); begin >= 0 {
			if end := strings.Index(value[begin+5:], "-----"); end >= 0 {
				value = value[:begin] + value[begin+5+end+5:]
			}
		}
	}
	return value
}

// differs compares p= with the wanted key and says how they differ. It returns
// false when they are the same, or when what is there is no key at all.
func (l *dkimLinter) differs(text, value string) bool {
	want := base64.StdEncoding.EncodeToString(l.key.PublicKey)
	if value == want {
		return false
	}
	decoded, err := base64.StdEncoding.DecodeString(value)
	published, wanted := classify(decoded), classify(l.key.PublicKey)
	if err == nil && bytes.Equal(published.public, wanted.public) {
		return false // in another form
	}
	if rest, cut := strings.CutPrefix(want, value); cut {
		if strings.Trim(rest, "=") == "" {
			l.wrong(finding.Fault, "dkim-not-base64",
				"p= is not base64: the \"=\" at its end is missing", "some verifiers cannot read the key")
			return true
		}
		what := fmt.Sprintf("p= is cut off after %d of %d characters", len(value), len(want))
		if len(text) == 255 {
			what += ": only the first 255 bytes of the record are there"
		}
		l.wrong(finding.Fault, "dkim-truncated", what, unreadable)
		return true
	}
	if n, first := unlike(value, want); n > 0 {
		what := fmt.Sprintf("p= is not quite the key: %d of %d characters differ, first number %d", n, len(want), first)
		if strings.EqualFold(value, want) {
			what = "p= has upper and lower case letters changed"
		}
		l.wrong(finding.Fault, "dkim-altered", what, unreadable)
		return true
	}
	switch relation := compare(value, want); relation {
	case reordered:
		l.wrong(finding.Fault, "dkim-split-order", "the parts of p= are published in the wrong order", unreadable)
		return true
	case partLost:
		l.wrong(finding.Fault, "dkim-part-lost",
			fmt.Sprintf("a part of p= is lost: %d characters are there, and the key has %d", len(value),
				len(want)), unreadable)
		return true
	case partTwice:
		l.wrong(finding.Fault, "dkim-part-twice", "a part of p= is there twice", unreadable)
		return true
	}
	switch {
	case seedOf(decoded, l.key.PublicKey):
		l.private()
	case err != nil || published.form == formNone || published.form == formPrivate:
		return false // it is no public key
	default:
		l.wrong(finding.Fault, "dkim-different",
			fmt.Sprintf("another key is published: %s, and the key file has %s", published, wanted),
			"every signature with the key in the file fails")
	}
	return true
}

// unlike returns in how many places two texts of one length differ, and the
// first of them, counted from 1. It returns 0 when there are too many for a slip.
func unlike(a, b string) (n, first int) {
	if len(a) != len(b) {
		return 0, 0
	}
	for i := range len(a) {
		if a[i] != b[i] {
			if n++; n == 1 {
				first = i + 1
			}
		}
	}
	if n > 4 && !strings.EqualFold(a, b) {
		return 0, 0
	}
	return n, first
}

func (l *dkimLinter) private() {
	l.add(finding.Fault, "dkim-private-key", "the private key is published",
		"everybody can sign in the name of the domain",
		"make a new key with \"signpost keygen\", publish its record, and remove this one")
}

func (l *dkimLinter) notBase64(value string) {
	what := "p= is not base64"
	switch at := strings.IndexFunc(value, func(c rune) bool { return !isBase64(c) }); {
	case at >= 0 && strings.ContainsAny(value[at:at+1], "-_"):
		what += fmt.Sprintf(": the %q in it is of another alphabet, for URLs", value[at])
	case at >= 0:
		what += fmt.Sprintf(": it has the character %q", value[at])
	case len(value)%4 != 0:
		what += fmt.Sprintf(": %d characters are not a multiple of 4, so it is cut off, or a \"=\" is missing",
			len(value))
	}
	l.wrong(finding.Fault, "dkim-not-base64", what, unreadable)
}

func isBase64(c rune) bool {
	return c < 0x80 && (isAlpha(byte(c)) || isDigit(byte(c)) || strings.ContainsRune("+/=", c))
}

// public checks the form, type and size of the key that is published.
func (l *dkimLinter) public(decoded []byte, keyType string) {
	key := classify(decoded)
	switch key.form {
	case formPrivate:
		l.private()
		return
	case formNone:
		l.wrong(finding.Fault, "dkim-not-a-key", "p= holds no public key: "+key.detail, unreadable)
		return
	case formPKCS1:
		l.wrong(finding.Fault, "dkim-pkcs1",
			"p= holds an RSAPublicKey (\"BEGIN RSA PUBLIC KEY\"), not a SubjectPublicKeyInfo",
			"many verifiers cannot read the key")
	case formEd25519SPKI:
		l.wrong(finding.Fault, "dkim-ed25519-spki",
			"p= holds the Ed25519 key as SubjectPublicKeyInfo, not as its 32 bytes (RFC 8463, section 4.2)", unreadable)
	}
	if (keyType == "rsa" || keyType == "ed25519") && keyType != key.keyType {
		what := fmt.Sprintf("k=%s, but p= holds a key of type %s", keyType, key.keyType)
		if key.keyType == "ed25519" {
			what = "k= is not ed25519, but p= holds a key of that type"
		}
		l.wrong(finding.Fault, "dkim-wrong-key-type", what, unreadable)
	}
	if key.keyType != "rsa" {
		return
	}
	newKey := "make a new key of 2048 bits with \"signpost keygen\", and publish its record"
	switch size := fmt.Sprintf("the RSA key has %d bits", key.bits); {
	case key.bits < 1024:
		l.add(finding.Fault, "dkim-short-key", size,
			"verifiers must not accept a key under 1024 bits (RFC 8301, section 3.2)", newKey)
	case key.bits < 2048:
		l.add(finding.Warning, "dkim-weak-key", size,
			"2048 are asked of signers (RFC 8301, section 3.2), and receivers begin to insist", newKey)
	case key.bits > 4096:
		l.add(finding.Warning, "dkim-large-key", size,
			"verifiers need not accept a key over 4096 bits (RFC 8301, section 3.2)", newKey)
	}
}
