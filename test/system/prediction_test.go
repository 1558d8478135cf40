package system

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A foretold is a message whose delivery is predicted.
type foretold struct {
	name  string
	data  []byte
	local bool // handed in by sendmail(1)
}

// foretellings is a table of messages made by rule: lines about the limit, with blanks
// where they matter, 8-bit content declared in every way, blanks before colons.
func foretellings() (all []foretold) {
	add := func(local bool, name, body string, fields ...string) {
		if local {
			name += "-local"
		}
		header := []string{"Message-ID: <" + name + "@mta.test>"}
		for _, usual := range []string{"From: A <a@example.org>", "To: reader@rcpt.test", "Date: Mon, 02 Nov 2026 10:00:00 +0000", "Subject: S"} {
			about, _, _ := strings.Cut(usual, ":")
			if !regexp.MustCompile(`(?im)^` + about + `\s*:`).MatchString(strings.Join(fields, "\n")) {
				header = append(header, usual)
			}
		}
		all = append(all, foretold{name, append(lines(append(header, fields...)...), "\r\n"+body...), local})
	}
	x := func(n int) string { return strings.Repeat("x", n) }
	blank := func(n int) string { return x(100) + strings.Repeat(" ", n-100) }
	for _, n := range []int{997, 998, 999, 1000, 1995, 1996, 2048, 2049} {
		id := func(name string) string { return fmt.Sprintf("%s-%d", name, n) }
		filled := func(name, with string) string { return (name + ": " + strings.Repeat(with, n))[:n] }
		add(false, id("body"), x(n)+"\r\nend\r\n")
		add(false, id("last"), "a\r\n"+x(n)+"\r\n")
		add(true, id("unended"), "a\r\n"+x(n))
		add(true, id("blanks-unended"), "a\r\n"+blank(n))
		add(false, id("blanks"), blank(n)+"\r\nend\r\n")
		add(false, id("blanks-last"), "a\r\n"+blank(n)+"\r\n \r\n\r\n")
		add(false, id("all-blank"), "a\r\n"+strings.Repeat("\t", n)+"\r\n")
		add(false, id("at-blank"), strings.Repeat("y z ", n)[:n]+"\r\nend\r\n")
		add(false, id("dots"), strings.Repeat(".", n)+"\r\nend\r\n")
		add(false, id("field"), "a\r\n", filled("Subject", "x"))
		add(false, id("field-words"), "a\r\n", filled("Subject", "y z "))
		add(false, id("field-triples"), "a\r\n", filled("Subject", "yy "))
		add(false, id("field-blanks"), "a\r\n", "Subject: "+blank(n-9))
		add(false, id("field-space-colon"), "a\r\n", "Subject : "+x(n-9))
		add(false, id("field-folded"), "a\r\n", "Subject: a\r\n "+x(n-1)+"\r\n b")
		add(false, id("field-unsigned"), "a\r\n", filled("X-Other", "Subject: "))
		add(false, id("addresses"), "a\r\n", "To: "+strings.Repeat("<a@example.org>, ", n/17)+"b@example.net")
		add(true, id("addresses-rewritten"), "a\r\n", "To: "+strings.Repeat("root, ", n/6)+"b@example.net")
	}
	const eight = "Gr\xc3\xbc\xc3\x9fe\r\n"
	part := func(header, body string) string { return "--b\r\n" + header + "\r\n\r\n" + body + "--b--\r\n" }
	const mixed, encoding = "Content-Type: multipart/mixed; boundary=b", "Content-Transfer-Encoding: "
	for i, how := range []string{
		"8bit", "8BIT", "binary", "8bit (comment)", "(c (d)) 8bit", "\"8bit\"", "8bit; x=y", "8bit\r\n (folded)", "\r\n 8bit", "Binary (x)",
		"7bit", "x-8bit", "(8bit) 7bit", "", "8bit, 7bit", "8-bit", "7bit (8bit)", "8bit x", "7bit\r\n" + encoding + "8bit", "8bit\r\n" + encoding + "7bit",
	} {
		id := func(name string) string { return fmt.Sprintf("%s-%d", name, i) }
		add(false, id("encoding"), eight, "Content-Type: text/plain; charset=utf-8", encoding+how)
		add(false, id("encoding-part"), part(encoding+how, eight), mixed)
		add(false, id("encoding-space-colon"), "ascii\r\n", strings.Replace(encoding, ":", " :", 1)+how)
	}
	for name, kind := range map[string]string{
		"comment": "(c) multipart/mixed; boundary=b", "spaced": "multipart / mixed; boundary = \"b\"", "quoted": "multipart/mixed; x=\"; boundary=c\"; boundary=\"b\"",
		"none": "multipart/mixed", "text": "text/plain; boundary=b", "digest": "multipart/digest; boundary=b", "folded": "multipart/mixed;\r\n\tboundary=b", "two": "multipart/mixed; boundary=a; boundary=b",
		"other": "multipart/mixed; boundary=c", "prefix": "multipart/mixed; boundary=", "escaped": `multipart/mixed; boundary="\b"`,
	} {
		add(false, "type-"+name, part(encoding+"8bit", eight), "Content-Type: "+kind)
	}
	add(false, "type-space-colon", part(encoding+"8bit", eight), strings.Replace(mixed, ":", " :", 1))
	for name, body := range map[string]string{
		"mentioned": part("Content-Type: text/plain", encoding+"8bit\r\n"), "preamble": encoding + "8bit\r\n" + part("X: y", "a\r\n"), "after": part("X: y", "a\r\n") + encoding + "8bit\r\n",
		"reopened": part("X: y", "a\r\n") + part(encoding+"8bit", eight), "space-colon": part("Content-Transfer-Encoding : 8bit", eight), "second": "--b\r\n\r\na\r\n" + part(encoding+"8bit", eight),
		"nested": part("Content-Type: multipart/mixed; boundary=c", "--c\r\n"+encoding+"8bit\r\n\r\n"+eight+"--c--\r\n"), "no-header-end": "--b\r\n" + encoding + "8bit", "no-field": "--b\r\nno field\r\n" + encoding + "8bit\r\n\r\n" + eight,
		"nested-message": part("Content-Type: message/rfc822", "Subject: x\r\n"+encoding+"8bit\r\n\r\n"+eight), "text-with-header": part("Content-Type: text/rfc822-headers", encoding+"8bit\r\n\r\n"+eight),
	} {
		add(false, "part-"+name, body, mixed)
	}
	for _, kind := range []string{"rfc822", "partial", "external-body", "RFC822", "delivery-status"} {
		add(false, "message-"+kind, "Subject: x\r\n"+encoding+"8bit\r\n\r\n"+eight, "Content-Type: message/"+kind)
	}
	add(false, "undeclared", eight)
	for i, field := range []string{"From : A <a@example.org>", "From\t: A <a@example.org>", "Subject : A", "Date : Mon, 02 Nov 2026 10:00:00 +0000", "To: reader@rcpt.test, x", "Bcc : x@example.org", "Subject: Gr\xc3\xbc\xc3\x9fe"} {
		add(false, fmt.Sprint("field-", i), "a \r\nb\t\r\n \r\nc  \r\n\r\n \r\n", field)
	}
	return all
}

// For each message of the table explain predicts what happens in real Postfix, and
// signpostd warns of the lines that break the signature, no more and no fewer.
func TestPredictionsByTable(t *testing.T) {
	t.Parallel()
	all := foretellings()
	for _, canonicalization := range []string{"relaxed/relaxed", "simple/simple"} {
		for _, sevenBit := range []bool{false, true} {
			t.Run(strings.ReplaceAll(canonicalization, "/", "-")+map[bool]string{true: "-seven-bit"}[sevenBit], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				args := []string{"--canonicalization=" + canonicalization}
				if sevenBit {
					w.sink.OfferSevenBit()
					args = append(args, "--seven-bit")
				}
				w.addKey("rsa", "example.org.private", rsaSignature("example.org", "mail"))
				d := w.startDaemon("--canonicalization=" + canonicalization)
				p := w.startPostfix(w.milterAddr())
				c, err := p.dial()
				if err != nil {
					t.Fatal(err)
				}
				defer c.Close()
				byWay := make(map[bool][][]byte)
				for _, m := range all {
					byWay[m.local] = append(byWay[m.local], m.data)
					if !m.local {
						if _, err := c.send("a@example.org", []string{"reader@rcpt.test"}, m.data); err != nil {
							t.Fatalf("%s: %v", m.name, err)
						}
						continue
					}
					sendmail := w.command("sendmail", "-C", p.Etc, "-i", "-f", "a@example.org", "reader@rcpt.test")
					sendmail.Stdin = bytes.NewReader(m.data)
					if out, err := sendmail.CombinedOutput(); err != nil {
						t.Fatalf("%s: sendmail: %v\n%s", m.name, err, out)
					}
				}
				args = append(args, "--postfix", p.Etc)
				said := map[bool][]explained{
					false: w.explainAll(byWay[false], args...),
					true:  w.explainAll(byWay[true], append(args, "--client=local")...),
				}
				var arrived [][]byte
				for _, m := range all {
					arrived = append(arrived, w.awaitDelivery(m.name))
				}
				warned := make(map[string]bool) // by queue id
				for _, line := range d.logged("a line is too long") {
					_, rest, _ := strings.Cut(line, "queue=")
					id, _, _ := strings.Cut(rest, " ")
					warned[id] = true
				}
				broken := 0
				for i, m := range all {
					says := said[m.local][0]
					said[m.local] = said[m.local][1:]
					good := w.arrivesGood(arrived[i])
					if good != (len(says.faults()) == 0) {
						t.Errorf("%s: the signature is good: %v, explain says %v", m.name, good, says.Findings)
					}
					if !good {
						broken++
					}
					queued := p.Logged("message-id=<" + m.name + "@mta.test>")
					id := regexp.MustCompile(`([0-9A-Za-z]+): message-id`).FindStringSubmatch(queued[0])[1]
					converted := slices.Contains(says.faults(), "path-8bit")
					unended := m.local && !bytes.HasSuffix(m.data, []byte("\n")) // a milter sees every line with an end
					if warned[id] != !good && !converted && !(unended && !good) {
						t.Errorf("%s: the signature is good: %v, signpostd warns: %v", m.name, good, warned[id])
					}
				}
				if broken < 60 || broken > len(all)/2+60 {
					t.Errorf("%d of %d messages broke", broken, len(all))
				}
			})
		}
	}
}
