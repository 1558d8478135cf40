package publish

import (
	"encoding/base64"
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/miekg/dns"
)

// Key is a shared key (TSIG, RFC 8945).
type Key struct {
	Name      string // as a domain name, with the final dot
	Algorithm string // likewise, such as "hmac-sha256."
	Secret    string // in base64
}

// ReadKey reads a key file as tsig-keygen of BIND and keymgr -t of Knot's clients
// write it: key "name" { algorithm hmac-sha256; secret "..."; };
func ReadKey(file string) (Key, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return Key{}, err
	}
	key, err := parseKey(string(data))
	if err != nil {
		return Key{}, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

func parseKey(text string) (Key, error) {
	const hint = "; hint: make one with tsig-keygen NAME"
	comments := regexp.MustCompile(`(?m)("[^"\n]*")|(^|[\s;{])(?:#|//).*$`) // base64 has slashes too
	shape := regexp.MustCompile(`^\s*key\s+"?([^\s"{]+)"?\s*\{([^}]*)\}\s*;?\s*$`)
	found := shape.FindStringSubmatch(comments.ReplaceAllString(text, "$1$2"))
	if found == nil {
		return Key{}, fmt.Errorf("it is no key of the form key \"NAME\" { algorithm ...; secret \"...\"; };%s", hint)
	}
	name, err := checkedName(found[1])
	if err != nil {
		return Key{}, err
	}
	key := Key{Name: name}
	for statement := range strings.SplitSeq(found[2], ";") {
		words := strings.Fields(statement)
		switch {
		case len(words) == 0:
		case len(words) == 2 && words[0] == "algorithm":
			key.Algorithm = strings.ToLower(dns.Fqdn(strings.Trim(words[1], `"`)))
		case len(words) == 2 && words[0] == "secret":
			key.Secret = strings.Trim(words[1], `"`)
		default:
			return Key{}, fmt.Errorf("%q is neither an algorithm nor a secret%s", strings.TrimSpace(statement), hint)
		}
	}
	switch key.Algorithm {
	case dns.HmacSHA256, dns.HmacSHA384, dns.HmacSHA512:
	default:
		return Key{}, fmt.Errorf("algorithm %q is none of hmac-sha256, hmac-sha384, hmac-sha512%s", strings.TrimSuffix(key.Algorithm, "."), hint)
	}
	if secret, err := base64.StdEncoding.DecodeString(key.Secret); err != nil || len(secret) == 0 {
		return Key{}, fmt.Errorf("the secret is not in base64%s", hint)
	}
	return key, nil
}

func checkedName(name string) (string, error) {
	if _, ok := dns.IsDomainName(name); !ok {
		return "", fmt.Errorf("%q is no name of a key", name)
	}
	return strings.ToLower(dns.Fqdn(name)), nil
}
