package resp

import (
	"bytes"
	"fmt"
	"math"
	"reflect"
	"testing"
	"testing/iotest"
)

func read(data []byte, slow bool) (any, error) {
	r := &reader{from: bytes.NewReader(data)}
	if slow {
		r.from = iotest.OneByteReader(r.from)
	}
	return r.value(0)
}

func TestValue(t *testing.T) {
	t.Parallel()
	long := bytes.Repeat([]byte{'x'}, 3<<20)
	for text, want := range map[string]any{
		"+OK\r\n":                               "OK",
		"-ERR no\r\n":                           Error("ERR no"),
		":-5\r\n":                               int64(-5),
		"$3\r\na\r\n\r\n":                       []byte("a\r\n"),
		"$0\r\n\r\n":                            []byte{},
		"$-1\r\n":                               nil,
		"*-1\r\n":                               nil,
		"_\r\n":                                 nil,
		"#t\r\n":                                true,
		",1.5\r\n":                              1.5,
		"(123\r\n":                              "123",
		"!5\r\nERR x\r\n":                       Error("ERR x"),
		"=5\r\ntxt:a\r\n":                       []byte("a"),
		"*2\r\n:1\r\n*1\r\n+a\r\n":              []any{int64(1), []any{"a"}},
		"%1\r\n+a\r\n:1\r\n":                    []any{"a", int64(1)},
		"~1\r\n+a\r\n":                          []any{"a"},
		">1\r\n+a\r\n":                          Push{"a"},
		"|1\r\n+a\r\n:1\r\n+OK\r\n":             "OK",
		fmt.Sprintf("$3145728\r\n%s\r\n", long): long,
	} {
		for _, slow := range []bool{false, true} {
			got, err := read([]byte(text), slow && len(text) < 1000)
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%.40q: got %.80v: %v", text, got, err)
			}
		}
	}
	for _, text := range []string{
		"", "\r\n", "+OK", "+OK\n", "?\r\n", ":x\r\n", "$x\r\n", "$-2\r\n", "$3\r\nabcd\r\n", "$3\r\nab", "*1\r\n",
		"$67108865\r\n", "*67108865\r\n", "%-1\r\n", ",x\r\n",
		"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:1\r\n",
	} {
		if got, err := read([]byte(text), false); err == nil {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A server may send anything: it takes no more memory than what it sends, and what was read is
// wiped.
func FuzzValue(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nabc\r\n%1\r\n+a\r\n:1\r\n"))
	f.Add([]byte(">2\r\n$10\r\ninvalidate\r\n*1\r\n$4\r\nkeys\r\n"))
	f.Add([]byte("-ERR x\r\n!3\r\nERR\r\n$-1\r\n_\r\n,1\r\n(1\r\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := &reader{from: bytes.NewReader(data)}
		for {
			value, err := r.value(0)
			if err != nil {
				break
			}
			if r.wipe(); !bytes.Equal(r.buf[:r.begin], make([]byte, r.begin)) {
				t.Fatal("what was read is not wiped")
			}
			Wipe(value)
		}
		fast, fastErr := read(data, false)
		slow, slowErr := read(data, true)
		if fmt.Sprint(fast) != fmt.Sprint(slow) || (fastErr == nil) != (slowErr == nil) {
			t.Fatalf("at once %v, %v; byte by byte %v, %v", fast, fastErr, slow, slowErr)
		}
	})
}

func TestInt(t *testing.T) {
	t.Parallel()
	if n, err := Int(int64(math.MaxInt32)); err != nil || n != math.MaxInt32 {
		t.Errorf("%d: %v", n, err)
	}
	if _, err := Int("1"); err == nil {
		t.Error("a string is a number")
	}
}
