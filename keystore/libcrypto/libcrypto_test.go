package libcrypto

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"math/big"
	"sync"
	"testing"
)

// keys are of all the sizes and shapes that signpostd takes.
func keys(t testing.TB) map[string]*rsa.PrivateKey {
	t.Helper()
	made := make(map[string]*rsa.PrivateKey)
	for _, bits := range []int{1024, 1536, 2048, 2056, 3072, 4096} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		made[fmt.Sprint(bits)] = key
	}
	made["exponent 3"] = keyOf(t, 3, 1024, 1024)
	made["exponent 17"] = keyOf(t, 17, 1024, 1024)
	made["large exponent"] = keyOf(t, 1<<31-1, 1024, 1024)
	made["unequal primes"] = keyOf(t, 65537, 900, 1148)
	made["small prime first"] = keyOf(t, 65537, 1148, 900)
	made["three primes"] = keyOf(t, 65537, 700, 700, 700)
	return made
}

// keyOf makes a key with primes of these sizes.
func keyOf(t testing.TB, e int, bits ...int) *rsa.PrivateKey {
	t.Helper()
	one := big.NewInt(1)
	for {
		key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: big.NewInt(1), E: e}}
		phi := big.NewInt(1)
		for _, n := range bits {
			p, err := rand.Prime(rand.Reader, n)
			if err != nil {
				t.Fatal(err)
			}
			key.Primes = append(key.Primes, p)
			key.N = new(big.Int).Mul(key.N, p)
			phi.Mul(phi, new(big.Int).Sub(p, one))
		}
		if key.D = new(big.Int).ModInverse(big.NewInt(int64(e)), phi); key.D == nil {
			continue
		}
		key.Precompute()
		if err := key.Validate(); err != nil {
			t.Fatal(err)
		}
		return key
	}
}

// Both ways to sign give the same bytes, however many sign at once.
func TestSameSignatures(t *testing.T) {
	t.Parallel()
	for name, key := range keys(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signer, err := Signer(key)
			if err != nil {
				t.Fatal(err)
			}
			if !key.PublicKey.Equal(signer.Public()) {
				t.Error("another public key")
			}
			var signing sync.WaitGroup
			for worker := range 4 {
				signing.Go(func() {
					for n := range 10 {
						digest := sha256.Sum256([]byte{byte(worker), byte(n)})
						got, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
						if err != nil {
							t.Error(err)
							return
						}
						want, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
						if err != nil || !bytes.Equal(got, want) {
							t.Errorf("error %v, got %x, want %x", err, got, want)
						}
					}
				})
			}
			signing.Wait()
		})
	}
}

func BenchmarkSign(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	signer, err := Signer(key)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256(nil)
	sign := func() {
		if _, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256); err != nil {
			b.Error(err)
		}
	}
	b.Run("serial", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			sign()
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				sign()
			}
		})
	})
}

func BenchmarkSigner(b *testing.B) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Signer(key); err != nil {
			b.Fatal(err)
		}
	}
}
