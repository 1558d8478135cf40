package reports

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"signpost/keystore/report"
)

// file looks for reports in a file.
func (s *search) file(where string, in io.Reader) {
	s.renew()
	before := s.count
	s.content(where, in, s.Limits.Depth)
	if s.count == before {
		s.tell(Found{Where: where, Without: File})
	}
}

// content looks for reports in what may be anything. It may hold archives and messages in each
// other up to a depth.
func (s *search) content(where string, in io.Reader, depth int) {
	b := s.buffers.sniffer(in)
	defer s.buffers.freeSniffer(b)
	start, err := b.Peek(report.SniffLen)
	kind := report.Sniff(start)
	switch {
	case kind == report.Aggregate:
		s.aggregate(where, b)
	case kind == report.TLS:
		s.tls(where, b)
	case isGzip(start) || isZip(start):
		if depth == 0 {
			s.tooDeep(where)
		} else if isGzip(start) {
			s.gzip(where, b, depth-1)
		} else {
			s.zip(where, in, b, depth-1)
		}
	case bytes.HasPrefix(start, []byte("From ")) && !s.mail && depth > 0:
		s.mbox(where, b, depth)
	case err != nil && err != io.EOF:
		s.fail(where, err)
	case isMessage(start) && depth > 0:
		s.message(where, b, depth-1)
	}
}

func (s *search) tooDeep(where string) {
	s.fail(where, fmt.Errorf("more than %d archives or messages in each other", s.Limits.Depth))
}

// aggregate reads a report, or several one after the other, unless they came by mail: there is one.
func (s *search) aggregate(where string, in io.Reader) {
	b := &bounded{s: s, in: in, left: s.Limits.Unpacked, limit: s.Limits.Unpacked}
	buffer := s.buffers.reader(b)
	defer s.buffers.free(buffer)
	if s.mail {
		r, err := report.Parse(buffer)
		s.parsed(where, b, r, err)
		return
	}
	number := 0
	report.ParseAll(buffer, func(r *report.Report, err error) bool {
		if number++; number > 1 {
			s.parsed(fmt.Sprintf("%s: report %d", where, number), b, r, err)
		} else {
			s.parsed(where, b, r, err)
		}
		b.left = s.Limits.Unpacked // for the next
		return !s.done()
	})
}

func (s *search) parsed(where string, b *bounded, r *report.Report, err error) {
	if err != nil {
		s.fail(where, b.reason(err))
	} else {
		r.Origin = s.sender()
		s.tell(Found{Where: where, Report: r})
	}
}

func (s *search) tls(where string, in io.Reader) {
	b := &bounded{s: s, in: in, left: s.Limits.Unpacked, limit: s.Limits.Unpacked}
	r, err := report.ParseTLS(b)
	switch {
	case err != nil:
		s.fail(where, b.reason(err))
	case r.Reporter != "":
		s.tell(Found{Where: where, TLS: r.Reporter})
	default:
		s.tell(Found{Where: where, TLS: r.ID})
	}
}

// isKnown reports whether content is a report or an archive.
func isKnown(content []byte) bool {
	start := content[:min(len(content), report.SniffLen)]
	return isGzip(start) || isZip(start) || report.Sniff(start) != report.Other
}

// isMessage reports whether a text begins with a header field, as a message does. It may be one of
// any name, and longer than the start of the text. Other text that does so does no harm.
func isMessage(start []byte) bool {
	start = bytes.TrimPrefix(start, []byte("\ufeff"))
	name, value, found := bytes.Cut(start, []byte(":"))
	return found && len(name) > 0 && !bytes.HasPrefix(value, []byte("//")) &&
		!bytes.ContainsFunc(bytes.TrimRight(name, " \t"), func(c rune) bool {
			return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
		})
}

// label makes a name from outside fit for Where.
func label(name string) string {
	name = strings.ToValidUTF8(strings.TrimSpace(name), "\ufffd")
	if utf8.RuneCountInString(name) > 200 {
		name = string([]rune(name)[:200]) + "…"
	}
	return name
}
