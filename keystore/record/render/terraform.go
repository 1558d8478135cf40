package render

import (
	"fmt"
	"strconv"
	"strings"
)

// renderTerraform writes resources of the provider cloudflare/cloudflare, from
// version 5 on. Each is one record, so they leave others at the same name alone.
func renderTerraform(zone string, records, outside []Record) (string, error) {
	variable := "zone_id_" + identifier(zone)
	var b strings.Builder
	fmt.Fprintf(&b, "variable \"%s\" {\n  description = \"ID of the zone %s at Cloudflare\"\n  "+
		"type        = string\n}\n", variable, zone)
	labels := make(map[string]bool)
	for _, r := range records {
		if err := cloudflareTTL(r); err != nil {
			return "", err
		}
		attributes := []attribute{
			{"zone_id", "var." + variable},
			{"name", hclString(r.Name)},
			{"type", hclString(r.Type)},
			{"content", hclString(cloudflareContent(r))},
			{"ttl", strconv.Itoa(r.TTL)},
		}
		if r.Type == "MX" {
			preference, _, _ := r.mx() // checked before
			attributes = append(attributes, attribute{"priority", strconv.Itoa(preference)})
		}
		resource(&b, r.Why, "cloudflare_dns_record", label(r, labels), attributes)
	}
	elsewhere(&b, "#", outside)
	return b.String(), nil
}

// renderTerraformRoute53 writes resources of the provider hashicorp/aws. Each is
// all records of a name and type; it is not made where there are some already.
func renderTerraformRoute53(zone string, records, outside []Record) (string, error) {
	var b strings.Builder
	id := "zone_" + identifier(zone)
	fmt.Fprintf(&b, "data \"aws_route53_zone\" \"%s\" {\n  name = \"%s.\"\n}\n", id, zone)
	labels := make(map[string]bool)
	for _, s := range sets(records) {
		var values, why []string
		for _, r := range s {
			values = append(values, hclString(route53Inner(r)))
			why = append(why, r.Why)
		}
		if s[0].Shared() {
			why = append(why, "All TXT records of this name are one set: add the values of those "+
				"it has already to the list.")
		}
		resource(&b, strings.Join(why, "\n"), "aws_route53_record", label(s[0], labels), []attribute{
			{"zone_id", "data.aws_route53_zone." + id + ".zone_id"},
			{"name", hclString(s[0].Name)},
			{"type", hclString(s[0].Type)},
			{"ttl", strconv.Itoa(s[0].TTL)},
			{"records", "[" + strings.Join(values, ", ") + "]"},
		})
	}
	elsewhere(&b, "#", outside)
	return b.String(), nil
}

// attribute is a name and an expression.
type attribute struct{ name, value string }

// resource writes a block as "terraform fmt" would.
func resource(b *strings.Builder, why, kind, label string, attributes []attribute) {
	width := 0
	for _, a := range attributes {
		width = max(width, len(a.name))
	}
	b.WriteByte('\n')
	comments(b, "#", why)
	fmt.Fprintf(b, "resource \"%s\" \"%s\" {\n", kind, label)
	for _, a := range attributes {
		fmt.Fprintf(b, "  %-*s = %s\n", width, a.name, a.value)
	}
	b.WriteString("}\n")
}

// label names a resource after its record, and no two alike.
func label(r Record, taken map[string]bool) string {
	base := strings.ToLower(r.Type) + "_" + identifier(r.Name)
	name := base
	for i := 2; taken[name]; i++ {
		name = fmt.Sprintf("%s_%d", base, i)
	}
	taken[name] = true
	return name
}

func identifier(name string) string {
	return strings.NewReplacer(".", "_", "*", "any").Replace(name)
}

// hclString quotes text for HCL, where ${ and %{ begin templates: the macros of
// SPF look the same.
func hclString(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "${", "$${", "%{", "%%{").Replace(s) + `"`
}
