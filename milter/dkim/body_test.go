package dkim

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// hardBodies are canonicalized by the reference too, in all chunkings; want
// says by hand what relaxed and simple come to.
var hardBodies = []struct {
	body, relaxed, simple string
}{
	{"", "", "\r\n"},
	{"\r\n", "", "\r\n"},
	{"\r\n\r\n\r\n", "", "\r\n"},
	{" ", "", " \r\n"},
	{" \t \r\n\t\r\n ", "", " \t \r\n\t\r\n \r\n"},
	{"a", "a\r\n", "a\r\n"},
	{"a\r\n", "a\r\n", "a\r\n"},
	{"a\r\n\r\n\r\n", "a\r\n", "a\r\n"},
	{"\r\n\r\na", "\r\n\r\na\r\n", "\r\n\r\na\r\n"},
	{"a\r\n\r\n\r\nb\r\n\r\n", "a\r\n\r\n\r\nb\r\n", "a\r\n\r\n\r\nb\r\n"},
	{"a ", "a\r\n", "a \r\n"},
	{"a \t\r\n", "a\r\n", "a \t\r\n"},
	{"a\r\n \r\n", "a\r\n", "a\r\n \r\n"},
	{" \r\n \r\na", "\r\n\r\na\r\n", " \r\n \r\na\r\n"},
	{"\t\ta  b\tc \td", " a b c d\r\n", "\t\ta  b\tc \td\r\n"},

	// A bare CR or LF ends no line and is no white space.
	{"\r", "\r\r\n", "\r\r\n"},
	{"\n", "\n\r\n", "\n\r\n"},
	{"\n\r", "\n\r\r\n", "\n\r\r\n"},
	{"\r\r\n", "\r\r\n", "\r\r\n"},
	{"\r\n\r", "\r\n\r\r\n", "\r\n\r\r\n"},
	{"\r\n\n", "\r\n\n\r\n", "\r\n\n\r\n"},
	{"a\r\n\r", "a\r\n\r\r\n", "a\r\n\r\r\n"},
	{"a \r", "a \r\r\n", "a \r\r\n"},
	{"a  \n", "a \n\r\n", "a  \n\r\n"},
	{"a \r\r\n", "a \r\r\n", "a \r\r\n"},
	{"a \r \r\n", "a \r\r\n", "a \r \r\n"},
	{" \r \n \r\n", " \r \n\r\n", " \r \n \r\n"},
	{"a\n\nb\n", "a\n\nb\n\r\n", "a\n\nb\n\r\n"},
	{"a \r\n\r \r\n\r\n", "a\r\n\r\r\n", "a \r\n\r \r\n"},

	// Other white space and other octets.
	{"a\v \f\r\n", "a\v \f\r\n", "a\v \f\r\n"},
	{"\x00 \x00  \x80\xff\r\n", "\x00 \x00 \x80\xff\r\n", "\x00 \x00  \x80\xff\r\n"},
	{"gr\u00fc\u00df  \u00a0 \r\n", "gr\u00fc\u00df \u00a0\r\n", "gr\u00fc\u00df  \u00a0 \r\n"},
}

func TestHardBodies(t *testing.T) {
	t.Parallel()
	for _, c := range hardBodies {
		// Text before and after moves the body over the words of eight octets.
		for before := range 9 {
			front := strings.Repeat("x", before)
			for _, after := range []string{"", "y", "yyyyyyyyyyyyyyyy"} {
				checkBody(t, []byte(front+c.body+after))
			}
		}
		if got := refBody(Relaxed, []byte(c.body)); string(got) != c.relaxed {
			t.Errorf("reference, relaxed %q: %q, want %q", c.body, got, c.relaxed)
		}
		if got := refBody(Simple, []byte(c.body)); string(got) != c.simple {
			t.Errorf("reference, simple %q: %q, want %q", c.body, got, c.simple)
		}
	}
}

// checkBody compares with the reference: at once, octet by octet, and split
// in two everywhere.
func checkBody(t *testing.T, body []byte) {
	t.Helper()
	for _, c := range []Canonicalization{Simple, Relaxed} {
		want := sha256.Sum256(refBody(c, body))
		for _, size := range []int{len(body) + 1, 1} {
			if got := bodyHash(c, body, size); !bytes.Equal(got, want[:]) {
				t.Errorf("%s %q in chunks of %d differs from the reference", c, body, size)
			}
		}
		for i := range body {
			m := newBody(c)
			m.Write(body[:i])
			m.Write(body[i:])
			if got := bodySum(m); !bytes.Equal(got, want[:]) {
				t.Errorf("%s %q + %q differs from the reference", c, body[:i], body[i:])
			}
		}
	}
}

func bodySum(m *Message) []byte {
	if m.simple != nil {
		return m.simple.sum(Simple)
	}
	return m.relaxed.sum()
}

// Every body of up to five octets out of those that matter.
func TestAllShortBodies(t *testing.T) {
	t.Parallel()
	var try func(body []byte)
	try = func(body []byte) {
		checkBody(t, body)
		if len(body) < 5 {
			for _, c := range []byte("a \t\r\n") {
				try(append(body, c))
			}
		}
	}
	try(nil)
}

func TestRandomBodies(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(6376, 8463))
	for range 1500 {
		body := make([]byte, random.IntN(1<<random.IntN(15)))
		text := random.IntN(40)
		for i := range body {
			body[i] = 'a'
			if random.IntN(text+1) == 0 {
				body[i] = " \t\r\n \x80"[random.IntN(6)]
			}
			if i > 0 && body[i-1] == '\r' && random.IntN(2) == 0 {
				body[i] = '\n'
			}
		}
		for _, c := range []Canonicalization{Simple, Relaxed} {
			m := newBody(c)
			for rest := body; len(rest) > 0; {
				n := min(len(rest), random.IntN(1<<random.IntN(14)))
				m.Write(rest[:n])
				rest = rest[n:]
			}
			if want := sha256.Sum256(refBody(c, body)); !bytes.Equal(bodySum(m), want[:]) {
				t.Fatalf("%s of a body of %d octets differs from the reference: %q", c, len(body), body)
			}
		}
	}
}

// What is held back is counted: runs of any length, with and without text
// after them.
func TestLongRuns(t *testing.T) {
	t.Parallel()
	for _, run := range []string{" ", "\t", "\r\n", " \r\n", "\r", "\n", "a"} {
		long := strings.Repeat(run, 70_000/len(run))
		for _, body := range []string{long, "x" + long, long + "x", long + "\r\n", "x" + long + "\r"} {
			for _, c := range []Canonicalization{Simple, Relaxed} {
				want := sha256.Sum256(refBody(c, []byte(body)))
				if got := bodyHash(c, []byte(body), 65535); !bytes.Equal(got, want[:]) {
					t.Errorf("%s: %d octets of %q differ from the reference", c, len(long), run)
				}
			}
		}
	}
	for _, c := range []struct{ run, after, want string }{
		{" ", "", ""},
		{" ", "x", " x\r\n"},
		{" \r\n", "", ""},
		{"\r\n", "", ""},
		{"\r\n", "x", strings.Repeat("\r\n", 1<<19) + "x\r\n"},
	} {
		body := []byte(strings.Repeat(c.run, 1<<20/len(c.run)) + c.after)
		want := sha256.Sum256([]byte(c.want))
		if got := bodyHash(Relaxed, body, 65535); !bytes.Equal(got, want[:]) {
			t.Errorf("a MiB of %q, then %q: not the hash of %d octets", c.run, c.after, len(c.want))
		}
	}
}

// plain may end early, but what it lets pass canonicalizes to itself, and
// plain text passes whole.
func TestPlain(t *testing.T) {
	t.Parallel()
	for _, fill := range []byte{'x', 0x00, 0x7f, 0x80, 0xff} {
		for a := range 256 {
			for b := range 256 {
				p := bytes.Repeat([]byte{fill}, 40)
				at := (a + b) % 30
				p[at], p[at+1] = byte(a), byte(b)
				n := plain(p)
				isWSP := func(c int) bool { return c == ' ' || c == '\t' }
				changes := a == '\t' || b == '\t' || a == ' ' && (isWSP(b) || b == '\r')
				if changes && n > at+1 {
					t.Fatalf("plain passed %q at %d", p[at:at+2], at)
				}
				if a > ' ' && b > ' ' && fill > ' ' && n != 32 {
					t.Fatalf("plain ends at %d, though only %q at %d", n, p[at:at+2], at)
				}
			}
		}
	}
}

func TestSqueeze(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 1))
	for range 50_000 {
		var in [10]byte
		for i := range in {
			in[i] = "  \t\t\r\na\x00\x80\xff"[random.IntN(10)]
		}
		var want []byte
		for i, c := range in[:8] {
			wsp := func(c byte) bool { return c == ' ' || c == '\t' }
			switch {
			case !wsp(c):
				want = append(want, c)
			case !wsp(in[i+1]) && !(in[i+1] == '\r' && in[i+2] == '\n'):
				want = append(want, ' ')
			}
		}
		le := binary.LittleEndian
		word, n := squeeze(le.Uint64(in[:]), le.Uint64(in[1:]), le.Uint64(in[2:]))
		if got := le.AppendUint64(nil, word)[:n]; !bytes.Equal(got, want) {
			t.Fatalf("%q: got %q, want %q", in, got, want)
		}
	}
}

// counter counts the octets that a hash is given.
type counter struct {
	hash.Hash
	n int
}

func (c *counter) Write(p []byte) (int, error) {
	c.n += len(p)
	return c.Hash.Write(p)
}

// Each octet of the body is hashed once, however many signatures there are.
func TestBodyHashedOnce(t *testing.T) {
	t.Parallel()
	for _, c := range []Canonicalization{Simple, Relaxed} {
		ed, rsa := edSignature(t), rsaSignature(t)
		ed.Policy = &Policy{Body: c}
		m, err := newMessage(testHeader(), []signature{ed, rsa, ed})
		if err != nil {
			t.Fatal(err)
		}
		ends := m.simple
		if c == Relaxed {
			ends = &m.relaxed.out
		}
		n := &counter{Hash: ends.hash}
		ends.hash = n
		body := strings.Repeat("one line\r\n", 1000)
		fmt.Fprint(m, body)
		if n.n != len(body)-2 {
			t.Errorf("%s: hashed %d octets, want %d", c, n.n, len(body)-2)
		}
	}
}

func TestWriteDoesNotAllocate(t *testing.T) {
	blank := []byte(" ")
	all := shapes()
	for i, shape := range slices.Concat(all, all) {
		m := newBody(Canonicalization(i / len(all)))
		n := testing.AllocsPerRun(5, func() {
			for chunk := range chunks(shape.body[:100_000], 65535) {
				m.Write(chunk)
			}
			m.Write(nil)
			m.Write(blank)
		})
		if n != 0 {
			t.Errorf("%s: %v allocations in Write, want 0", shape.name, n)
		}
	}
}
