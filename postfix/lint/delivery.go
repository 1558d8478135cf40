package lint

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"signpost/keystore/finding"
	"signpost/postfix"
	"signpost/postfix/delivery"
)

// sockets finds unix sockets that a chrooted program cannot reach. An absolute
// path is then one below the queue directory.
func (l *linter) sockets() {
	queue := l.config.Value("queue_directory")
	l.eachList(func(s postfix.Service, name string, milters []milter) {
		program := s
		if s.Command == "pickup" {
			program = l.cleanup()
		}
		if !l.chrooted(program) {
			return
		}
		for _, m := range milters {
			kind, file, _ := strings.Cut(m.address, ":")
			if kind != "unix" && kind != "local" || !strings.HasPrefix(file, "/") {
				continue
			}
			found := path.Join(queue, file)
			fix := fmt.Sprintf("in master.cf, line %d, set the fifth field of %s to n, or have "+
				"signpostd listen in the queue directory and write\n%s",
				program.Line, program.Name, l.fix(s, name, "unix:signpost/milter"))
			if inside, ok := strings.CutPrefix(file, queue+"/"); ok {
				fix = l.fix(s, name, "unix:"+inside)
			}
			level := finding.Warning // the socket may be there
			if strings.HasPrefix(file, queue+"/") || l.signpostd != "" && parseMilter(l.signpostd).socket(queue) == file {
				level = finding.Fault
			}
			l.add(finding.Finding{Code: "postfix-chroot-socket", Level: level, Name: name,
				What: fmt.Sprintf("is %s, and %s runs chrooted in %s", m.address, program.Command, queue),
				Effect: "the socket is looked for at " + found + "; where it is not, the milter " +
					"counts as down",
				Fix: fix})
		}
	})
}

func (l *linter) cleanup() postfix.Service {
	for _, s := range l.config.Commands("cleanup") {
		if s.Name == "cleanup" {
			return s
		}
	}
	return postfix.Service{}
}

// chrooted: "-" means yes below compatibility level 1.
func (l *linter) chrooted(s postfix.Service) bool {
	old, err := l.config.Expand("${{$compatibility_level} <level {1}}")
	return s.Chroot == "y" || s.Chroot == "-" && err == nil && old != ""
}

// mappings finds entrances where addresses or headers are not rewritten as main.cf
// says, so that the milter sees another domain.
func (l *linter) mappings() {
	rewrites := ""
	for _, name := range []string{"masquerade_domains", "canonical_maps", "sender_canonical_maps"} {
		if l.config.Value(name) != "" {
			rewrites = name
		}
	}
	for _, s := range l.listeners() {
		list := l.config.ValueIn(s, "receive_override_options")
		if !l.has(l.milters(s)) {
			continue // a filter comes first
		}
		if rewrites != "" && postfix.HasWord(list, "no_address_mappings") {
			l.add(finding.Finding{Code: "postfix-no-mappings", Level: finding.Note, Name: "receive_override_options",
				What:   "has no_address_mappings, so " + rewrites + " does nothing for mail by " + s.String(),
				Effect: "From: keeps the domain that it came with, and is signed for that or not at all",
				Fix:    "take no_address_mappings out of " + l.place(s, "receive_override_options")})
		}
		if l.config.Value("header_checks") != "" && postfix.HasWord(list, "no_header_body_checks") {
			l.add(finding.Finding{Code: "postfix-no-mappings", Level: finding.Note, Name: "receive_override_options",
				What:   "has no_header_body_checks, so header_checks does nothing for mail by " + s.String(),
				Effect: "what the checks should repair before signing is signed as it is",
				Fix:    "take no_header_body_checks out of " + l.place(s, "receive_override_options")})
		}
	}
}

// filter looks at content filters, which hand mail back to Postfix.
func (l *linter) filter() {
	way := delivery.PathOf(l.config)
	switch {
	case way.ContentFilter == "":
		return
	case way.Resigned:
		twice := func(by, fix string) {
			l.add(finding.Finding{Code: "postfix-filter-double", Level: finding.Warning, Name: "content_filter",
				What:   fmt.Sprintf("mail meets the milter before %s and again when it comes back by %s", way.ContentFilter, by),
				Effect: "each message is signed twice, and what the filter changes breaks the first signature",
				Fix:    fix})
		}
		for _, s := range delivery.Reinjected(l.config) {
			if l.has(l.milters(s)) {
				twice(s.String(), inMaster(s, "receive_override_options=no_milters"))
			}
		}
		for _, s := range delivery.Filtered(l.config) {
			if delivery.ReinjectedBySendmail(l.config) && l.has(l.milters(l.pickup())) && l.has(l.milters(s)) {
				twice("sendmail(1)", inMaster(s, "smtpd_milters="+l.withoutSigner(s)))
			}
		}
	default:
		l.add(finding.Finding{Code: "postfix-filter-after", Level: finding.Note, Name: "content_filter",
			What:   "mail is signed before it goes through " + way.ContentFilter,
			Effect: "what the filter changes in header or body breaks the signature",
			Fix: "name signpostd nowhere but, in master.cf, under the smtpd that the filter hands mail " +
				"back to: -o smtpd_milters=" + l.wanted()})
	}
}

// withoutSigner are the milters of a service but for signpostd, as an option has them.
func (l *linter) withoutSigner(s postfix.Service) string {
	others := slices.DeleteFunc(l.milters(s), func(m milter) bool { return l.has([]milter{m}) })
	return strings.ReplaceAll(texts(others), ", ", ",")
}

// rewriting looks at what smtp(8) does to mail on delivery.
func (l *linter) rewriting() {
	effects := map[string]string{
		"smtp_generic_maps": "From:, To: and the other addresses are changed after signing, " +
			"which breaks the signature; canonical_maps and masquerade_domains come before it",
		"smtp_body_checks": "a line that they change breaks the signature; body_checks come before signing",
	}
	for _, r := range delivery.PathOf(l.config).Rewrites {
		effect := effects[r.Name]
		if effect == "" {
			effect = "a field that they change, or drop, breaks the signature when it is a " +
				"signed one; header_checks come before signing"
		}
		fix := map[string]string{
			"smtp_generic_maps": "canonical_maps = " + r.Value,
			"smtp_body_checks":  "body_checks = " + r.Value,
		}[r.Name]
		if fix == "" {
			fix = strings.TrimPrefix(r.Name, "smtp_") + " = " + r.Value
		}
		l.add(finding.Finding{Code: "postfix-rewrites-after", Level: finding.Warning, Name: r.Name,
			What:   "changes mail after signing: " + r.Shown(),
			Effect: effect,
			Fix:    "take out " + r.Name + ", and where the change is wanted make it before signing\n" + fix})
	}
}

// relay looks at what a relay host does to mail.
func (l *linter) relay() {
	signs := func(name string) bool {
		return slices.ContainsFunc(l.Fields, func(field string) bool { return strings.EqualFold(field, name) })
	}
	for _, f := range delivery.Replaced(l.config, signs) {
		f.Code = "postfix-relay-replaces"
		l.add(f)
	}
	if l.Also == "" {
		return
	}
	for _, f := range delivery.Refused(l.config, 2, "let the relay's own domain sign only where there is no other "+
		"signature\nSIGNPOST_ALSO_SIGN="+l.Also+"=without-key") {
		f.Code = "postfix-relay-refuses"
		f.What += ": that of the author domain and that of " + l.Also
		l.add(f)
	}
}

// lines looks at the length above which smtp(8) breaks lines.
func (l *linter) lines() {
	limit := delivery.PathOf(l.config).LineLimit
	if limit == 0 {
		return
	}
	level := finding.Note
	if limit < 998 { // RFC 5321, section 4.5.3.1.6
		level = finding.Warning
	}
	l.add(finding.Finding{Code: "postfix-line-length", Level: level, Name: "smtp_line_length_limit",
		What: fmt.Sprintf("lines over %d bytes are broken after signing", limit),
		Effect: "the signature of such a message does not verify; programs should wrap lines or " +
			"encode the body. With 0 they leave as they are, and some receivers refuse them",
		Fix: "smtp_line_length_limit = 0"})
}

// conversion looks at 8-bit mail on its way to next hops that take 7 bits.
func (l *linter) conversion() {
	way := delivery.PathOf(l.config)
	switch {
	case way.Converts && way.Hides8BitMIME:
		name := "smtp_discard_ehlo_keywords"
		if !postfix.HasWord(l.config.Value(name), "8bitmime") &&
			l.config.Value("smtp_discard_ehlo_keyword_address_maps") != "" {
			name = "smtp_discard_ehlo_keyword_address_maps"
		}
		l.add(finding.Finding{Code: "postfix-8bitmime-hidden", Level: finding.Warning, Name: name,
			What: "makes next hops look as if they took 7 bits only",
			Effect: "8-bit messages become quoted-printable after signing, which breaks the " +
				"signature, unless the next hop offers SMTPUTF8",
			Fix: "disable_mime_output_conversion = yes"})
	case way.Converts:
		l.add(finding.Finding{Code: "postfix-mime-conversion", Level: finding.Note, Name: "disable_mime_output_conversion",
			What:   "8-bit messages become quoted-printable after signing for a next hop without 8BITMIME",
			Effect: "their signature does not verify there; such hosts hardly exist any more",
			Fix:    "disable_mime_output_conversion = yes"})
	}
}
