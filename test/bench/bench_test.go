package main

import (
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"signpost/test/lab"
)

// testBench has keys, in a folder that ends with the test.
func testBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{dir: t.TempDir()}
	var err error
	if b.keys, err = makeKeys(b.dir); err != nil {
		t.Fatal(err)
	}
	return b
}

// buildSignpostd builds the daemon of this tree, in pure Go.
func buildSignpostd(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "signpostd")
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "signpost/cmd/signpostd")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// runSignpostd runs the daemon.
func runSignpostd(t *testing.T, b *bench, program string, selectors []string, tcp bool) (*process, socket) {
	t.Helper()
	p, s, err := b.start(signpostd("signpostd", program), selectors, tcp)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.stop)
	return p, s
}

func TestSignpostdIsMeasured(t *testing.T) {
	t.Parallel()
	b := testBench(t)
	program := buildSignpostd(t)
	both := []string{rsaKey, ed25519Key}
	for _, test := range []struct {
		name      string
		selectors []string
		load      load
	}{
		{"one a connection", both[:1], load{sessions: 3, size: 4 << 10, perConnection: 1}},
		{"many a connection", both[:1], load{sessions: 3, size: 4 << 10}},
		{"three a connection by TCP", both, load{sessions: 2, size: 4 << 10, perConnection: 3, tcp: true}},
		{"several chunks", both, load{sessions: 2, size: 200 << 10}},
		{"Ed25519 alone", both[1:], load{sessions: 2, size: 4 << 10}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := &bench{dir: t.TempDir(), keys: b.keys}
			p, s := runSignpostd(t, b, program, test.selectors, test.load.tcp)
			test.load.signatures = len(test.selectors)
			g := newGenerator(test.load, b.keys.public, s.network, s.address)
			m, err := g.run(100*time.Millisecond, p.cpu)
			if err != nil {
				t.Fatal(err)
			}
			if m.messages < test.load.sessions || len(m.eom) != m.messages || len(m.whole) != m.messages || m.rate <= 0 {
				t.Errorf("measured %d messages, %d and %d times, %f a second", m.messages, len(m.eom), len(m.whole), m.rate)
			}
			if m.eom[0] <= 0 || m.eom[0] > m.whole[len(m.whole)-1] {
				t.Errorf("end of message took %v, a whole message %v", m.eom[0], m.whole[len(m.whole)-1])
			}
			if peak, err := p.memory("VmHWM"); err != nil || peak <= 0 {
				t.Errorf("peak memory %f, %v", peak, err)
			}
		})
	}
}

// A fake answers the end of each message as the function says.
func startFake(t *testing.T, endOfMessage func() []byte) socket {
	t.Helper()
	s := socket{"unix", filepath.Join(t.TempDir(), "fake.sock")}
	ln, err := net.Listen(s.network, s.address)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error)
	go func() { ended <- serveNothing(ln, endOfMessage) }()
	t.Cleanup(func() {
		ln.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return s
}

func noUsage() (time.Duration, error) { return 0, nil }

// signatureOf returns a signature that is right, of the first message that
// session 0 sends.
func signatureOf(t *testing.T, b *bench) field {
	t.Helper()
	_, s := runSignpostd(t, b, buildSignpostd(t), []string{rsaKey}, false)
	one := newGenerator(load{sessions: 1, size: 1 << 10, perConnection: 1, signatures: 1}, b.keys.public, s.network, s.address).sessions[0]
	added, err := one.single()
	if err != nil || len(added) != 1 {
		t.Fatal(added, err)
	}
	return added[0]
}

func addHeader(f field) []byte { return lab.AppendFrame(nil, 'h', f.name+"\x00", f.value+"\x00") }

func TestFaultsAreFound(t *testing.T) {
	t.Parallel()
	b := testBench(t)
	signature := signatureOf(t, b)
	for _, test := range []struct {
		name     string
		messages int // that are answered well before the fault
		fault    []byte
		want     string
	}{
		{"unsigned", 5, nil, "message 6 of session 0 got 0 signatures, want 1"},
		{"signed twice", 5, append(addHeader(signature), addHeader(signature)...), "got 2 signatures, want 1"},
		{"refused", 5, lab.AppendFrame(nil, 't'), `answer to 'E': 't'`},
		{"signature of another message", 0, addHeader(signature), "does not verify"},
		{"signature for another domain", 0, addHeader(field{signature.name, strings.Replace(signature.value, "d="+domainMark, "d=example.org", 1)}), "does not verify"},
		{"no signature at all", 0, addHeader(field{signature.name, " v=1"}), "a sample of"},
		{"another field", 0, addHeader(field{"X-Signature", signature.value}), "message 1 of session 0 got 0 signatures"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var answered atomic.Int64
			s := startFake(t, func() []byte {
				if answered.Add(1) > int64(test.messages) {
					return append([]byte(nil), test.fault...)
				}
				return addHeader(signature)
			})
			// What is refused ends the run. What does not verify is found at its end,
			// after one message, which is another one than was signed.
			l, span := load{sessions: 1, size: 1 << 10, signatures: 1}, time.Minute
			if test.messages == 0 {
				l.size, span = 8<<10, 0
			}
			g := newGenerator(l, b.keys.public, s.network, s.address)
			if _, err := g.run(span, noUsage); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestOneRightSignatureIsNoFault(t *testing.T) {
	t.Parallel()
	b := testBench(t)
	signature := signatureOf(t, b)
	s := startFake(t, func() []byte { return addHeader(signature) })
	// With no time, each session sends one message, the one that was signed.
	g := newGenerator(load{sessions: 1, size: 1 << 10, signatures: 1}, b.keys.public, s.network, s.address)
	if _, err := g.run(0, noUsage); err != nil {
		t.Error(err)
	}
}

func TestDoingNothingIsMeasured(t *testing.T) {
	t.Parallel()
	s := startFake(t, nil)
	g := newGenerator(load{sessions: 4, size: 100 << 10}, nil, s.network, s.address)
	m, err := g.run(50*time.Millisecond, noUsage)
	if err != nil || m.messages < 4 {
		t.Errorf("measured %+v, %v", m, err)
	}
}
