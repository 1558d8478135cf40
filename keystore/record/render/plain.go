package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// renderTable writes records for a reader. A key is too long for columns.
func renderTable(zone string, records, outside []Record) string {
	var b strings.Builder
	for i, r := range append(records, outside...) {
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "name   %s\n", r.Name)
		if r.In(zone) {
			fmt.Fprintf(&b, "host   %s   in the zone %s\n", r.Host(zone), zone)
		} else {
			b.WriteString("host   in another zone: to be published by those who run it\n")
		}
		fmt.Fprintf(&b, "type   %s\nvalue  %s\n", r.Type, r.Value)
		if r.Why != "" {
			fmt.Fprintf(&b, "why    %s\n", r.Why)
		}
	}
	return b.String()
}

// renderLine writes each value on a line of its own, to be pasted into a web
// form, below the names that such forms ask for.
func renderLine(zone string, records, outside []Record) string {
	var b strings.Builder
	for i, r := range append(records, outside...) {
		if i > 0 {
			b.WriteByte('\n')
		}
		if r.In(zone) {
			fmt.Fprintf(&b, "# host %s (whole name %s), ", r.Host(zone), r.Name)
		} else {
			fmt.Fprintf(&b, "# in another zone: whole name %s, ", r.Name)
		}
		value := r.Value
		if r.Type == "MX" {
			preference, host, _ := r.mx() // checked before
			fmt.Fprintf(&b, "priority %d, ", preference)
			value = host
		}
		fmt.Fprintf(&b, "type %s, TTL %d\n%s\n", r.Type, r.TTL, value)
	}
	return b.String()
}

// Object is a record for machines.
type Object struct {
	Zone    string   `json:"zone,omitempty"` // empty for records of zones not known
	Name    string   `json:"name"`           // absolute, without final dot
	Host    string   `json:"host,omitempty"` // relative to the zone; "@" for the zone itself
	Type    string   `json:"type"`
	TTL     int      `json:"ttl"`
	Value   string   `json:"value"`   // whole, as in Record
	Strings []string `json:"strings"` // of a TXT record: its value in pieces of at most 255 bytes
	Why     string   `json:"why"`
}

// Objects returns records for machines. Those of other zones have none.
func Objects(zone string, records []Record) []Object {
	objects := []Object{}
	for _, r := range records {
		o := Object{Name: r.Name, Type: r.Type, TTL: r.TTL, Value: r.Value, Strings: []string{}, Why: r.Why}
		if r.In(zone) {
			o.Zone, o.Host = zone, r.Host(zone)
		}
		if r.Type == "TXT" {
			o.Strings = r.strings()
		}
		objects = append(objects, o)
	}
	return objects
}

func renderJSON(zone string, records, outside []Record) (string, error) {
	return indented(struct {
		Records []Object `json:"records"`
	}{Objects(zone, append(records, outside...))})
}

// indented returns JSON with <, > and & as they are.
func indented(v any) (string, error) {
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	if err := out.Encode(v); err != nil {
		return "", fmt.Errorf("encoding records: %w", err)
	}
	return b.String(), nil
}
