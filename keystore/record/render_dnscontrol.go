package record

import (
	"fmt"
	"strings"
)

// renderDNSControl writes an addition to dnsconfig.js, below the D() of the
// zone. DNSControl splits long texts itself: AUTOSPLIT does nothing since
// version 4. Other records of the same names stand in D() and stay.
func renderDNSControl(zone string, records, outside []Record) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "D_EXTEND(%q,\n", zone)
	for i, r := range records {
		comments(&b, "  //", r.Why)
		host, err := jsonString(r.Host(zone))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "  %s(%s, ", r.Type, host)
		value := r.Value
		if r.Type == "MX" {
			var preference int
			preference, value, _ = r.mx() // checked before
			fmt.Fprintf(&b, "%d, ", preference)
			value = strings.TrimSuffix(value, ".") + "."
		}
		text, err := jsonString(value)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s, TTL(%d))", text, r.TTL)
		if i < len(records)-1 {
			b.WriteByte(',')
		}
		b.WriteByte('\n')
	}
	b.WriteString(");\n")
	elsewhere(&b, "//", outside)
	return b.String(), nil
}
