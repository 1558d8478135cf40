package milter

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"log/slog"
	"testing"

	"signpost/keystore"
	"signpost/keystore/libcrypto"
	"signpost/milter/dkim"
)

// BenchmarkAlso is a message of 4 KiB from its first field to its signatures, with RSA of
// 2048 bits: by the author domain alone, and by the relay's too.
func BenchmarkAlso(b *testing.B) {
	keys := make(map[string][]*keystore.Key)
	for _, domain := range []string{"example.org", "relay.example"} {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			b.Fatal(err)
		}
		signer, err := libcrypto.Signer(private)
		if err != nil {
			b.Fatal(err)
		}
		keys[domain] = []*keystore.Key{{Domain: domain, Selector: "mail", Algorithm: keystore.RSA, Bits: 2048, Signer: signer}}
	}
	header := []dkim.Field{{Name: "From", Value: " a@example.org"}, {Name: "Subject", Value: " s"}}
	for _, also := range []string{"", "relay.example"} {
		b.Run(fmt.Sprintf("also=%s", also), func(b *testing.B) {
			server, err := NewServer(Config{
				Keys:   func(domain string) ([]*keystore.Key, error) { return keys[domain], nil },
				Policy: &dkim.Policy{Header: dkim.Relaxed, Body: dkim.Relaxed}, Log: slog.New(slog.DiscardHandler),
				Rules: Rules{Also: Also{Domain: also}},
			})
			if err != nil {
				b.Fatal(err)
			}
			body := make([]byte, 4<<10)
			b.ReportAllocs()
			for b.Loop() {
				if _, values := server.Try(Client{Local: true}, header, body, "q"); len(values) != 1+len(also)/len("relay.example") {
					b.Fatal(len(values))
				}
			}
		})
	}
}
