package dkim

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// shapes are bodies of a mebibyte each, good and bad for a canonicalizer.
func shapes() []struct {
	name string
	body []byte
} {
	const size = 1 << 20
	random := rand.New(rand.NewPCG(1, 2))
	fill := func(next func() string) []byte {
		var b bytes.Buffer
		for b.Len() < size {
			b.WriteString(next())
		}
		return b.Bytes()[:size]
	}
	always := func(s string) func() string { return func() string { return s } }
	pick := func(choices ...string) func() string {
		return func() string { return choices[random.IntN(len(choices))] }
	}
	word := pick("a", "is", "the", "mail", "signs", "signed", "message", "signature")
	raw := make([]byte, 57)
	return []struct {
		name string
		body []byte
	}{
		{"text", fill(func() string { return word() + pick(" ", " ", " ", " ", " ", " ", " ", " ", " ", "\r\n")() })},
		{"base64", fill(func() string {
			for i := range raw {
				raw[i] = byte(random.Uint32())
			}
			return base64.StdEncoding.EncodeToString(raw) + "\r\n"
		})},
		{"html indented", fill(func() string { return strings.Repeat(" ", random.IntN(24)) + "<td>" + word() + "</td>\r\n" })},
		{"flowed", fill(func() string { return strings.Repeat(word()+" ", 8+random.IntN(4)) + "\r\n" })},
		{"long lines", fill(always(strings.Repeat("x", 900) + "\r\n"))},
		{"one line", fill(always("xxxxxxxxxxxxxxxx"))},
		{"double blanks", fill(always("a  "))},
		{"short words", fill(always("a "))},
		{"tabs", fill(always("a\t"))},
		{"random blanks", fill(pick("a", " ", "\t", "\r\n", "\r", "\n"))},
		{"blank lines", fill(always("  \r\n"))},
		{"trailing blanks", fill(func() string { return word() + strings.Repeat(" ", random.IntN(12)) + "\r\n" })},
		{"short lines", fill(always("a\r\n"))},
		{"empty lines", fill(always("\r\n"))},
		{"empty lines, text", append(fill(always("\r\n")), 'x')},
		{"empty lines, often text", fill(always("\r\n\r\n\r\nx"))},
		{"only blanks", fill(always(" "))},
		{"only CR", fill(always("\r"))},
		{"only LF", fill(always("\n"))},
	}
}

func BenchmarkBody(b *testing.B) {
	for _, c := range []Canonicalization{Simple, Relaxed} {
		for _, shape := range shapes() {
			b.Run(c.String()+"/"+strings.ReplaceAll(shape.name, " ", "-"), func(b *testing.B) {
				b.SetBytes(int64(len(shape.body)))
				b.ReportAllocs()
				simple, relaxed := newSimpleBody(), newRelaxedBody()
				for b.Loop() {
					for chunk := range chunks(shape.body, 65535) {
						if c == Simple {
							simple.write(chunk)
						} else {
							relaxed.write(chunk)
						}
					}
				}
			})
		}
	}
}

func BenchmarkHeader(b *testing.B) {
	for _, n := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("%d-To", n), func(b *testing.B) {
			header := testHeader()
			for range n {
				header = append(header, Field{"To", " somebody@example.org"})
			}
			m := newBody(Relaxed)
			ed := edSignature(b)
			b.ReportAllocs()
			for b.Loop() {
				m.Reset()
				if err := m.begin(header, []signature{ed}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkSign(b *testing.B) {
	rsaKey, edKey := rsaSignature(b), edSignature(b)
	for _, size := range []int{4 << 10, 1 << 20} {
		body := shapes()[0].body[:size]
		for _, c := range []struct {
			name string
			sigs []signature
		}{{"rsa2048", []signature{rsaKey}}, {"ed25519", []signature{edKey}}, {"both", []signature{rsaKey, edKey}}} {
			b.Run(fmt.Sprintf("%s/%dKiB", c.name, size>>10), func(b *testing.B) {
				b.SetBytes(int64(size))
				b.ReportAllocs()
				m, err := newMessage(testHeader(), c.sigs)
				if err != nil {
					b.Fatal(err)
				}
				for b.Loop() {
					m.Reset()
					if err := m.begin(testHeader(), c.sigs); err != nil {
						b.Fatal(err)
					}
					for chunk := range chunks(body, 65535) {
						m.Write(chunk)
					}
					if _, err := m.Sign(time.Now()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
