package keystore

import (
	"crypto"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"
)

var counts = []int{1, 1000, 10_000, 100_000}

func domainNumber(i int) string { return fmt.Sprintf("d%06d.example", i) }

// manyDomains fills a directory with one key per domain.
func manyDomains(b *testing.B, n int) directory {
	b.Helper()
	d := newDirectory(b)
	key := pkcs8(b, rsaKeys(2048, 0))
	for i := range n {
		d.write(domainNumber(i)+".private", key)
	}
	return d
}

func (d directory) open() *Store {
	d.Helper()
	store, err := Open(Options{Dir: d.path}, slog.New(slog.DiscardHandler))
	if err != nil {
		d.Fatal(err)
	}
	return store
}

// BenchmarkOpen is from nothing to the key of the last domain.
func BenchmarkOpen(b *testing.B) {
	for _, n := range counts {
		b.Run(fmt.Sprintf("domains=%d", n), func(b *testing.B) {
			d := manyDomains(b, n)
			b.ReportAllocs()
			for b.Loop() {
				if err := d.open().Domain(domainNumber(n - 1)).Err(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkReload looks at every file, and nothing has changed.
func BenchmarkReload(b *testing.B) {
	for _, n := range counts[:3] {
		b.Run(fmt.Sprintf("domains=%d", n), func(b *testing.B) {
			store := manyDomains(b, n).open()
			store.ReadAll()
			for _, domain := range store.Snapshot().shards.all() {
				for _, f := range domain.files {
					f.stamp, _ = stampOf(mustStat(b, f.File), time.Now()) // as it would be two seconds on
				}
			}
			for b.Loop() {
				if err := store.Reload(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkUpdate loads one file that was replaced.
func BenchmarkUpdate(b *testing.B) {
	for _, n := range counts {
		b.Run(fmt.Sprintf("domains=%d", n), func(b *testing.B) {
			d := manyDomains(b, n)
			store := d.open()
			keys := [][]byte{pkcs8(b, rsaKeys(2048, 0)), ed25519PEM(b)}
			last := domainNumber(n-1) + ".private"
			for i := 0; b.Loop(); i++ {
				d.rename(last, keys[i%2])
				store.update(map[string]bool{last: true})
			}
		})
	}
}

// BenchmarkSecret signs with a key that is ready, and with one that is not.
func BenchmarkSecret(b *testing.B) {
	digest := make([]byte, 32)
	for _, cold := range []bool{false, true} {
		b.Run(fmt.Sprintf("cold=%t", cold), func(b *testing.B) {
			s, err := newSecret(rsaKeys(2048, 0), new(recent))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if cold {
					s.ready.Store(nil)
					s.recent.secrets = nil
				}
				if _, err := s.Sign(rand.Reader, digest, crypto.SHA256); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkLook is what the watcher does every second: when nothing has changed, and when
// the directory was replaced by an empty one.
func BenchmarkLook(b *testing.B) {
	for _, n := range counts {
		for _, away := range []bool{false, true} {
			b.Run(fmt.Sprintf("domains=%d/away=%t", n, away), func(b *testing.B) {
				d := manyDomains(b, n)
				store := d.open()
				if away {
					if err := os.Rename(d.path, d.path+".aside"); err != nil {
						b.Fatal(err)
					}
					defer os.RemoveAll(d.path + ".aside")
					if err := os.Mkdir(d.path, 0o755); err != nil {
						b.Fatal(err)
					}
				}
				if err := store.Reload(); err != nil {
					b.Fatal(err)
				}
				w := watcher{store: store, changed: make(map[string]bool)}
				for b.Loop() {
					w.survey()
				}
				if w.all || store.unsettled() {
					b.Error("everything would be read again")
				}
			})
		}
	}
}
