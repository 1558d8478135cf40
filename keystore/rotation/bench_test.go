package rotation

import (
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"testing"

	"signpost/keystore"
)

// BenchmarkSigning looks up which key signs, for a message.
func BenchmarkSigning(b *testing.B) {
	for _, n := range []int{1, 1000, 10_000} {
		d := newDirectory(b)
		key := ed25519PEM(b)
		domain := func(i int) string { return fmt.Sprintf("d%06d.example", i) }
		for i := range n {
			d.write(domain(i)+".private", key)
		}
		log := slog.New(slog.DiscardHandler)
		store, err := keystore.Open(keystore.Options{Dir: d.path}, log)
		if err != nil {
			b.Fatal(err)
		}
		book, err := Open(store, On, State{}, log)
		if err != nil {
			b.Fatal(err)
		}
		store.ReadAll()
		names := make([]string, 1024)
		for which, pick := range map[string]func() int{
			"first": func() int { return 0 }, "last": func() int { return n - 1 }, "random": func() int { return mathrand.IntN(n) },
		} {
			for i := range names {
				names[i] = domain(pick())
			}
			b.Run(fmt.Sprintf("domains=%d/%s", n, which), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if _, err := book.Take(names[i%len(names)]); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
