package system

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// A signature names one DKIM-Signature of a message.
type signature struct{ domain, selector, algorithm string }

func (s signature) String() string {
	return s.selector + "._domainkey." + s.domain + " " + s.algorithm
}

func rsaSignature(domain, selector string) signature {
	return signature{domain, selector, "rsa-sha256"}
}

func ed25519Signature(domain, selector string) signature {
	return signature{domain, selector, "ed25519-sha256"}
}

// A signatureField is one DKIM-Signature header field: message[start:end].
type signatureField struct {
	signature
	start, end int
}

// signatureFields finds the DKIM-Signature fields of a message, top down.
func signatureFields(message []byte) []signatureField {
	header, _, _ := bytes.Cut(message, []byte("\r\n\r\n"))
	header = append(header[:len(header):len(header)], "\r\n"...)
	field := regexp.MustCompile(`(?im)^DKIM-Signature[ \t]*:.*\r\n(?:[ \t].*\r\n)*`)
	var fields []signatureField
	for _, at := range field.FindAllIndex(header, -1) {
		text := header[at[0]:at[1]]
		fields = append(fields, signatureField{
			signature: signature{tag(text, "d"), tag(text, "s"), tag(text, "a")},
			start:     at[0], end: at[1],
		})
	}
	return fields
}

// signatures names the signatures of a message, sorted.
func signatures(message []byte) []signature {
	var all []signature
	for _, field := range signatureFields(message) {
		all = append(all, field.signature)
	}
	slices.SortFunc(all, compareSignatures)
	return all
}

// tag is the value of a tag of a DKIM-Signature field, white space left out.
func tag(field []byte, name string) string {
	_, value, _ := bytes.Cut(field, []byte(":"))
	for piece := range bytes.SplitSeq(value, []byte(";")) {
		key, val, _ := strings.Cut(strings.Join(strings.Fields(string(piece)), ""), "=")
		if key == name {
			return val
		}
	}
	return ""
}

func compareSignatures(a, b signature) int { return cmp.Compare(a.String(), b.String()) }
