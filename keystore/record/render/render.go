// Package render writes records to publish as text: for people, as zone files, and
// as the input of DNS tools and providers.
package render

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// Formats returns the names of the formats.
func Formats() []string {
	return []string{"table", "zone", "line", "json", "nsupdate", "cloudflare", "route53",
		"terraform", "terraform-route53"}
}

// Records returns records as text in a format, for the zone they are published
// in. Records of other zones are set apart in comments, or left out where the
// format has none: see Elsewhere.
func Records(format, zone string, records []Record) (string, error) {
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
	}
	return "", CheckFormat(format)
}

// CheckFormat reports a format that does not exist.
func CheckFormat(format string) error {
	if slices.Contains(Formats(), format) {
		return nil
	}
	advice := map[string]string{
		"octodns": "octoDNS reads zone files: use --format zone, and the ZoneFileSource of " +
			"octodns-bind with check_origin: false",
		"dnscontrol": "dnsconfig.js can require() the file that --format json writes, " +
			"or use --format zone and \"dnscontrol get-zones --format=js\"",
	}[format]
	if advice == "" {
		advice = "it is one of " + strings.Join(Formats(), ", ")
		if meant := finding.Meant(format, Formats()); meant != "" {
			advice = "did you mean " + meant + "? " + advice
		}
	}
	return finding.WithHint(fmt.Errorf("unknown format %q", format), "%s", advice)
}

// Elsewhere returns the records that another zone must publish.
func Elsewhere(zone string, records []Record) []Record {
	return slices.DeleteFunc(slices.Clone(records), func(r Record) bool { return r.In(zone) })
}

// Caution returns what a format would do to records that are there already, with
// a hint, and nil where it harms none.
func Caution(format string, records []Record) error {
	at := slices.IndexFunc(records, Record.Shared)
	if at < 0 && format != "cloudflare" {
		return nil
	}
	switch format {
	case "nsupdate":
		return finding.WithHint(fmt.Errorf("an older SPF record of %s is not taken out", records[at].Name),
			"%s", nsupdateHint(records[at].Name))
	case "cloudflare":
		return finding.WithHint(errors.New("the batch adds records and replaces none"),
			"delete older SPF, DKIM and DMARC records of the same names first")
	case "route53":
		return finding.WithHint(fmt.Errorf("the batch fails if %s has TXT records already", records[at].Name),
			route53Hint)
	case "terraform-route53":
		return finding.WithHint(fmt.Errorf("all TXT records of %s are one set", records[at].Name),
			"add the values of those it has already to the list")
	}
	return nil
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
