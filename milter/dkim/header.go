package dkim

import "bytes"

// Field is a header field as it stands in the message. Value is everything
// after the colon, a leading space included, without the final line end.
// Lines of a folded value may be parted by CRLF, or by a lone LF as the milter
// protocol hands them over; both mean CRLF.
type Field struct{ Name, Value string }

// header keeps the fields of a message that are signed, in canonical form.
type header struct {
	text   []byte        // the newest block of memory, with the latest fields end to end
	fields []signedField // in the order of the message
	last   []int         // by name, as in Recipe.names: its last field, or -1
}

// signedField is a field with its CRLF, and the next field up with its name, or -1.
type signedField struct {
	text  []byte
	above int
}

// Sizes of the blocks of text, in octets. What is full stays where it is, so a
// long header is never copied; one larger than most gets a block to itself.
const (
	smallBlock = 4 << 10
	largeBlock = 16 << 10 // kept for the next message
)

func (h *header) reset(names int) {
	clear(h.fields) // for they hold on to the blocks
	h.text, h.fields, h.last = emptied(h.text, largeBlock), emptied(h.fields, mostFields), h.last[:0]
	for range names {
		h.last = append(h.last, -1)
	}
}

// mostFields is of how many fields the list is kept for the next message.
const mostFields = 256

// emptied keeps the memory of a slice for the next message, unless this one was
// larger than most.
func emptied[T any](s []T, most int) []T {
	if cap(s) > most {
		return nil
	}
	return s[:0]
}

// add takes a field whose name is names[n].
func (h *header) add(c Canonicalization, n int, name, value []byte) {
	if size := h.block(c, name, value); size > 0 {
		h.text = make([]byte, 0, size)
	}
	if size := h.list(); size > 0 {
		h.fields = append(make([]signedField, 0, size), h.fields...)
	}
	start := len(h.text)
	h.text = append(appendField(h.text, c, name, value), "\r\n"...)
	h.fields = append(h.fields, signedField{h.text[start:len(h.text):len(h.text)], h.last[n]})
	h.last[n] = len(h.fields) - 1
}

// block returns the size of the block that a field begins, or 0 if there is room.
func (h *header) block(c Canonicalization, name, value []byte) int {
	size := len(name) + len(":") + len(value) + len("\r\n")
	if c == Simple {
		size += bytes.Count(value, []byte{'\n'}) // a lone LF becomes CRLF
	}
	if size <= cap(h.text)-len(h.text) {
		return 0
	}
	if cap(h.text) == 0 {
		return max(size, smallBlock)
	}
	return max(size, largeBlock)
}

// list returns how many fields there must be room for, or 0 if there is.
func (h *header) list() int {
	if len(h.fields) < cap(h.fields) {
		return 0
	}
	return max(16, 2*cap(h.fields))
}

// grows returns how many octets of memory a field takes.
func (h *header) grows(c Canonicalization, name, value []byte) int {
	const perField = 64 // a signedField, and its name for h=
	return h.block(c, name, value) + h.list()*perField
}

// all calls each for the signed fields in the order of h=: in that of the
// policy, and of fields with one name the last first (RFC 6376, section 5.4.2).
// A name that is oversigned comes once more, with no text: it stands for no
// field and adds nothing to the hash.
func (h *header) all(r *Recipe, each func(name string, text []byte)) {
	for n, signed := range r.names {
		for i := h.last[n]; i >= 0; i = h.fields[i].above {
			each(signed.name, h.fields[i].text)
		}
		if signed.over {
			each(signed.name, nil)
		}
	}
}

// appendField appends the canonical form of a field without its final CRLF.
func appendField[T []byte | string](dst []byte, c Canonicalization, name, value T) []byte {
	if c == Relaxed {
		end := len(name)
		for end > 0 && isBlank(name[end-1]) { // RFC 5322, section 4.5, had some
			end--
		}
		dst = appendLower(dst, name[:end])
		dst = append(dst, ':')
		return appendRelaxed(dst, value)
	}
	dst = append(dst, name...)
	dst = append(dst, ':')
	return appendSimple(dst, value)
}

// appendSimple appends v as it stands in the message: with CRLF line ends.
func appendSimple[T []byte | string](dst []byte, v T) []byte {
	start := 0
	for i := range len(v) {
		if v[i] == '\n' && (i == 0 || v[i-1] != '\r') {
			dst = append(dst, v[start:i]...)
			dst = append(dst, "\r\n"...)
			start = i + 1
		}
	}
	return append(dst, v[start:]...)
}

// appendRelaxed appends v by RFC 6376, section 3.4.2: unfolded, each run of
// white space one SP, none at either end. A bare CR is not white space.
func appendRelaxed[T []byte | string](dst []byte, v T) []byte {
	start, blank := len(dst), false
	for i := 0; i < len(v); i++ {
		c := v[i]
		if isBlank(c) {
			blank = true
			continue
		}
		if c == '\n' || c == '\r' && i+1 < len(v) && v[i+1] == '\n' {
			continue // a fold; the white space after it counts by itself
		}
		if blank && len(dst) > start {
			dst = append(dst, ' ')
		}
		blank = false
		dst = append(dst, c)
	}
	return dst
}

// appendLower appends a name with its ASCII letters in lower case. Other octets
// stay.
func appendLower[T []byte | string](dst []byte, name T) []byte {
	for i := range len(name) {
		c := name[i]
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }
