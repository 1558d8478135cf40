package main

import (
	"bytes"
	"encoding/base64"
	"math/rand"
	"strings"
)

// What is put in place of these differs from message to message, and never in
// length, so that the frames of a message are built only once.
const (
	domainMark = "d000000.bench.example" // the author domain
	idMark     = "4bQ000000000"          // the queue ID, which is also in Message-ID
)

// A field is a header field as it stands in the queue: the value with its
// leading space, folded by line feeds.
type field struct{ name, value string }

// A mail is a message to send.
type mail struct {
	fields []field
	body   []byte // with CRLF
}

// newMail is a message such as shops send: 12 header fields, and a MIME body of
// about that many bytes, most of which are an attachment.
func newMail(size int) mail {
	return mail{
		fields: []field{
			{"From", " The Shop of Examples <orders@" + domainMark + ">"},
			{"Reply-To", " Service <service@" + domainMark + ">"},
			{"To", " \"A. Reader\" <reader@rcpt.test>"},
			{"Subject", " Your order 2026-1107 is on its way, and the invoice is attached to this\n message"},
			{"Date", " Mon, 02 Nov 2026 10:00:00 +0000"},
			{"Message-ID", " <20261102100000." + idMark + "@" + domainMark + ">"},
			{"MIME-Version", " 1.0"},
			{"Content-Type", " multipart/mixed;\n\tboundary=\"=_bench_0123456789\""},
			{"List-Unsubscribe", " <https://" + domainMark + "/u/8f2c1b7a9d>,\n\t<mailto:unsubscribe@" + domainMark + ">"},
			{"List-Unsubscribe-Post", " List-Unsubscribe=One-Click"},
			{"X-Mailer", " Example Mailer 7.2"},
			{"X-Campaign", " orders/2026/11"},
		},
		body: newBody(size),
	}
}

// newBody is text with wide blanks, blank lines and blanks at line ends, the
// same again as HTML, and an attachment in base64.
func newBody(size int) []byte {
	const boundary = "--=_bench_0123456789"
	var b bytes.Buffer
	line := func(text string) { b.WriteString(text + "\r\n") }
	line("This is a message in several parts.")
	line("")
	line(boundary)
	line("Content-Type: text/plain; charset=utf-8; format=flowed")
	line("")
	for range 6 {
		line("Dear reader, the things that you have ordered left our house this morning, ")
		line("and will  be with  you within  two days.  The invoice is attached. ")
		line("")
		line("  2 x\tpaper, white     7.90")
		line("> and this is what you wrote to us some time ago:")
	}
	line(boundary)
	line("Content-Type: text/html; charset=utf-8")
	line("Content-Transfer-Encoding: quoted-printable")
	line("")
	for range 6 {
		line("<p style=3D\"margin: 0\">The things that you have ordered  left our house =")
		line("this morning.</p>")
	}
	line(boundary)
	line("Content-Type: application/pdf; name=invoice.pdf")
	line("Content-Transfer-Encoding: base64")
	line("")
	if left := size - b.Len() - len(boundary) - 6; left > 0 {
		content := make([]byte, left*76/78*3/4)
		rand.New(rand.NewSource(int64(size))).Read(content)
		encoded := base64.StdEncoding.EncodeToString(content)
		for len(encoded) > 76 {
			line(encoded[:76])
			encoded = encoded[76:]
		}
		line(encoded)
	}
	line(boundary + "--")
	return b.Bytes()
}

// text is the message as a receiver gets it when the fields are added on top.
// The marks stand for the author domain and the ID.
func (m mail) text(domain, id string, added []field) []byte {
	var b bytes.Buffer
	for _, f := range added {
		b.WriteString(f.name + ":" + strings.ReplaceAll(f.value, "\n", "\r\n") + "\r\n")
	}
	marks := strings.NewReplacer(domainMark, domain, idMark, id, "\n", "\r\n")
	for _, f := range m.fields {
		b.WriteString(f.name + ":" + marks.Replace(f.value) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(m.body)
	return b.Bytes()
}
