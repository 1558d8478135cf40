package system

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

// A relay that changes the header breaks the signature, as explain predicts. With the
// settings that it advises, pasted as they stand, the signature is good.
func TestRelayThatChangesTheHeader(t *testing.T) {
	t.Parallel()
	w, _ := newSigningWorld(t)
	const host = "email-smtp.eu-west-1.amazonaws.com"
	w.dns.Publish(t, "amazonaws.com", "email-smtp.eu-west-1 IN A "+w.net+".25\n")
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr(), "relayhost = ["+host+"]:25")
	// Amazon SES sets these two; Exchange, for one, adds MIME fields.
	replaces := func(message []byte) []byte {
		message = regexp.MustCompile(`(?m)^Message-ID: .*\r$`).ReplaceAll(message, []byte("Message-ID: <0102@eu-west-1.amazonses.com>\r"))
		return regexp.MustCompile(`(?m)^Date: .*\r$`).ReplaceAll(message, []byte("Date: Sun, 29 Nov 2026 10:00:00 +0000\r"))
	}
	adds := func(message []byte) []byte {
		return bytes.Replace(message, []byte("\r\n\r\n"), []byte("\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"), 1)
	}
	letter := func(id string) []byte {
		return lines("From: a@example.org", "To: reader@rcpt.test", "Subject: "+id, "Date: Mon, 02 Nov 2026 10:00:00 +0000", "Message-ID: <"+id+"@mta.test>", "", "Hello.")
	}
	send := func(id string) []byte {
		p.mustSubmit("a@example.org", "reader@rcpt.test", letter(id))
		return w.awaitDelivery(id)
	}

	arrived := send("default")
	if !w.arrivesGood(arrived) || w.arrivesGood(replaces(arrived)) || w.arrivesGood(adds(arrived)) {
		t.Error("each change should break the signature, and nothing else")
	}
	var pasted, flags []string
	seen := ""
	for _, f := range w.explain(letter("default"), "--postfix", p.Etc).Findings {
		seen += f.Code + "/" + f.Level + " "
		_, setting, _ := strings.Cut(f.Fix, "\n")
		pasted = append(pasted, setting)
		name, value, _ := strings.Cut(strings.TrimPrefix(setting, "SIGNPOST_"), "=")
		flags = append(flags, "--"+strings.ReplaceAll(strings.ToLower(name), "_", "-")+"="+value)
	}
	if seen != "path-field-missing/warning path-relay-replaces/fault " {
		t.Fatalf("explain says %s", seen)
	}

	d.cleanUp()
	w.startDaemon(pasted...)
	arrived = send("cured")
	if !w.arrivesGood(adds(replaces(arrived))) {
		t.Errorf("with %q the signature does not verify:\n%s", pasted, adds(replaces(arrived)))
	}
	for _, field := range signatureFields(arrived) {
		text := strings.ToLower(string(arrived[field.start:field.end]))
		if strings.Contains(text, "date") || strings.Contains(text, "message-id") {
			t.Errorf("signed all the same: %s", text)
		}
	}
	if left := w.explain(letter("cured"), append(flags, "--postfix", p.Etc)...).Findings; len(left) > 0 {
		t.Errorf("with %q explain still says %v", flags, left)
	}
}
