package render

import (
	"fmt"
	"strings"
)

// renderZone writes a piece of a master file (RFC 1035, section 5).
func renderZone(zone string, records, outside []Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "$ORIGIN %s.\n", zone)
	for _, r := range records {
		comments(&b, ";", r.Why)
		b.WriteString(r.master(r.Host(zone)) + "\n")
	}
	elsewhere(&b, ";", outside)
	return b.String()
}

// master returns the record as one line of a master file.
func (r Record) master(owner string) string {
	return fmt.Sprintf("%s %d IN %s %s", owner, r.TTL, r.Type, r.data())
}

// data returns the data of the record as a master file has it. Names in it are
// absolute.
func (r Record) data() string {
	if r.Type == "MX" {
		return mxData(r)
	}
	return r.quoted(masterEscape)
}

func mxData(r Record) string {
	preference, host, _ := r.mx() // checked before
	return fmt.Sprintf("%d %s.", preference, strings.TrimSuffix(host, "."))
}

// quoted returns the strings of a TXT record, each in quotation marks.
func (r Record) quoted(escape func(byte) string) string {
	var quoted []string
	for _, s := range r.strings() {
		quoted = append(quoted, `"`+escaped(s, escape)+`"`)
	}
	return strings.Join(quoted, " ")
}

// escaped writes the bytes of a string that cannot stand for themselves between
// quotation marks.
func escaped(s string, escape func(byte) string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteString(`\` + string(c))
		case c < 0x20 || c >= 0x7f:
			b.WriteString(escape(c))
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// masterEscape is decimal (RFC 1035, section 5.1).
func masterEscape(c byte) string { return fmt.Sprintf(`\%03d`, c) }
