package reports

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"

	"signpost/keystore/report"
)

// bufferSize is what the parsers of messages and of reports take for a buffer. One that is given
// as large they use as it is.
const bufferSize = 64 << 10

// keptText is up to which size the text of a message is used again.
const keptText = 1 << 20

// buffers are those that are not in use, so that a mailbox of many small messages does not take a
// new one for each.
type buffers struct {
	readers  []*bufio.Reader
	sniffers []*bufio.Reader
	gzips    []*gzip.Reader
	texts    []*bytes.Buffer
}

// take returns the last of a list, or nil.
func take[T any](list *[]*T) *T {
	last := len(*list) - 1
	if last < 0 {
		return nil
	}
	one := (*list)[last]
	*list = (*list)[:last]
	return one
}

func reading(list *[]*bufio.Reader, in io.Reader, size int) *bufio.Reader {
	b := take(list)
	if b == nil {
		return bufio.NewReaderSize(in, size)
	}
	b.Reset(in)
	return b
}

func (f *buffers) reader(in io.Reader) *bufio.Reader { return reading(&f.readers, in, bufferSize) }

// free takes a reader back, which nobody may use any more.
func (f *buffers) free(b *bufio.Reader) {
	b.Reset(nil)
	f.readers = append(f.readers, b)
}

// sniffer returns a reader for what may be anything.
func (f *buffers) sniffer(in io.Reader) *bufio.Reader {
	return reading(&f.sniffers, in, 2*report.SniffLen)
}

func (f *buffers) freeSniffer(b *bufio.Reader) {
	b.Reset(nil)
	f.sniffers = append(f.sniffers, b)
}

func (f *buffers) gzip(in io.Reader) (*gzip.Reader, error) {
	if z := take(&f.gzips); z != nil {
		return z, z.Reset(in)
	}
	return gzip.NewReader(in)
}

func (f *buffers) freeGzip(z *gzip.Reader) { f.gzips = append(f.gzips, z) }

func (f *buffers) text() *bytes.Buffer {
	if b := take(&f.texts); b != nil {
		return b
	}
	return new(bytes.Buffer)
}

func (f *buffers) freeText(b *bytes.Buffer) {
	if b.Cap() <= keptText {
		b.Reset()
		f.texts = append(f.texts, b)
	}
}
