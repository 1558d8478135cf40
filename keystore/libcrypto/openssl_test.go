//go:build openssl

package libcrypto

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"signpost/keystore/finding"
)

func TestNameIsOfOpenSSL(t *testing.T) {
	t.Parallel()
	if !strings.HasPrefix(Name(), "OpenSSL ") {
		t.Errorf("it is %q", Name())
	}
}

// All threads let their timers be late, those of the runtime included, which are
// begun before any code of ours.
func TestTimersMayBeLate(t *testing.T) {
	t.Parallel()
	const getTimerSlack = 30 // PR_GET_TIMERSLACK
	slack := make(chan uintptr)
	for range 8 {
		go func() {
			runtime.LockOSThread() // so that each is another thread, and ends with this
			ns, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, getTimerSlack, 0, 0)
			slack <- ns
		}()
	}
	for range 8 {
		if ns := <-slack; ns != 4_000_000 {
			t.Errorf("a thread has %d ns, want 4 ms", ns)
		}
	}
}

// What cannot be signed is an error with the reason, and not a wrong signature.
func TestErrors(t *testing.T) {
	t.Parallel()
	key := keyOf(t, 65537, 1024, 1024)
	good, err := Signer(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, sign := range map[string]func() error{
		"short digest": func() error { _, err := good.Sign(rand.Reader, make([]byte, 20), crypto.SHA256); return err },
		"no digest":    func() error { _, err := good.Sign(rand.Reader, nil, crypto.SHA256); return err },
		"other hash":   func() error { _, err := good.Sign(rand.Reader, make([]byte, 32), crypto.SHA512_256); return err },
		"PSS": func() error {
			_, err := good.Sign(rand.Reader, make([]byte, 32), &rsa.PSSOptions{Hash: crypto.SHA256})
			return err
		},
	} {
		if err := sign(); err == nil || !strings.Contains(finding.Text(err), "hint: ") {
			t.Errorf("%s: error %v", name, err)
		}
	}

	// There is no arithmetic of Montgomery's with an even modulus.
	broken := *key
	broken.N = new(big.Int).Sub(key.N, big.NewInt(1))
	bad, err := Signer(&broken)
	if err == nil {
		_, err = bad.Sign(rand.Reader, make([]byte, 32), crypto.SHA256)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "libcrypto: ") {
		t.Errorf("a broken key: error %v", err)
	}
}

// Signers that are garbage leave nothing behind: 40,000 keys of some 3 KiB
// each would show.
func TestMemoryIsFreed(t *testing.T) {
	key := keyOf(t, 65537, 2048, 2048)
	rounds := func(n int) {
		for range n {
			var freed atomic.Int32
			for range 1000 {
				s, err := Signer(key)
				if err != nil {
					t.Fatal(err)
				}
				runtime.AddCleanup(s.(*signer), func(freed *atomic.Int32) { freed.Add(1) }, &freed)
			}
			// On a busy machine keys would wait to be freed in ever longer lines.
			for freed.Load() < 1000 {
				runtime.GC()
				time.Sleep(time.Millisecond)
			}
		}
	}
	// At first the allocators take what they need, also for keys that wait to be
	// freed. A leak would go on. The race detector itself takes up to 60 MiB.
	rounds(20)
	before := residentKB(t)
	rounds(40)
	if grown := residentKB(t) - before; grown > 90<<10 {
		t.Errorf("40000 keys later there are %d KiB more", grown)
	}
}

func residentKB(t *testing.T) int {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb
		}
	}
	t.Fatal("no VmRSS in /proc/self/status")
	return 0
}
