package reports

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"mime"
	"strings"

	"signpost/milter/message"
)

// maxMultipart bounds how deep multipart bodies are looked for in each other, within a message.
const maxMultipart = 10

// message looks for reports in a message, and reports whether it could be read. What is not a
// message is no concern of ours within another.
func (s *search) message(where string, in io.Reader, depth int) bool {
	before, outer := s.count, s.letter
	all := &bounded{s: s, in: in, left: math.MaxInt64}
	text := s.buffers.text()
	defer s.buffers.freeText(text)
	_, err := text.ReadFrom(io.LimitReader(all, s.Limits.Message))
	if fields, body, ok := s.header(text.Bytes()); ok && err == nil {
		cut := int64(text.Len()) == s.Limits.Message
		s.letter = letter{mail: true, cut: outer.cut || cut, text: text.Bytes()}
		s.entity(where, entity{fields: fields, body: body}, depth, maxMultipart)
	}
	s.letter = outer
	if all.err != nil {
		s.fail(where, all.err)
	} else if !outer.mail && s.count == before {
		s.tell(Found{Where: where, Without: Message})
	}
	return all.err == nil
}

// header reads the header of a message or a part, and returns the body without copying it.
func (s *search) header(text []byte) (fields []message.Field, body []byte, ok bool) {
	buffer := s.buffers.reader(bytes.NewReader(text))
	defer s.buffers.free(buffer)
	m := message.Reader{Lenient: true}
	if m.ReadHeader(buffer) != nil {
		return nil, nil, false
	}
	rest, _ := io.Copy(io.Discard, m.Body())
	return m.Fields, text[len(text)-int(rest):], true
}

// entity is a message or a part of one (RFC 2045).
type entity struct {
	fields []message.Field
	body   []byte
	number int // of a part
}

// entity looks for reports in an entity, whatever it says that it is.
func (s *search) entity(where string, e entity, depth, nested int) {
	media, param := mediaType(e.value("content-type"))
	if strings.HasPrefix(media, "multipart/") && nested > 0 {
		if parts := split(e.body, param("boundary")); parts != nil {
			for i, part := range parts {
				if !s.member(where) {
					return
				}
				s.entity(where, s.part(part, i+1), depth, nested-1)
			}
			return
		}
	}
	body := e.content()
	if name := label(e.name(param)); name != "" {
		where += ": " + name
	} else if e.number > 0 {
		where += fmt.Sprintf(": part %d", e.number)
	}
	switch {
	case media != "message/rfc822" && media != "message/global":
		s.content(where, bytes.NewReader(body), depth)
	case depth > 0:
		s.message(where, bytes.NewReader(body), depth-1)
	default:
		s.tooDeep(where)
	}
}

// content returns the body, decoded. A header that is malformed in the middle, as by a parameter
// on a line of its own that is not indented, ends there; then the body is after the next empty line.
func (e *entity) content() []byte {
	encoding := e.value("content-transfer-encoding")
	body := decode(encoding, e.body)
	if !isKnown(body) {
		start := e.body[:min(len(e.body), 2000)]
		for _, blank := range []string{"\n\r\n", "\n\n"} {
			if at := bytes.Index(start, []byte(blank)); at >= 0 {
				if rest := decode(encoding, e.body[at+len(blank):]); isKnown(rest) {
					return rest
				}
			}
		}
	}
	return body
}

// part reads a part of a multipart body, without copying. One without a header is all body.
func (s *search) part(part []byte, number int) entity {
	if fields, body, ok := s.header(part); ok {
		return entity{fields, body, number}
	}
	return entity{body: part, number: number}
}

// value returns the value of a field in one line.
func (e *entity) value(name string) string {
	for _, f := range message.Named(e.fields, name) {
		return strings.TrimSpace(strings.ReplaceAll(strings.ReplaceAll(f.Value, "\r", ""), "\n", ""))
	}
	return ""
}

// name returns the file name that is given for an attachment.
func (e *entity) name(param func(string) string) string {
	_, disposition := mediaType(e.value("content-disposition"))
	name := disposition("filename")
	if name == "" {
		name = param("name")
	}
	if decoded, err := new(mime.WordDecoder).DecodeHeader(name); err == nil {
		name = decoded
	}
	return name[strings.LastIndexAny(name, `/\`)+1:]
}

// mediaType parses the value of Content-Type or Content-Disposition. Where that is not as it
// should be, parameters are read as well as they can be.
func mediaType(value string) (media string, param func(name string) string) {
	media, params, err := mime.ParseMediaType(value)
	if err != nil {
		media, _, _ = strings.Cut(value, ";")
		media = strings.ToLower(strings.TrimSpace(media))
	}
	return media, func(name string) string {
		if text := params[name]; text != "" {
			return text
		}
		return looseParam(value, name)
	}
}

// looseParam finds a parameter in a value that is malformed: blanks and 8-bit text without
// quotes, quotes that do not end, the same name twice.
func looseParam(value, name string) string {
	for at := 0; at+len(name) <= len(value); at++ {
		from := at + len(name)
		if !strings.EqualFold(value[at:from], name) {
			continue
		}
		before := strings.TrimRight(value[:at], " \t")
		text, found := strings.CutPrefix(strings.TrimLeft(value[from:], " \t"), "=")
		if !found || before != "" && !strings.HasSuffix(before, ";") {
			continue
		}
		text = strings.TrimLeft(text, " \t")
		if quoted, found := strings.CutPrefix(text, `"`); found {
			text, _, _ = strings.Cut(quoted, `"`)
		} else {
			text, _, _ = strings.Cut(text, ";")
		}
		return strings.TrimSpace(text)
	}
	return ""
}
