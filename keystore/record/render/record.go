package render

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// Record is one resource record to publish.
type Record struct {
	Name string // absolute, A-labels, without final dot
	Type string // "TXT" or "MX"
	// Value is of a TXT record the text, neither quoted nor split, and of an MX
	// record preference and host, such as "0 .".
	Value string
	Why   string // for people, one line
	TTL   int    // seconds
}

// strings returns the text of a TXT record cut into character-strings.
func (r Record) strings() record.TXT { return record.NewTXT(r.Value) }

// In reports whether the record belongs to a zone, by its name.
func (r Record) In(zone string) bool {
	return r.Name == zone || strings.HasSuffix(r.Name, "."+zone)
}

// Host returns the name as it is written inside of a zone: without the zone's
// own name, and "@" for that alone. Names of other zones come back whole.
func (r Record) Host(zone string) string {
	if r.Name == zone {
		return "@"
	}
	return strings.TrimSuffix(r.Name, "."+zone)
}

// Shared reports whether TXT records of others, such as the proofs of ownership
// that sites ask for, are to be expected at the same name. Names with an
// underscore are made for one purpose (RFC 8552).
func (r Record) Shared() bool {
	return r.Type == "TXT" && !strings.HasPrefix(r.Name, "_") && !strings.Contains(r.Name, "._")
}

// mx returns the preference and the host of an MX record.
func (r Record) mx() (preference int, host string, err error) {
	number, host, _ := strings.Cut(r.Value, " ")
	parsed, err := strconv.ParseUint(number, 10, 16)
	if err == nil && host != "." { // RFC 7505, section 3
		err = checkOwner(strings.TrimSuffix(host, "."))
	}
	if err != nil {
		return 0, "", finding.WithHint(fmt.Errorf("MX record of %s: invalid preference and host %q", r.Name, r.Value),
			`give it as "10 mx.example.org"`)
	}
	return int(parsed), host, nil
}

// check lets through what every format can hold.
func (r Record) check() error {
	if err := checkOwner(r.Name); err != nil {
		return fmt.Errorf("record name %q: %w", r.Name, err)
	}
	if r.TTL < 0 || r.TTL > 1<<31-1 {
		return fmt.Errorf("TTL of %s: %d seconds is not between 0 and 2147483647 (RFC 2181, section 8)", r.Name, r.TTL)
	}
	// Two bytes give the length of the data, and each string has one of its own.
	if most := 65535 * record.MaxString / (record.MaxString + utf8.UTFMax); len(r.Value) > most {
		return fmt.Errorf("record of %s: %d bytes are too many: %d is the most", r.Name, len(r.Value), most)
	}
	if r.Value == "" {
		return fmt.Errorf("record of %s: its text is empty", r.Name)
	}
	if !utf8.ValidString(r.Value) {
		return fmt.Errorf("record of %s: its text is not UTF-8", r.Name)
	}
	if at := strings.IndexFunc(r.Value, unicode.IsControl); at >= 0 {
		return fmt.Errorf("record of %s: control character %q in its text", r.Name, r.Value[at:at+1])
	}
	switch r.Type {
	case "TXT":
		return nil
	case "MX":
		_, _, err := r.mx()
		return err
	}
	return fmt.Errorf("record of %s: type %q is neither TXT nor MX", r.Name, r.Type)
}

// checkOwner lets through names that need no escapes in any format.
func checkOwner(name string) error {
	return record.EachLabel(name, func(label string) error {
		for _, c := range label {
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '*' && label == "*") {
				return fmt.Errorf("character %q is not allowed", c)
			}
		}
		return nil
	})
}
