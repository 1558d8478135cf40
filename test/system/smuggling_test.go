package system

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

// TestSmuggling proves what smtpd_forbid_bare_newline is for: without it a
// client hides a message in another one (CVE-2023-51764).
func TestSmuggling(t *testing.T) {
	t.Parallel()
	const name = "smtpd_forbid_bare_newline"
	for settings, smuggled := range map[string]bool{
		name + " = no|" + name + "_exclusions =":                  true,
		name + " = yes|" + name + "_exclusions =":                 false,
		name + " = normalize|" + name + "_exclusions =":           false,
		name + " = normalize|" + name + "_exclusions = 0.0.0.0/0": true,
	} {
		t.Run(settings, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			p := w.startPostfix("", strings.Split(settings, "|")...)
			c, err := p.dial()
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if err := c.open("a@example.org", []string{"reader@rcpt.test"}); err != nil {
				t.Fatal(err)
			}
			outer, inner := string(letter("a@example.org", "outer")), string(letter("chief@example.org", "inner"))
			io.WriteString(c.W, outer+"text\n.\r\nMAIL FROM:<chief@example.org>\r\nRCPT TO:<reader@rcpt.test>\r\nDATA\r\n"+inner+".\r\n")
			if err := c.W.Flush(); err != nil {
				t.Fatal(err)
			}
			w.awaitDelivery("outer")
			if smuggled {
				w.awaitDelivery("inner")
			}
			for _, d := range w.sink.All() {
				if alone := subject(d.Data) == "inner"; alone && !smuggled {
					t.Errorf("smuggled: %s", fmt.Sprint(d.From))
				}
			}
		})
	}
}

// TestBounces: a bounce meets the milter only when internal_mail_filter_classes
// says so, and then needs a key for the domain of its sender.
func TestBounces(t *testing.T) {
	t.Parallel()
	for classes, want := range map[string]string{"": unsigned, "bounce": good, "notify": unsigned} {
		t.Run(classes, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.addKey("rsa", "mta.test.private", rsaSignature("mta.test", "mail"))
			w.startDaemon()
			p := w.startPostfix(w.milterAddr(), "internal_mail_filter_classes = "+classes)
			p.mustSubmit("reader@rcpt.test", "nobody@nowhere.test", letter("a@example.org", "x"))
			const mark = "Undelivered Mail Returned to Sender"
			await(t, "the bounce", func() bool { return len(w.sink.Find(mark)) > 0 })
			if got := w.fate(w.sink.Find(mark)[0].Data); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
}
