package dkim

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// Whatever a body ends in, its hash at the end of a line is that of a body that
// ends there, and l= hashes what comes first.
func TestBodyHash(t *testing.T) {
	t.Parallel()
	body := []byte("a  b \r\n\r\n\t c\td\r\n\r\n\r\ne\r\r\n \r\n")
	for _, c := range []Canonicalization{Simple, Relaxed} {
		whole := NewBodyHash(c, -1)
		for i := range body {
			whole.Write(body[i : i+1])
			if body[i] != '\n' {
				if whole.SumHere() != nil {
					t.Errorf("%s: a hash within a line, after %q", c, body[:i+1])
				}
				continue
			}
			here := NewBodyHash(c, -1)
			here.Write(body[:i+1])
			want, _ := here.Sum()
			if got := whole.SumHere(); got != nil && !bytes.Equal(got, want) {
				t.Errorf("%s: after %q: not the hash of a body that ends there", c, body[:i+1])
			} else if got == nil && !bytes.HasSuffix(body[:i+1], []byte("\r\n\r\n")) && !(c == Relaxed && bytes.HasSuffix(body[:i+1], []byte("\n \r\n"))) {
				t.Errorf("%s: no hash after %q", c, body[:i+1])
			}
		}
		sum, octets := whole.Sum()
		if want := bodyHash(c, body, 1<<20); !bytes.Equal(sum, want) {
			t.Errorf("%s: not the hash that is signed", c)
		}
		for length := range octets + 2 {
			b := NewBodyHash(c, length)
			b.Write(body)
			sum, n := b.Sum()
			if want := sha256.Sum256(refBody(c, body)[:min(length, octets)]); !bytes.Equal(sum, want[:]) || n != octets {
				t.Errorf("%s: l=%d: wrong, or %d octets, want %d", c, length, n, octets)
			}
		}
		if empty, _ := NewBodyHash(c, -1).Sum(); !bytes.Equal(empty, EmptyBody(c)) {
			t.Errorf("%s: an empty body has another hash", c)
		}
	}
}
