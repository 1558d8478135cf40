package lint

import (
	"fmt"
	"path"
	"strings"

	"signpost/postfix"
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
			fix := fmt.Sprintf("in master.cf, line %d, set the fifth field of %s to n, or have signpostd listen in the queue directory and write\n%s",
				program.Line, program.Name, l.fix(s, name, "unix:signpost/milter"))
			if inside, ok := strings.CutPrefix(file, queue+"/"); ok {
				fix = l.fix(s, name, "unix:"+inside)
			}
			level := Warning // the socket may be there
			if strings.HasPrefix(file, queue+"/") || l.options.Milter != "" && parseMilter(l.options.Milter).socket(queue) == file {
				level = Fault
			}
			l.add(Finding{"postfix-chroot-socket", level, name, fmt.Sprintf("is %s, and %s runs chrooted in %s", m.address, program.Command, queue),
				"the socket is looked for at " + found + "; where it is not, the milter counts as down", fix})
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
// says, so that mail comes to the milter under another domain.
func (l *linter) mappings() {
	rewrites := ""
	for _, name := range []string{"masquerade_domains", "canonical_maps", "sender_canonical_maps"} {
		if l.config.Value(name) != "" {
			rewrites = name
		}
	}
	for _, s := range l.entrances() {
		list := l.config.ValueIn(s, "receive_override_options")
		if !l.has(l.milters(s)) {
			continue // a filter comes first
		}
		if rewrites != "" && postfix.HasWord(list, "no_address_mappings") {
			l.add(Finding{"postfix-no-mappings", Note, "receive_override_options", "has no_address_mappings, so " + rewrites + " does nothing for mail by " + s.String(),
				"From: keeps the domain that it came with, and is signed for that or not at all", "take no_address_mappings out of " + l.place(s, "receive_override_options")})
		}
		if l.config.Value("header_checks") != "" && postfix.HasWord(list, "no_header_body_checks") {
			l.add(Finding{"postfix-no-mappings", Note, "receive_override_options", "has no_header_body_checks, so header_checks does nothing for mail by " + s.String(),
				"what the checks should repair before signing is signed as it is", "take no_header_body_checks out of " + l.place(s, "receive_override_options")})
		}
	}
}

// bounces are made by Postfix itself and meet no milter by default.
func (l *linter) bounces() {
	classes := l.config.Value("internal_mail_filter_classes")
	if len(l.milters(l.pickup())) == 0 || postfix.HasWord(classes, "bounce") {
		return
	}
	effect := "a receiver that wants a signature on all mail does not take them; mind that they come from MAILER-DAEMON@$myorigin, which then needs a key"
	if myorigin := l.config.Value("myorigin"); myorigin != "" && !strings.Contains(myorigin, "$") {
		effect = strings.Replace(effect, "$myorigin", myorigin, 1)
	}
	fix := "internal_mail_filter_classes = bounce"
	if postfix.HasWord(classes, "notify") {
		fix += ", notify"
	}
	l.add(Finding{"postfix-bounces-unsigned", Note, "internal_mail_filter_classes", "bounces meet no milter, so they leave unsigned", effect, fix})
}

// filter looks at content filters, which hand mail back to Postfix.
func (l *linter) filter() {
	fate := l.config.Fate()
	switch {
	case fate.ContentFilter == "":
		return
	case fate.Resigned:
		for _, s := range l.config.Reinjected() {
			if l.has(l.milters(s)) {
				l.add(Finding{"postfix-filter-double", Warning, "content_filter", fmt.Sprintf("mail meets the milter before %s and again when it comes back by %s", fate.ContentFilter, s),
					"each message is signed twice, and what the filter changes breaks the first signature", inMaster(s, "receive_override_options=no_milters")})
			}
		}
	default:
		l.add(Finding{"postfix-filter-after", Note, "content_filter", "mail is signed before it goes through " + fate.ContentFilter,
			"what the filter changes in header or body breaks the signature",
			"leave smtpd_milters empty in main.cf, and in master.cf write -o smtpd_milters=" + l.wanted() + " under the smtpd that the filter hands mail back to"})
	}
}

// rewriting looks at what smtp(8) does to mail on delivery.
func (l *linter) rewriting() {
	effects := map[string]string{
		"smtp_generic_maps": "From:, To: and the other addresses are changed after signing, which breaks the signature; canonical_maps and masquerade_domains come before it",
		"smtp_body_checks":  "a line that they change breaks the signature; body_checks come before signing",
	}
	for _, r := range l.config.Fate().Rewrites {
		effect := effects[r.Name]
		if effect == "" {
			effect = "a field that they change, or drop, breaks the signature when it is a signed one; header_checks come before signing"
		}
		fix := map[string]string{"smtp_generic_maps": "canonical_maps = " + r.Value, "smtp_body_checks": "body_checks = " + r.Value}[r.Name]
		if fix == "" {
			fix = strings.TrimPrefix(r.Name, "smtp_") + " = " + r.Value
		}
		l.add(Finding{"postfix-rewrites-after", Warning, r.Name, "changes mail after signing: " + r.Shown(), effect, "take out " + r.Name + ", and where the change is wanted make it before signing\n" + fix})
	}
}

// lines looks at the length above which smtp(8) breaks lines.
func (l *linter) lines() {
	limit := l.config.Fate().LineLimit
	if limit == 0 {
		return
	}
	level := Note
	if limit < 998 { // RFC 5321, section 4.5.3.1.6
		level = Warning
	}
	l.add(Finding{"postfix-line-length", level, "smtp_line_length_limit", fmt.Sprintf("lines over %d bytes are broken after signing", limit),
		"the signature of such a message does not verify; programs should wrap lines or encode the body. With 0 they leave as they are, and some receivers refuse them",
		"smtp_line_length_limit = 0"})
}

// conversion looks at 8-bit mail on its way to next hops that take 7 bits.
func (l *linter) conversion() {
	fate := l.config.Fate()
	switch {
	case fate.Converts && fate.Hides8BitMIME:
		name := "smtp_discard_ehlo_keywords"
		if !postfix.HasWord(l.config.Value(name), "8bitmime") && l.config.Value("smtp_discard_ehlo_keyword_address_maps") != "" {
			name = "smtp_discard_ehlo_keyword_address_maps"
		}
		l.add(Finding{"postfix-8bitmime-hidden", Warning, name, "makes next hops look as if they took 7 bits only",
			"8-bit messages become quoted-printable after signing, which breaks the signature, unless the next hop offers SMTPUTF8", "disable_mime_output_conversion = yes"})
	case fate.Converts:
		l.add(Finding{"postfix-mime-conversion", Note, "disable_mime_output_conversion", "8-bit messages become quoted-printable after signing for a next hop without 8BITMIME",
			"their signature does not verify there; such hosts hardly exist any more", "disable_mime_output_conversion = yes"})
	}
}
