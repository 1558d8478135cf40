package postfix

import (
	"slices"
	"strconv"
)

// Fate is what Postfix does to a message after the milter has signed it.
type Fate struct {
	// LineLimit is the length in bytes above which lines are broken; 0 for none.
	LineLimit int
	// Converts says that 8-bit content becomes quoted-printable or base64 where
	// the next hop does not offer 8BITMIME.
	Converts bool
	// Hides8BitMIME says that 8BITMIME is taken for not offered by any next hop,
	// or, with a map, by some.
	Hides8BitMIME bool
	// Rewrites are the settings that change header or body on delivery.
	Rewrites []Setting
	// ContentFilter is what the message is handed to after it was signed, ""
	// for nothing.
	ContentFilter string
	// Resigned says that a milter sees the message again after that filter.
	Resigned bool
}

// rewriting are the parameters of smtp(8) that change a message on delivery.
func rewriting() []string {
	return []string{
		"smtp_header_checks", "smtp_mime_header_checks", "smtp_nested_header_checks",
		"smtp_body_checks", "smtp_generic_maps",
	}
}

// Fate works out what becomes of mail that comes in by SMTP or sendmail(1) and
// leaves by SMTP. Of several smtp(8) services the worst counts.
func (c *Config) Fate() Fate {
	fate := Fate{}
	services := c.Commands("smtp")
	if len(services) == 0 {
		services = []Service{{}} // no master.cf: main.cf alone
	}
	for _, s := range services {
		// Anything but a number stops smtp(8), which is not for here.
		limit, err := strconv.Atoi(c.ValueIn(s, "smtp_line_length_limit"))
		if err == nil && limit > 0 && (fate.LineLimit == 0 || limit < fate.LineLimit) {
			fate.LineLimit = limit
		}
		fate.Converts = fate.Converts || !isYes(c.ValueIn(s, "disable_mime_output_conversion"))
		fate.Hides8BitMIME = fate.Hides8BitMIME || c.hides8BitMIME(s)
		for _, name := range rewriting() {
			setting := Setting{Name: name, Value: c.ValueIn(s, name)}
			if setting.Value != "" && !slices.Contains(fate.Rewrites, setting) {
				fate.Rewrites = append(fate.Rewrites, setting)
			}
		}
	}
	for _, s := range c.Filtered() {
		if c.signs(s) {
			fate.ContentFilter = c.ValueIn(s, "content_filter")
		}
	}
	fate.Resigned = fate.ContentFilter != "" && slices.ContainsFunc(c.Reinjected(), c.signs)
	return fate
}

// hides8BitMIME reports whether smtp(8) ignores an offer of 8BITMIME.
func (c *Config) hides8BitMIME(s Service) bool {
	return HasWord(c.ValueIn(s, "smtp_discard_ehlo_keywords"), "8bitmime") ||
		c.ValueIn(s, "smtp_discard_ehlo_keyword_address_maps") != ""
}
