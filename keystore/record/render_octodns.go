package record

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// renderOctodns writes the zone file that the YamlProvider of octoDNS reads. It
// wants names and keys in order and ";" with a backslash. Long texts it splits
// itself. A name has all its records in one list.
func renderOctodns(zone string, records, outside []Record) (string, error) {
	for _, r := range records {
		// It takes quotation marks and backslashes for its own, and only ASCII.
		if at := strings.IndexFunc(r.Value, func(c rune) bool { return c == '"' || c == '\\' || c >= 0x80 }); at >= 0 {
			return "", fmt.Errorf("record of %s: octoDNS cannot hold %q", r.Name, r.Value[at:])
		}
	}
	all := sets(records)
	slices.SortStableFunc(all, func(a, b set) int {
		return cmp.Or(naturalOrder(octodnsName(a[0], zone), octodnsName(b[0], zone)), cmp.Compare(a[0].Type, b[0].Type))
	})
	var b strings.Builder
	b.WriteString("---\n")
	for i, s := range all {
		if i == 0 || all[i-1][0].Name != s[0].Name {
			fmt.Fprintf(&b, "%s:\n", yamlString(octodnsName(s[0], zone)))
		}
		if s[0].Shared() {
			comments(&b, "  #", "All TXT records of this name are one set: add the values of those it has already.")
		}
		for _, r := range s {
			comments(&b, "  #", r.Why)
		}
		fmt.Fprintf(&b, "  - ttl: %d\n    type: %s\n    values:\n", s[0].TTL, s[0].Type)
		for _, r := range s {
			if r.Type == "MX" {
				preference, host, _ := r.mx() // checked before
				fmt.Fprintf(&b, "      - exchange: %s\n        preference: %d\n", yamlString(strings.TrimSuffix(host, ".")+"."), preference)
				continue
			}
			fmt.Fprintf(&b, "      - %s\n", yamlString(strings.ReplaceAll(r.Value, ";", `\;`)))
		}
	}
	elsewhere(&b, "#", outside)
	return b.String(), nil
}

func octodnsName(r Record, zone string) string {
	if host := r.Host(zone); host != "@" {
		return host
	}
	return ""
}

// yamlString quotes text so that nothing in it is special.
func yamlString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// naturalOrder compares runs of digits by their value, all else by byte, and
// has digits first.
func naturalOrder(a, b string) int {
	for a != "" && b != "" {
		x, y := digits(a), digits(b)
		if x == "" || y == "" {
			if order := cmp.Or(cmp.Compare(len(y), len(x)), cmp.Compare(a[0], b[0])); order != 0 {
				return order
			}
			a, b = a[1:], b[1:]
			continue
		}
		m, n := strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
		if order := cmp.Or(cmp.Compare(len(m), len(n)), cmp.Compare(m, n)); order != 0 {
			return order
		}
		a, b = a[len(x):], b[len(y):]
	}
	return cmp.Compare(len(a), len(b))
}

// digits returns those that s begins with.
func digits(s string) string {
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}
