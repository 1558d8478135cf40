package report

import (
	"bytes"
	"encoding/binary"
)

// utf16Order tells by its byte order mark that a text is UTF-16. It is nil for any other.
func utf16Order(text []byte) binary.ByteOrder {
	switch {
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		return binary.BigEndian
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		return binary.LittleEndian
	}
	return nil
}
