package report

import (
	"bufio"
	"bytes"
	"io"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
)

// utf8Reader gives a report as UTF-8, by what it begins with and what it declares. What is not
// valid UTF-8 stays so. A declaration that cannot be followed is returned; domains, addresses
// and results are ASCII, so it is no reason to refuse a report.
func utf8Reader(r io.Reader) (io.Reader, string) {
	in := bufio.NewReaderSize(r, 4096)
	prefix, _ := in.Peek(1024)
	if order, ok := utf16Order(prefix); ok {
		return unicode.UTF16(order, unicode.UseBOM).NewDecoder().Reader(in), ""
	}
	name := declared(prefix)
	switch known := charset(name); {
	case known != nil:
		return known.NewDecoder().Reader(in), ""
	case name == "", strings.HasPrefix(name, "utf"), strings.HasSuffix(name, "ascii"):
		// A declared UTF-16 whose bytes are none is what .NET writes of its own strings.
		return in, ""
	}
	return in, name
}

// charset returns what 8-bit encodings reporters use. As browsers do it takes ISO-8859-1 for
// windows-1252, which is the same but for control characters.
func charset(name string) encoding.Encoding {
	switch name {
	case "windows-1252", "cp1252", "iso-8859-1", "iso8859-1", "latin1":
		return charmap.Windows1252
	case "iso-8859-15":
		return charmap.ISO8859_15
	case "iso-8859-2":
		return charmap.ISO8859_2
	case "windows-1250":
		return charmap.Windows1250
	case "windows-1251":
		return charmap.Windows1251
	case "koi8-r":
		return charmap.KOI8R
	}
	return nil
}

// declared returns the encoding that the XML declaration names, in lower case.
func declared(prefix []byte) string {
	prefix = bytes.TrimLeft(bytes.TrimPrefix(prefix, []byte("\ufeff")), " \t\r\n")
	declaration, _, ok := bytes.Cut(prefix, []byte("?>"))
	if !ok || !bytes.HasPrefix(declaration, []byte("<?xml")) {
		return ""
	}
	_, value, ok := bytes.Cut(declaration, []byte("encoding"))
	if !ok {
		return ""
	}
	value = bytes.TrimLeft(value, "= \t\r\n")
	if len(value) < 2 || value[0] != '"' && value[0] != '\'' {
		return ""
	}
	name, _, _ := bytes.Cut(value[1:], value[:1])
	return strings.ToLower(string(name[:min(len(name), 40)]))
}

// utf16Order tells whether a text is UTF-16, by its byte order mark or the zero beside a "<".
func utf16Order(text []byte) (unicode.Endianness, bool) {
	switch {
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}), bytes.HasPrefix(text, []byte{0, '<'}):
		return unicode.BigEndian, true
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}), bytes.HasPrefix(text, []byte{'<', 0}):
		return unicode.LittleEndian, true
	}
	return unicode.BigEndian, false
}
