package reports

import (
	"bufio"
	"compress/gzip"
	"io"
)

// bufferSize is what the parsers of messages and of reports take for a buffer. One that is given
// as large they use as it is.
const bufferSize = 64 << 10

// buffers are those that are not in use, so that a mailbox of many small messages does not take a
// new one for each.
type buffers struct {
	readers []*bufio.Reader
	gzips   []*gzip.Reader
}

func (f *buffers) reader(in io.Reader) *bufio.Reader {
	last := len(f.readers) - 1
	if last < 0 {
		return bufio.NewReaderSize(in, bufferSize)
	}
	b := f.readers[last]
	f.readers = f.readers[:last]
	b.Reset(in)
	return b
}

// free takes a reader back, which nobody may use any more.
func (f *buffers) free(b *bufio.Reader) {
	b.Reset(nil)
	f.readers = append(f.readers, b)
}

func (f *buffers) gzip(in io.Reader) (*gzip.Reader, error) {
	last := len(f.gzips) - 1
	if last < 0 {
		return gzip.NewReader(in)
	}
	z := f.gzips[last]
	f.gzips = f.gzips[:last]
	return z, z.Reset(in)
}

func (f *buffers) freeGzip(z *gzip.Reader) { f.gzips = append(f.gzips, z) }
