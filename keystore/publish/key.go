package publish

import (
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/miekg/dns"

	"signpost/keystore/finding"
)

// tsigKey is a shared key (TSIG, RFC 8945).
type tsigKey struct {
	name      string // as a domain name, with the final dot
	algorithm string // likewise, such as "hmac-sha256."
	secret    string // in base64
}

// readKey reads a key file as tsig-keygen of BIND and keymgr -t of Knot's clients
// write it: key "name" { algorithm hmac-sha256; secret "..."; };
func readKey(file string) (tsigKey, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return tsigKey{}, err
	}
	key, err := parseKey(string(data))
	if err != nil {
		return tsigKey{}, finding.WithHint(fmt.Errorf("%s: %w", file, err), "make one with tsig-keygen NAME")
	}
	return key, nil
}

func parseKey(text string) (tsigKey, error) {
	comments := regexp.MustCompile(`(?m)("[^"\n]*")|(^|[\s;{])(?:#|//).*$`) // base64 has slashes too
	shape := regexp.MustCompile(`^\s*key\s+"?([^\s"{]+)"?\s*\{([^}]*)\}\s*;?\s*$`)
	found := shape.FindStringSubmatch(comments.ReplaceAllString(text, "$1$2"))
	if found == nil {
		return tsigKey{}, errors.New(`not of the form key "NAME" { algorithm ...; secret "..."; };`)
	}
	name, err := absolute(found[1])
	if err != nil {
		return tsigKey{}, err
	}
	key := tsigKey{name: name}
	for statement := range strings.SplitSeq(found[2], ";") {
		words := strings.Fields(statement)
		switch {
		case len(words) == 0:
		case len(words) == 2 && words[0] == "algorithm":
			key.algorithm = strings.ToLower(dns.Fqdn(strings.Trim(words[1], `"`)))
		case len(words) == 2 && words[0] == "secret":
			key.secret = strings.Trim(words[1], `"`)
		default:
			return tsigKey{}, fmt.Errorf("%q is neither an algorithm nor a secret", strings.TrimSpace(statement))
		}
	}
	switch key.algorithm {
	case dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512:
	default:
		return tsigKey{}, fmt.Errorf("algorithm %q is none of hmac-sha256, hmac-sha384, hmac-sha512",
			strings.TrimSuffix(key.algorithm, "."))
	}
	if secret, err := base64.StdEncoding.DecodeString(key.secret); err != nil || len(secret) == 0 {
		return tsigKey{}, errors.New("the secret is not in base64")
	}
	return key, nil
}

// absolute returns a name in lower case, with the final dot.
func absolute(name string) (string, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return "", fmt.Errorf("invalid domain name %q", name)
	}
	return strings.ToLower(dns.Fqdn(name)), nil
}
