package reports

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"signpost/keystore/finding"
)

func isGzip(start []byte) bool { return bytes.HasPrefix(start, []byte("\x1f\x8b")) }

// isZip knows archives without members, too.
func isZip(start []byte) bool {
	return bytes.HasPrefix(start, []byte("PK\x03\x04")) || bytes.HasPrefix(start, []byte("PK\x05\x06"))
}

// unpacked bounds what comes out of an archive.
func (s *search) unpacked(in io.Reader) *bounded {
	return &bounded{s: s, in: in, left: s.Limits.Unpacked, limit: s.Limits.Unpacked, total: true}
}

func (s *search) gzip(where string, in *bufio.Reader, depth int) {
	z, err := s.buffers.gzip(in)
	if err != nil {
		s.fail(where, fmt.Errorf("damaged: %w", err))
		return
	}
	s.content(where, s.unpacked(&members{in: in, gzip: z}), depth)
	s.buffers.freeGzip(z)
}

// members reads the members of gzip data up to whatever else follows, such as the line end
// that a mail program added.
type members struct {
	in   *bufio.Reader
	gzip *gzip.Reader
	met  bool // the first member
}

func (m *members) Read(p []byte) (int, error) {
	if !m.met {
		m.gzip.Multistream(false)
		m.met = true
	}
	n, err := m.gzip.Read(p)
	if err != io.EOF {
		return n, err
	}
	if next, _ := m.in.Peek(2); !isGzip(next) {
		return n, io.EOF
	}
	if err := m.gzip.Reset(m.in); err != nil {
		return n, err
	}
	m.gzip.Multistream(false)
	return n, nil
}

// zip looks at each member. The archive is in memory or a file, or is read into memory.
func (s *search) zip(where string, in io.Reader, buffered *bufio.Reader, depth int) {
	type sized interface {
		io.ReaderAt
		Size() int64
	}
	archive, ok := in.(sized)
	if !ok {
		b := &bounded{s: s, in: buffered, left: s.Limits.Message, limit: s.Limits.Message}
		data, err := io.ReadAll(b)
		if err != nil {
			s.fail(where, err)
			return
		}
		archive = bytes.NewReader(data)
	}
	// The directory of a hostile archive takes much more memory than room.
	directory := &shortReaderAt{ReaderAt: archive, left: 256<<10 + 512*int64(s.Limits.Members)}
	z, err := zip.NewReader(directory, archive.Size())
	if directory.over {
		err = fmt.Errorf("an archive of more than %d members", s.Limits.Members)
	}
	if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
		s.fail(where, fmt.Errorf("damaged: %w", err))
		return
	}
	directory.left = -1
	if hasMore(archive, archive.Size()) {
		s.fail(where, finding.WithHint(errors.New("several archives in one, of which only one is read"),
			"give each by itself"))
	}
	for _, f := range z.File {
		if strings.HasSuffix(f.Name, "/") {
			continue
		}
		if !s.member(where) {
			return
		}
		s.zipMember(where+": "+label(f.Name), f, depth)
	}
}

// hasMore reports whether more is in a file than the archive at its end, as when archives are put
// one after the other (APPNOTE.TXT, section 4.3.16).
func hasMore(archive io.ReaderAt, size int64) bool {
	const length, most = 22, 64 << 10
	end := make([]byte, min(size, length+most))
	if _, err := archive.ReadAt(end, size-int64(len(end))); err != nil && err != io.EOF {
		return false
	}
	at := bytes.LastIndex(end, []byte("PK\x05\x06"))
	if at < 0 || at+length > len(end) {
		return false
	}
	if at >= 20 && string(end[at-20:at-16]) == "PK\x06\x07" {
		return false // ZIP64 has more between
	}
	directory, offset := binary.LittleEndian.Uint32(end[at+12:]), binary.LittleEndian.Uint32(end[at+16:])
	return int64(directory)+int64(offset) < size-int64(len(end))+int64(at)
}

func (s *search) zipMember(where string, f *zip.File, depth int) {
	if f.Flags&1 != 0 {
		s.fail(where, errors.New("encrypted"))
		return
	}
	in, err := f.Open()
	if err != nil {
		s.fail(where, fmt.Errorf("damaged: %w", err))
		return
	}
	defer in.Close()
	s.content(where, s.unpacked(in), depth)
}

// shortReaderAt lets only so much be read, or all while left is negative.
type shortReaderAt struct {
	io.ReaderAt
	left int64
	over bool
}

func (r *shortReaderAt) ReadAt(p []byte, at int64) (int, error) {
	if r.left < 0 {
		return r.ReaderAt.ReadAt(p, at)
	}
	if int64(len(p)) > r.left {
		r.over = true
		return 0, errors.New("too much to read")
	}
	r.left -= int64(len(p))
	return r.ReaderAt.ReadAt(p, at)
}
