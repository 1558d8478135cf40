package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"strings"
	"time"

	"signpost/milter/message"
)

// testBody has what canonicalization must get right: blanks at the end of a
// line and in a row, a line with a dot, blank lines at the end, and words that are not ASCII.
const testBody = `This is a test message of signpost.

When it has arrived, save it with its whole header and see what a receiver
makes of it:

    signpost verify FILE

For the canonicalization: Grüße, naïve, 你好; two  blanks, and two at the end.  
.
The line above is a dot.


`

// composeTest writes a message with the header that a good one has. The text is
// quoted-printable, so that a server for 7 bits has nothing to convert.
func composeTest(from string, to []string, subject, body string, now time.Time) ([]byte, error) {
	id := make([]byte, 12)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	_, domain, _ := strings.Cut(from, "@")
	if subject == "" {
		subject = "signpost test of " + now.Format("2006-01-02 15:04:05")
	}
	if body == "" {
		body = testBody
	}
	var message bytes.Buffer
	field := func(name, value string) { fmt.Fprintf(&message, "%s: %s\r\n", name, value) }
	field("Date", now.Format("Mon, 02 Jan 2006 15:04:05 -0700"))
	field("From", "<"+from+">")
	field("To", "<"+strings.Join(to, ">,\r\n <")+">")
	field("Subject", foldWords(mime.QEncoding.Encode("utf-8", subject)))
	field("Message-ID", "<"+hex.EncodeToString(id)+"@"+domain+">")
	field("MIME-Version", "1.0")
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "quoted-printable")
	message.WriteString("\r\n")
	text := quotedprintable.NewWriter(&message)
	if _, err := text.Write([]byte(crlf(body))); err != nil {
		return nil, err
	}
	if err := text.Close(); err != nil {
		return nil, err
	}
	if !bytes.HasSuffix(message.Bytes(), []byte("\r\n")) {
		message.WriteString("\r\n")
	}
	return message.Bytes(), nil
}

// foldWords folds a value at blanks, to lines of 78 where there are any.
func foldWords(value string) string {
	var b strings.Builder
	column := len("Subject: ")
	for i, word := range strings.Split(value, " ") {
		switch {
		case column+1+len(word) > 78 && word != "":
			b.WriteString("\r\n ")
			column = 1
		case i > 0:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += len(word)
	}
	return b.String()
}

func crlf(text string) string {
	return strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\n", "\r\n")
}

// envelopeOf returns the addresses of a message, for when none are given.
func envelopeOf(fields []message.Field) (from string, to []string) {
	header := make(mail.Header)
	for _, f := range fields {
		name := textproto.CanonicalMIMEHeaderKey(strings.TrimRight(f.Name, " \t"))
		header[name] = append(header[name], strings.ReplaceAll(f.Value, "\r\n", ""))
	}
	for _, name := range []string{"From", "To", "Cc", "Bcc"} {
		addresses, _ := header.AddressList(name)
		for _, address := range addresses {
			if name == "From" {
				from = address.Address
				break
			}
			to = append(to, address.Address)
		}
	}
	return from, to
}

// eightBit reports whether any octet is not ASCII.
func eightBit(data []byte) bool {
	return bytes.ContainsFunc(data, func(r rune) bool { return r > 0x7e })
}
