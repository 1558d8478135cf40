package postfix

import (
	"strings"

	"signpost/keystore"
)

// Origin is the domain of Postfix's own mail, as A-labels: that of myorigin, which may be the
// name of a file. known is false where the file cannot be read, or is on another machine, and
// where addresses are rewritten.
func (c *Config) Origin() (domain string, known bool) {
	for _, name := range []string{"masquerade_domains", "canonical_maps", "sender_canonical_maps"} {
		if c.Value(name) != "" {
			return "", false
		}
	}
	value := c.Value("myorigin")
	if strings.HasPrefix(value, "/") {
		if !c.complete {
			return "", false // who knows whose file it is
		}
		data, err := readFile(value)
		if err != nil {
			return "", false
		}
		value, _, _ = strings.Cut(string(data), "\n")
	}
	value = strings.ToLower(TrimSpace(value))
	if ascii, err := keystore.Domain(value); err == nil {
		return ascii, true
	}
	return value, value != "" && !strings.ContainsAny(value, "${} \t@")
}
