package system

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// A shape is a message that is hard to sign in some way.
type shape struct {
	name  string
	data  []byte
	large bool
}

// bareCR is the one shape that does not arrive as it was sent: Postfix makes
// spaces of bare carriage returns.
const bareCR = "bare-cr"

// shapes are the messages, each with its name as Subject. The lines are no
// longer than Postfix delivers them unbroken.
func shapes() []shape {
	make := func(name string, body string, fields ...string) shape {
		header := append([]string{"From: A <a@example.org>", "To: reader@rcpt.test", "Subject: " + name,
			"Date: Mon, 02 Nov 2026 10:00:00 +0000", "Message-ID: <" + name + "@mta.test>"}, fields...)
		return shape{name: name, data: append(lines(header...), "\r\n"+body...)}
	}
	all := []shape{
		make("plain", "Hello.\r\n"),
		make("empty-body", ""),
		make("blank-line", "\r\n"),
		make("blank-lines", "\r\n\r\n\r\n\r\n"),
		make("blank-lines-at-end", "Hello.\r\n\r\n\r\n"),
		make("blank-with-spaces", " \r\n\t\r\n \t \r\n"),
		make("spaces", "  one  two\t\tthree \t\r\n\tfour \r\nfive\t\r\n \r\n"),
		make("unended", "The last line has no end."),
		make("dots", ".\r\n..\r\n.dot\r\n...\r\nend.\r\n"),
		make("eight-bit", "Grüße — 你好 \xff\xfe\r\n", "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: 8bit"),
		make("eight-bit-header", "Hello.\r\n", "Comments: Grüße — 你好 \xff", "Keywords: ünïcode"),
		make("line-of-998", strings.Repeat("x", 998)+"\r\n"+strings.Repeat("y z ", 249)+"\r\n"),
		make("folded", "Hello.\r\n", "Keywords: one,\r\n two,\r\n\tthree,\r\n \t four", "References: <a@b>\r\n\t<c@d>  <e@f>\t<g@h>"),
		make("odd-fields", "Hello.\r\n", "Keywords:no-space", "Comments:   many   spaces   \t", "In-Reply-To:", "X-Empty: ", "lIST-iD: <mixed.case>", "References: a : colon: more"),
		make("repeated", "Hello.\r\n", "Comments: one", "Comments: two", "Keywords: x", "Comments: three", "Cc: b@rcpt.test"),
		make("mime", mimeBody(20000), "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="=_b"`),
		make("list", "Hello.\r\n", "List-Unsubscribe: <https://example.org/u>", "List-Unsubscribe-Post: List-Unsubscribe=One-Click",
			"List-Id: <l.example.org>", "Reply-To: b@example.org", "Sender: c@example.org"),
		make(bareCR, "one\rtwo\r\n\rthree\r\nfour\r\r\n"),
	}
	for i := range all {
		if all[i].name == "empty-body" {
			noBlankLine := shape{name: "header-only", data: bytes.ReplaceAll(all[i].data, []byte("empty-body"), []byte("header-only"))}
			noBlankLine.data = bytes.TrimSuffix(noBlankLine.data, []byte("\r\n"))
			all = append(all, noBlankLine)
		}
	}
	large := []shape{
		make("five-megabytes", mimeBody(5<<20), "MIME-Version: 1.0", `Content-Type: multipart/mixed; boundary="=_b"`),
		// Postfix cuts single fields after 60000 bytes when there is a milter.
		make("header-of-one-megabyte", "Hello.\r\n", slices.Repeat([]string{
			"Comments: " + strings.Repeat("<0123456789.abcdefghij@klmnopqrst.example.org>\r\n\t", 1000) + "<last@example.org>"}, 21)...),
		make("many-fields", "Hello.\r\n", strings.Split(strings.Repeat("Comments: reader\nX-Other: unsigned\n", 200)+"Keywords: last", "\n")...),
	}
	for _, s := range large {
		s.large = true
		all = append(all, s)
	}
	return all
}

// mimeBody is a multipart body with an attachment of that many bytes, encoded.
func mimeBody(size int) string {
	raw := make([]byte, size*3/4)
	rand.New(rand.NewSource(int64(size))).Read(raw)
	encoded := base64.StdEncoding.EncodeToString(raw)
	var b strings.Builder
	b.WriteString("--=_b\r\nContent-Type: text/plain\r\n\r\nSee below.  \r\n\r\n--=_b\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for len(encoded) > 0 {
		n := min(76, len(encoded))
		b.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
	b.WriteString("--=_b--\r\n")
	return b.String()
}

// Every shape is signed well, in every canonicalization, and arrives as it was
// sent.
func TestMessageShapes(t *testing.T) {
	t.Parallel()
	for _, canonicalization := range []string{"relaxed/relaxed", "relaxed/simple", "simple/relaxed", "simple/simple"} {
		t.Run(strings.ReplaceAll(canonicalization, "/", "-"), func(t *testing.T) {
			t.Parallel()
			w, want := newSigningWorld(t)
			w.startDaemon("--canonicalization="+canonicalization, "--sign-headers=*,+Comments,+Keywords")
			p := w.startPostfix(w.milterAddr())
			var messages []signedMessage
			for _, s := range shapes() {
				if s.large && canonicalization != "relaxed/relaxed" && canonicalization != "simple/simple" {
					continue
				}
				p.mustSubmit("a@example.org", "reader@rcpt.test", s.data)
				message := w.awaitDelivery(s.name)
				if sent := bytes.TrimSuffix(s.data, []byte("\r\n")); s.name != bareCR && !bytes.Contains(message, sent) {
					t.Errorf("%s was changed on its way:\n%.2000q\nwant\n%.2000q", s.name, message, s.data)
				}
				messages = append(messages, signedMessage{message, []signature{want}})
			}
			w.mustVerifyAll(messages)
		})
	}
}

// One message to many recipients is signed once, and each copy of it is good.
func TestManyRecipients(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	d := w.startDaemon()
	p := w.startPostfix(w.milterAddr())
	var to []string
	for n := range 500 {
		to = append(to, fmt.Sprintf("reader%d@rcpt.test", n))
	}
	if _, err := p.submit("a@example.org", to, letter("a@example.org", "many")); err != nil {
		t.Fatal(err)
	}
	arrived := func() (n int) {
		for _, copy := range w.sink.All() {
			n += len(copy.To)
		}
		return n
	}
	await(t, "all recipients to have the message", func() bool { return arrived() == len(to) })
	var copies []signedMessage
	for _, copy := range w.sink.All() {
		copies = append(copies, signedMessage{copy.Data, []signature{want}})
	}
	w.mustVerifyAll(copies)
	if n := len(d.logged("DKIM-Signature field added")); n != 1 {
		t.Errorf("signed %d times, want once", n)
	}
}

// Postfix breaks lines over 998 bytes when it delivers, which is after signing
// and breaks the signature, unless smtp_line_length_limit is 0. Then a line of
// any length is signed well.
func TestLongLines(t *testing.T) {
	t.Parallel()
	w, want := newSigningWorld(t)
	w.startDaemon()
	p := w.startPostfix(w.milterAddr(), "smtp_line_length_limit = 0")
	var messages []signedMessage
	for _, length := range []int{999, 2048, 2049, 65535, 65536, 100000, 1 << 20} {
		name := fmt.Sprintf("long-%d", length)
		message := append(letter("a@example.org", name), strings.Repeat("long line ", length/10+1)[:length]+"\r\n"...)
		p.mustSubmit("a@example.org", "reader@rcpt.test", message)
		messages = append(messages, signedMessage{w.awaitDelivery(name), []signature{want}})
	}
	w.mustVerifyAll(messages)
}
