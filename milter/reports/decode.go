package reports

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"signpost/keystore/report"
)

// decode undoes a content transfer encoding (RFC 2045, section 6), or none when the body is
// plainly not encoded so, or base64 when that was not said but is plain.
func decode(encoding string, body []byte) []byte {
	encoding, _, _ = strings.Cut(encoding, ";")
	encoding = strings.ToLower(strings.TrimSpace(encoding))
	start := bytes.TrimLeft(body, " \t\r\n")
	xml := bytes.HasPrefix(start, []byte("<")) &&
		report.Sniff(start[:min(len(start), report.SniffLen)]) == report.Aggregate
	switch {
	case isGzip(start), isZip(start), xml && encoding != "quoted-printable":
		return start
	case encoding == "base64":
		return decodeBase64(body)
	case encoding == "quoted-printable":
		return decodeQuoted(body)
	}
	// gzip, zip, "<?xml" and "<feedback" in base64
	for _, prefix := range []string{"H4sI", "UEsDB", "PD94bWwg", "PGZlZWRiYWNr"} {
		if bytes.HasPrefix(start, []byte(prefix)) {
			return decodeBase64(body)
		}
	}
	return body
}

// decodeBase64 ignores what is not of the alphabet (RFC 2045, section 6.8), and ends at padding:
// a mailing list may have added a footer.
func decodeBase64(body []byte) []byte {
	text := make([]byte, 0, len(body))
	for _, c := range body {
		if c == '=' {
			break
		}
		if c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '+' || c == '/' {
			text = append(text, c)
		}
	}
	if len(text)%4 == 1 {
		text = text[:len(text)-1]
	}
	n, _ := base64.RawStdEncoding.Decode(text, text)
	return text[:n]
}

// decodeQuoted leaves as it is what is not encoded by the rules.
func decodeQuoted(body []byte) []byte {
	text := make([]byte, 0, len(body))
	for line := range bytes.Lines(body) {
		content := bytes.TrimRight(line, " \t\r\n")
		soft := bytes.HasSuffix(content, []byte("="))
		content = bytes.TrimSuffix(content, []byte("="))
		for i := 0; i < len(content); i++ {
			if content[i] == '=' && i+2 < len(content) {
				var c [1]byte
				if _, err := hex.Decode(c[:], content[i+1:i+3]); err == nil {
					text = append(text, c[0])
					i += 2
					continue
				}
			}
			text = append(text, content[i])
		}
		if !soft && len(content) < len(line) {
			text = append(text, '\n')
		}
	}
	return text
}
