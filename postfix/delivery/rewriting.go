package delivery

import (
	"context"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// rewriting says what the configuration changes after signing.
func (m Mail) rewriting(ctx context.Context, c *postfix.Config, path Path) []finding.Finding {
	var findings []finding.Finding
	for _, s := range path.Rewrites {
		findings = append(findings, m.table(ctx, c, s)...)
	}
	if value := c.Value("milter_header_checks"); value != "" {
		findings = append(findings, m.milterChecks(ctx, c, postfix.Parameter{Name: "milter_header_checks", Value: value})...)
	}
	if path.ContentFilter != "" {
		f := finding.Finding{Code: "path-content-filter", Level: finding.Warning, Name: "content_filter",
			What:   "Postfix hands the message to " + path.ContentFilter + " after signing (content_filter)",
			Effect: "if the filter changes a signed field or the body, the signature breaks",
			Fix: "let the milter see the message after the filter alone: " +
				"receive_override_options=no_milters before it"}
		if path.Resigned {
			f.Effect += "; when it comes back it is signed a second time"
			f.Fix = "set receive_override_options=no_milters in master.cf, before the filter or after it"
		}
		findings = append(findings, f)
	}
	return findings
}

// table judges one table that smtp(8) applies on delivery.
func (m Mail) table(ctx context.Context, c *postfix.Config, s postfix.Parameter) []finding.Finding {
	f := finding.Finding{Code: "path-rewriting", Name: s.Name,
		Fix: "rewrite before signing: with header_checks, body_checks or canonical_maps in place of " + s.Name}
	var changes []string
	known := true
	for _, table := range postfix.List(s.Value) {
		var found []string
		var ok bool
		switch s.Name {
		case "smtp_generic_maps":
			found, ok = m.genericHits(ctx, c, table)
		case "smtp_body_checks":
			found, ok = m.contentHits(ctx, c, table, "-bmq")
		case "smtp_header_checks":
			found, ok = m.headerHits(ctx, c, table)
		default: // the headers of MIME parts are in the body
			found, ok = m.contentHits(ctx, c, table, "-hmq")
		}
		changes, known = append(changes, found...), known && ok
	}
	switch {
	case len(changes) > 0:
		f.Level, f.Effect = finding.Fault, "the signature breaks"
		f.What = "Postfix changes " + strings.Join(changes, ", ") + " when it delivers, after signing (" + s.Shown() + ")"
	case !known:
		f.Level, f.What = finding.Warning, "Postfix may change the message when it delivers, "+
			"after signing ("+s.Shown()+"), and the table cannot be looked up"
		f.Effect = "if it changes a signed field or the body, the signature breaks"
	default:
		return nil
	}
	return []finding.Finding{f}
}

// milterChecks judges the table for fields that milters add.
func (m Mail) milterChecks(ctx context.Context, c *postfix.Config, s postfix.Parameter) []finding.Finding {
	for _, table := range postfix.List(s.Value) {
		for _, value := range m.Signatures {
			answers, known := query(ctx, c, table, "-hq", "DKIM-Signature:"+value+"\r\n\r\n")
			hit := slices.ContainsFunc(answers, func(a answer) bool {
				return a.changes() || a.action == "REJECT" || a.action == "DISCARD"
			})
			if !known || hit {
				f := finding.Finding{Code: "path-rewriting", Level: finding.Fault, Name: s.Name,
					What:   "Postfix changes the DKIM-Signature field that the milter adds (" + s.Shown() + ")",
					Effect: "the signature is lost", Fix: "let the table leave DKIM-Signature alone"}
				if !hit {
					f.Level, f.What = finding.Warning, "Postfix may change the DKIM-Signature "+
						"field that the milter adds ("+s.Shown()+"), and the table cannot be looked up"
				}
				return []finding.Finding{f}
			}
		}
	}
	return nil
}

func (m Mail) headerHits(ctx context.Context, c *postfix.Config, table string) (changes []string, known bool) {
	var text strings.Builder
	for _, f := range m.Header {
		fmt.Fprintf(&text, "%s:%s\n", f.Name, strings.ReplaceAll(f.Value, "\r\n", "\n"))
	}
	answers, known := query(ctx, c, table, "-hq", text.String()+"\n")
	for _, a := range answers {
		name, _, _ := strings.Cut(a.key, ":")
		if a.action == "PREPEND" {
			name, _, _ = strings.Cut(a.text, ":")
		}
		if a.changes() && m.signs(strings.TrimSpace(name)) && !slices.Contains(changes, name) {
			changes = append(changes, name)
		}
	}
	return changes, known
}

func (m Mail) contentHits(ctx context.Context, c *postfix.Config, table, mode string) (changes []string, known bool) {
	var header strings.Builder
	for _, f := range m.Header {
		if strings.HasPrefix(strings.ToLower(f.Name), "content-") || f.is("MIME-Version") {
			fmt.Fprintf(&header, "%s:%s\n", f.Name, strings.ReplaceAll(f.Value, "\r\n", "\n"))
		}
	}
	answers, known := query(ctx, c, table, mode, header.String()+"\n"+strings.ReplaceAll(string(m.Body), "\r\n", "\n"))
	for _, a := range answers {
		if a.changes() {
			return []string{fmt.Sprintf("the body (%q)", a.key)}, known
		}
	}
	return nil, known
}

// genericHits asks for the addresses of the header in the forms of generic(5).
func (m Mail) genericHits(ctx context.Context, c *postfix.Config, table string) (changes []string, known bool) {
	known = true
	for _, f := range m.Header {
		switch strings.ToLower(f.Name) {
		case "from", "sender", "reply-to", "to", "cc", "resent-from", "resent-sender", "resent-to", "resent-cc":
		default:
			continue
		}
		addresses, err := mail.ParseAddressList(strings.TrimSpace(f.Value))
		if err != nil || !m.signs(f.Name) {
			continue
		}
		var keys strings.Builder
		for _, address := range addresses {
			local, domain, _ := strings.Cut(address.Address, "@")
			fmt.Fprintf(&keys, "%s\n%s\n@%s\n", address.Address, local, domain)
		}
		answers, ok := query(ctx, c, table, "-q", keys.String())
		known = known && ok
		if len(answers) > 0 {
			changes = append(changes, f.Name)
		}
	}
	return changes, known
}
