package render

import (
	"fmt"
	"strings"
)

// renderNsupdate writes a dynamic update (RFC 2136) for nsupdate and knsupdate:
// all of it takes effect, or nothing. What stands at names that are ours alone
// is replaced; at shared names nothing is deleted, as a TXT record cannot be
// told from others by how it begins.
func renderNsupdate(zone string, records, outside []Record) string {
	var b strings.Builder
	fmt.Fprintf(&b, "zone %s.\n", zone)
	for _, s := range sets(records) {
		name := s[0].Name + "."
		if s[0].Shared() {
			comments(&b, ";", "What is at this name stays. Two SPF records are worse than none: "+
				"take an older one out with\n"+nsupdateHint(s[0].Name))
		} else {
			fmt.Fprintf(&b, "update delete %s %s\n", name, s[0].Type)
		}
		for _, r := range s {
			comments(&b, ";", r.Why)
			fmt.Fprintf(&b, "update add %s\n", r.master(name))
		}
	}
	b.WriteString("send\n")
	elsewhere(&b, ";", outside)
	return b.String()
}

func nsupdateHint(name string) string {
	return fmt.Sprintf(`update delete %s. TXT "v=spf1 ..." (its whole text)`, name)
}
