// Package resp speaks the protocol of Redis and Valkey, RESP2 and RESP3, over one
// connection.
//
// It stands in the place of a library for two reasons. go-redis 9.23, rueidis 1.0, radix 4.1 and
// redigo 1.9 allocate whatever length an answer announces, so that the 14 bytes
// "$99999999999\r\n" of a server that is none, or broken, end the process: "out of memory"
// cannot be recovered from. And private keys stay in their strings and buffers, where nobody
// can wipe them.
package resp

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Error is an error that the server answers, as "NOAUTH Authentication required.".
type Error string

func (e Error) Error() string { return string(e) }

// Push is what the server sends unasked: invalidations, in RESP3.
type Push []any

// What a reply may have, so that a server that is none costs no memory without end.
const (
	maxBulk  = 64 << 20
	maxItems = 64 << 20
	maxDepth = 8
	maxLine  = 64 << 10
)

// reader reads replies. Its buffer has private keys in it, so it is its own and wiped.
type reader struct {
	from       io.Reader
	buf        [16 << 10]byte
	begin, end int
	text       []byte // of the line
}

// wipe clears what was read and is not to be.
func (r *reader) wipe() {
	clear(r.buf[:r.begin])
	if r.begin == r.end {
		clear(r.buf[:r.end])
		r.begin, r.end = 0, 0
	}
}

// fill reads more, once, into an empty buffer.
func (r *reader) fill() error {
	n, err := r.from.Read(r.buf[:])
	r.begin, r.end = 0, n
	if n > 0 {
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// line returns a line, which is valid until the next one.
func (r *reader) line() ([]byte, error) {
	line := r.text[:0]
	for {
		if r.begin == r.end {
			if err := r.fill(); err != nil {
				return nil, err
			}
		}
		c := r.buf[r.begin]
		r.begin++
		if c == '\n' {
			break
		}
		if line = append(line, c); len(line) > maxLine {
			return nil, errProtocol("a line is too long")
		}
	}
	r.text = line
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return nil, errProtocol("a line does not end in CR LF")
	}
	return line[:len(line)-1], nil
}

// full reads into all of p.
func (r *reader) full(p []byte) error {
	n := copy(p, r.buf[r.begin:r.end])
	r.begin += n
	_, err := io.ReadFull(r.from, p[n:])
	return err
}

// value reads a reply: nil, int64, string (a simple one), []byte, bool, float64, Error, []any
// (also of a set; of a map keys and values in turn), or Push.
func (r *reader) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, errProtocol("replies are nested too deep")
	}
	line, err := r.line()
	if err != nil {
		return nil, err
	}
	if len(line) == 0 {
		return nil, errProtocol("a line is empty")
	}
	kind, rest := line[0], line[1:]
	switch kind {
	case '+':
		return string(rest), nil
	case '-':
		return Error(rest), nil
	case ':':
		n, err := strconv.ParseInt(string(rest), 10, 64)
		if err != nil {
			return nil, errProtocol("invalid number")
		}
		return n, nil
	case '_':
		return nil, nil
	case '#':
		return string(rest) == "t", nil
	case ',':
		f, err := strconv.ParseFloat(string(rest), 64)
		if err != nil {
			return nil, errProtocol("invalid number")
		}
		return f, nil
	case '(':
		return string(rest), nil
	case '$', '=', '!':
		return r.bulk(kind, rest)
	case '*', '~', '>', '%', '|':
		return r.aggregate(kind, rest, depth)
	}
	return nil, errProtocol(fmt.Sprintf("unknown type %q", kind))
}

func (r *reader) bulk(kind byte, length []byte) (any, error) {
	n, err := strconv.ParseInt(string(length), 10, 64)
	if n == -1 && kind == '$' {
		return nil, nil
	}
	if err != nil || n < 0 || n > maxBulk {
		return nil, errProtocol("invalid length")
	}
	// A length alone takes no memory: most are short, and the rest grows as it comes.
	const step = 1 << 20
	data := make([]byte, 0, min(n, step))
	for int64(len(data)) < n {
		have, more := len(data), int(min(n-int64(len(data)), step))
		if have+more > cap(data) {
			grown := make([]byte, have, min(int(n), max(2*cap(data), have+more)))
			copy(grown, data)
			clear(data)
			data = grown
		}
		data = data[:have+more]
		if err := r.full(data[have:]); err != nil {
			return nil, err
		}
	}
	var end [2]byte
	if err := r.full(end[:]); err != nil {
		return nil, err
	}
	switch {
	case end != [2]byte{'\r', '\n'}:
		return nil, errProtocol("a string does not end in CR LF")
	case kind == '!':
		return Error(data), nil
	case kind == '=' && len(data) >= 4:
		return data[4:], nil // after "txt:"
	}
	return data, nil
}

func (r *reader) aggregate(kind byte, length []byte, depth int) (any, error) {
	n, err := strconv.ParseInt(string(length), 10, 64)
	if n == -1 && kind == '*' {
		return nil, nil
	}
	if err != nil || n < 0 || n > maxItems {
		return nil, errProtocol("invalid length")
	}
	if kind == '%' || kind == '|' {
		n *= 2
	}
	items := make([]any, 0, min(n, 1024))
	for range n {
		item, err := r.value(depth + 1)
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	switch kind {
	case '>':
		return Push(items), nil
	case '|':
		return r.value(depth) // attributes stand before a reply, and none is asked for
	}
	return items, nil
}

func errProtocol(what string) error {
	return fmt.Errorf("not an answer of Redis: %s", what)
}

// Text returns a reply that is a string, or "" and false.
func Text(reply any) (string, bool) {
	switch reply := reply.(type) {
	case string:
		return reply, true
	case []byte:
		return string(reply), true
	}
	return "", false
}

// Int returns a reply that is a number.
func Int(reply any) (int, error) {
	n, ok := reply.(int64)
	if !ok || n > math.MaxInt || n < math.MinInt {
		return 0, errors.New("the server did not answer with a number")
	}
	return int(n), nil
}
