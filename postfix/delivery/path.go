package delivery

import (
	"slices"
	"strconv"

	"signpost/postfix"
)

// Path is what happens to a message on its way out, after the milter has signed
// it.
type Path struct {
	// LineLimit is the length in bytes above which lines are broken; 0 for none.
	LineLimit int
	// Converts says that 8-bit content becomes quoted-printable or base64 where
	// the next hop does not offer 8BITMIME.
	Converts bool
	// Hides8BitMIME says that an offer of 8BITMIME is ignored: that of any next hop,
	// or, with a map, of some.
	Hides8BitMIME bool
	// Rewrites are the settings that change header or body on delivery.
	Rewrites []postfix.Parameter
	// ContentFilter is what the message is handed to after it was signed, ""
	// for nothing.
	ContentFilter string
	// Resigned says that a milter sees the message again after that filter.
	Resigned bool
}

// rewriters are the parameters of smtp(8) that change a message on delivery.
func rewriters() []string {
	return []string{
		"smtp_header_checks", "smtp_mime_header_checks", "smtp_nested_header_checks",
		"smtp_body_checks", "smtp_generic_maps",
	}
}

// PathOf works out what a configuration does to mail that comes in by SMTP or
// sendmail(1) and leaves by SMTP. Of several smtp(8) services the worst counts.
func PathOf(c *postfix.Config) Path {
	path := Path{}
	services := c.Commands("smtp")
	if len(services) == 0 {
		services = []postfix.Service{{}} // no master.cf: main.cf alone
	}
	for _, s := range services {
		// Anything but a number stops smtp(8), which is not for here.
		limit, err := strconv.Atoi(c.ValueIn(s, "smtp_line_length_limit"))
		if err == nil && limit > 0 && (path.LineLimit == 0 || limit < path.LineLimit) {
			path.LineLimit = limit
		}
		path.Converts = path.Converts || !postfix.IsYes(c.ValueIn(s, "disable_mime_output_conversion"))
		path.Hides8BitMIME = path.Hides8BitMIME || hides8BitMIME(c, s)
		for _, name := range rewriters() {
			setting := postfix.Parameter{Name: name, Value: c.ValueIn(s, name)}
			if setting.Value != "" && !slices.Contains(path.Rewrites, setting) {
				path.Rewrites = append(path.Rewrites, setting)
			}
		}
	}
	for _, s := range Filtered(c) {
		if signs(c, s) {
			path.ContentFilter = c.ValueIn(s, "content_filter")
		}
	}
	back := Reinjected(c)
	if ReinjectedBySendmail(c) {
		back = c.Commands("pickup")
	}
	path.Resigned = path.ContentFilter != "" &&
		slices.ContainsFunc(back, func(s postfix.Service) bool { return signs(c, s) })
	return path
}

// hides8BitMIME reports whether smtp(8) ignores an offer of 8BITMIME.
func hides8BitMIME(c *postfix.Config, s postfix.Service) bool {
	return postfix.HasWord(c.ValueIn(s, "smtp_discard_ehlo_keywords"), "8bitmime") ||
		c.ValueIn(s, "smtp_discard_ehlo_keyword_address_maps") != ""
}
