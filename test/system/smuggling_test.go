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
