package system

import (
	"bytes"
	"strings"
	"testing"
)

// What becomes of the signature of a message.
const (
	good     = "one good signature"
	broken   = "one signature that does not verify"
	unsigned = "no signature"
	twice    = "two good signatures"
)

// fate looks what has become of a signature of example.org.
func (w *world) fate(message []byte) string {
	w.t.Helper()
	fields := signatureFields(message)
	if len(fields) == 0 {
		return unsigned
	}
	passed, failed := 0, 0
	for _, v := range w.judge([][]byte{message}, w.verifiers()) {
		if v.result == "pass" {
			passed++
		} else {
			failed++
		}
	}
	switch {
	case len(fields) == 1 && failed == 0 && passed == 4:
		return good
	case len(fields) == 2 && failed == 0 && passed == 8:
		return twice
	case len(fields) == 1 && passed == 0 && failed == 4:
		return broken
	}
	w.t.Logf("%d signatures, %d verdicts pass, %d do not:\n%s", len(fields), passed, failed, start(message))
	return "something else"
}

// letterOf is a letter with its lines changed: each pair is an old text and a
// new one.
func letterOf(id string, pairs ...string) []byte {
	return []byte(strings.NewReplacer(pairs...).Replace(string(letter("a@example.org", id))))
}

// TestSettingsAfterSigning proves what `signpost postfix check` says of the
// settings of smtp(8), and that those of cleanup(8) come before the milter and
// do no harm.
func TestSettingsAfterSigning(t *testing.T) {
	t.Parallel()
	eightBit := letterOf("x", "Bye.", "Grüße.", "charset=utf-8", "charset=utf-8\r\nContent-Transfer-Encoding: 8bit")
	long := func(n int) []byte { return letterOf("x", "Bye.", strings.Repeat("y", n)) }
	nested := letterOf("x", "text/plain; charset=utf-8", "message/rfc822", "This is x.", "Subject: inner\r\n\r\ntext")
	tests := []struct {
		name     string
		settings []string
		message  []byte
		only7Bit bool
		want     string
		arrives  string // text that must be in the message
	}{
		{name: "stock", want: good},
		// On delivery, after the milter.
		{name: "smtp_header_checks", settings: []string{"smtp_header_checks = regexp:{{/^Subject:/ REPLACE Subject: changed}}"}, want: broken, arrives: "Subject: changed"},
		{name: "smtp_mime_header_checks", settings: []string{"smtp_mime_header_checks = regexp:{{/^Content-Type:/ REPLACE Content-Type: text/plain; charset=us-ascii}}"}, want: broken, arrives: "us-ascii"},
		{name: "smtp_nested_header_checks", settings: []string{"smtp_nested_header_checks = regexp:{{/^Subject:/ REPLACE Subject: changed}}"}, message: nested, want: broken, arrives: "Subject: changed"},
		{name: "smtp_body_checks", settings: []string{"smtp_body_checks = regexp:{{/^Bye/ REPLACE Buy}}"}, want: broken, arrives: "Buy"},
		{name: "smtp_generic_maps", settings: []string{"smtp_generic_maps = inline:{a@example.org=b@example.org}"}, want: broken, arrives: "<b@example.org>"},
		{name: "line of 998", message: long(998), want: good},
		{name: "line of 999", message: long(999), want: broken},
		{name: "short smtp_line_length_limit", settings: []string{"smtp_line_length_limit = 500"}, message: long(501), want: broken},
		{name: "no smtp_line_length_limit", settings: []string{"smtp_line_length_limit = 0"}, message: long(5000), want: good},
		{name: "8-bit", message: eightBit, want: good},
		{name: "8-bit to a 7-bit next hop", message: eightBit, only7Bit: true, want: broken, arrives: "quoted-printable"},
		{name: "disable_mime_output_conversion", settings: []string{"disable_mime_output_conversion = yes"}, message: eightBit, only7Bit: true, want: good},
		{name: "smtp_discard_ehlo_keywords", settings: []string{"smtp_discard_ehlo_keywords = 8BITMIME, smtputf8"}, message: eightBit, want: broken, arrives: "quoted-printable"},
		{name: "smtp_discard_ehlo_keyword_address_maps", settings: []string{"smtp_discard_ehlo_keyword_address_maps = static:{8bitmime smtputf8}"}, message: eightBit, want: broken},
		{name: "8bitmime discarded, SMTPUTF8 stands for it", settings: []string{"smtp_discard_ehlo_keywords = 8bitmime"}, message: eightBit, want: good},
		{name: "7-bit with 8bitmime discarded", settings: []string{"smtp_discard_ehlo_keywords = 8bitmime, smtputf8"}, want: good},
		// On the way in, before the milter.
		{name: "header_checks REPLACE", settings: []string{"header_checks = regexp:{{/^Subject:/ REPLACE Subject: changed}}"}, want: good, arrives: "Subject: changed"},
		{name: "header_checks PREPEND", settings: []string{"header_checks = regexp:{{/^Subject:/ PREPEND Reply-To: b@example.org}}"}, want: good, arrives: "Reply-To"},
		{name: "header_checks STRIP", settings: []string{"header_checks = regexp:{{/^MIME-Version:/ IGNORE}}"}, want: good},
		{name: "body_checks", settings: []string{"body_checks = regexp:{{/^Bye/ REPLACE Buy}}"}, want: good, arrives: "Buy"},
		{name: "canonical_maps", settings: []string{"canonical_maps = inline:{c@example.net=a@example.org}", "local_header_rewrite_clients = static:all"},
			message: letterOf("x", "a@example.org", "c@example.net"), want: good, arrives: "<a@example.org>"},
		{name: "masquerade_domains", settings: []string{"masquerade_domains = example.org", "local_header_rewrite_clients = static:all"},
			message: letterOf("x", "a@example.org", "a@host.example.org"), want: good, arrives: "<a@example.org>"},
		{name: "sender_canonical_maps", settings: []string{"sender_canonical_maps = static:a@example.org"},
			message: letterOf("x", "a@example.org", "c@example.net"), want: good, arrives: "<a@example.org>"},
		{name: "always_add_missing_headers", settings: []string{"always_add_missing_headers = yes"},
			message: letterOf("x", "Date: Mon, 02 Nov 2026 10:00:00 +0000\r\n", ""), want: good, arrives: "\nDate:"},
		{name: "message_drop_headers", settings: []string{"message_drop_headers = mime-version, dkim-signature"}, want: good},
		{name: "remote_header_rewrite_domain", settings: []string{"local_header_rewrite_clients =", "remote_header_rewrite_domain = example.org"},
			message: letterOf("x", "a@example.org", "a"), want: good, arrives: "<a@example.org>"},
		{name: "smtp_quote_rfc821_envelope", settings: []string{"smtp_quote_rfc821_envelope = no"}, want: good},
		// On what the milter adds.
		{name: "milter_header_checks", settings: []string{"milter_header_checks = regexp:{{/^DKIM-Signature:/ IGNORE}}"}, want: unsigned},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
			w.startDaemon()
			if test.only7Bit {
				w.sink.OfferSevenBit()
			}
			p := w.startPostfix(w.milterAddr(), test.settings...)
			message := test.message
			if message == nil {
				message = letter("a@example.org", "x")
			}
			p.mustSubmit("a@example.org", "reader@rcpt.test", message)
			got := w.awaitDelivery("x")
			if fate := w.fate(got); fate != test.want || !bytes.Contains(got, []byte(test.arrives)) {
				t.Errorf("%s, want %s with %q:\n%s", fate, test.want, test.arrives, start(got))
			}
		})
	}
}
