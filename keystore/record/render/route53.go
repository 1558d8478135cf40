package render

import (
	"fmt"
	"strings"
)

const route53Hint = "then put their values beside the new one in ResourceRecords, and UPSERT for CREATE"

// renderRoute53 writes a batch for "aws route53 change-resource-record-sets
// --change-batch file://...". It succeeds or fails as a whole. UPSERT replaces
// all records of a name and type, so shared names get CREATE, which fails
// where it would.
func renderRoute53(records []Record) (string, error) {
	type value struct {
		Value string
	}
	type recordSet struct {
		Name            string
		Type            string
		TTL             int
		ResourceRecords []value
	}
	type change struct {
		Action            string
		ResourceRecordSet recordSet
	}
	changes := []change{}
	comment := "SPF, DKIM and DMARC"
	for _, s := range sets(records) {
		c := change{"UPSERT", recordSet{Name: s[0].Name + ".", Type: s[0].Type, TTL: s[0].TTL}}
		if s[0].Shared() {
			c.Action = "CREATE"
			comment = "CREATE fails where TXT records are there already: " + route53Hint
		}
		for _, r := range s {
			c.ResourceRecordSet.ResourceRecords = append(c.ResourceRecordSet.ResourceRecords, value{route53Data(r)})
		}
		changes = append(changes, c)
	}
	return indented(struct {
		Comment string
		Changes []change
	}{comment, changes})
}

func route53Data(r Record) string {
	if r.Type == "MX" {
		return mxData(r)
	}
	return r.quoted(route53Escape)
}

// route53Escape is octal, unlike that of master files.
func route53Escape(c byte) string { return fmt.Sprintf(`\%03o`, c) }

// route53Inner is for those who put the outer quotation marks themselves.
func route53Inner(r Record) string {
	if r.Type == "MX" {
		return mxData(r)
	}
	var inner []string
	for _, s := range r.strings() {
		inner = append(inner, escaped(s, route53Escape))
	}
	return strings.Join(inner, `""`)
}
