package record

import (
	"fmt"
	"slices"
	"strings"
)

// Formats returns the names of the formats that Render knows.
func Formats() []string {
	return []string{"table", "zone", "line", "json", "nsupdate", "cloudflare", "route53",
		"terraform", "terraform-route53", "octodns", "dnscontrol"}
}

// Render returns records as text in a format, for the zone they are published
// in. Records of other zones are set apart in comments, or left out where the
// format has none: see Elsewhere.
func Render(format, zone string, records []Record) (string, error) {
	if err := checkOwner(zone); err != nil {
		return "", fmt.Errorf("zone %q: %w", zone, err)
	}
	for _, r := range records {
		if err := r.check(); err != nil {
			return "", err
		}
	}
	outside := Elsewhere(zone, records)
	records = slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return !r.In(zone) })
	switch format {
	case "table":
		return renderTable(zone, records, outside), nil
	case "zone":
		return renderZone(zone, records, outside), nil
	case "line":
		return renderLine(zone, records, outside), nil
	case "json":
		return renderJSON(zone, records, outside)
	case "nsupdate":
		return renderNsupdate(zone, records, outside), nil
	case "cloudflare":
		return renderCloudflare(records)
	case "route53":
		return renderRoute53(records)
	case "terraform":
		return renderTerraform(zone, records, outside)
	case "terraform-route53":
		return renderTerraformRoute53(zone, records, outside)
	case "octodns":
		return renderOctodns(zone, records, outside)
	case "dnscontrol":
		return renderDNSControl(zone, records, outside)
	}
	return "", fmt.Errorf("%q is no format; hint: it is one of %s", format, strings.Join(Formats(), ", "))
}

// Elsewhere returns the records that another zone must publish.
func Elsewhere(zone string, records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.In(zone) })
}

// Caution returns what a format would do to records that are there already, and
// what to do about it after "; hint: ". It is empty where nothing is to be feared.
func Caution(format string, records []Record) string {
	at := slices.IndexFunc(records, Record.Shared)
	if at < 0 && format != "cloudflare" {
		return ""
	}
	switch format {
	case "nsupdate":
		return fmt.Sprintf("an older SPF record of %s is not taken out; hint: %s", records[at].Name, nsupdateHint(records[at].Name))
	case "cloudflare":
		return "the batch adds records and replaces none; hint: delete older SPF, DKIM and DMARC records of the same names first"
	case "route53":
		return fmt.Sprintf("the batch fails if %s has TXT records already; hint: %s", records[at].Name, route53Hint)
	case "terraform-route53", "octodns":
		return fmt.Sprintf("all TXT records of %s are one set; hint: add the values of those it has already to the list", records[at].Name)
	}
	return ""
}

// set is what some formats take as one: all records of one name and type.
type set []Record

// sets gathers records by name and type, in the order of the first of each.
func sets(records []Record) []set {
	var all []set
	for _, r := range records {
		at := slices.IndexFunc(all, func(s set) bool { return s[0].Name == r.Name && s[0].Type == r.Type })
		if at < 0 {
			all = append(all, set{r})
		} else {
			all[at] = append(all[at], r)
		}
	}
	return all
}

// comments puts text, line by line, behind the sign for comments of a format.
func comments(b *strings.Builder, sign, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" {
			fmt.Fprintf(b, "%s %s\n", sign, line)
		}
	}
}

// elsewhere sets records of other zones apart, as comments.
func elsewhere(b *strings.Builder, sign string, outside []Record) {
	for _, r := range outside {
		b.WriteByte('\n')
		comments(b, sign, "For another zone, to be published by those who run it:\n"+r.Why)
		fmt.Fprintf(b, "%s %s\n", sign, r.master(r.Name+"."))
	}
}
