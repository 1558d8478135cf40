package keystore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"signpost/keystore/finding"
	"signpost/keystore/regular"
)

// maxFile bounds a key file: an RSA key of 16384 bits takes 13 KB.
const maxFile = 64 << 10

// settled is how old the times of a file must be before an equal stat counts as an
// equal file: within one tick of the clock a file can change twice.
const settled = 2 * time.Second

// file is the state of one key file, or of a folder that cannot be read: then the
// path ends in a slash. It is immutable.
type file struct {
	// Key is that of the last good version. Without one it has the names and the path,
	// and no Signer.
	Key
	stamp stamp
	err   error    // why the present version is not usable
	gone  *absence // nil if the file is there
}

func (f *file) isFolder() bool { return strings.HasSuffix(f.File, "/") }

func (f *file) claim() claim { return claim{f.Domain, f.Selector} }

// stamp is a hash of what stat returns for a version of a file; 0 is no version. The
// change time is part of it, for it cannot be set: "cp -p" of an older file
// is noticed.
type stamp uint64

// stampOf returns the stamp. It is good for comparison if the times of the file have
// settled.
func stampOf(info fs.FileInfo, now time.Time) (s stamp, good bool) {
	sys, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, false
	}
	b := make([]byte, 0, 64)
	for _, n := range []uint64{uint64(sys.Dev), sys.Ino, uint64(sys.Size), uint64(sys.Mode), uint64(sys.Uid),
		uint64(sys.Mtim.Nano()), uint64(sys.Ctim.Nano())} {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	sum := sha256.Sum256(b)
	return stamp(binary.LittleEndian.Uint64(sum[:]) | 1), now.Sub(time.Unix(sys.Ctim.Unix())) > settled
}

// unchanged reports whether the file with this stamp is as it was last read.
func (f *file) unchanged(now stamp) bool {
	return f.err == nil && f.gone == nil && f.stamp != 0 && f.stamp == now
}

// load reads the file with the claim at path, given its state before, which may be
// nil. It returns nil for a missing file.
func (o *Options) load(c claim, path string, before *file, recent *recent) *file {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		if absent(path) {
			return nil
		}
		err = notFound()
	}
	f := &file{Key: Key{Domain: c.domain, Selector: c.selector, File: path}}
	if err == nil && !info.Mode().IsRegular() {
		// Not opened: a FIFO would block.
		err = finding.WithHint(errors.New("it is not a regular file"), "remove it or rename it")
	}
	if err == nil {
		if now, _ := stampOf(info, time.Now()); before != nil && before.unchanged(now) {
			return before
		} else if before != nil && before.err == nil && before.stamp != 0 && before.stamp == now {
			back := *before // it was missing, with the whole directory perhaps
			back.gone = nil
			return &back
		}
		err = f.read(before, o, recent)
		if errors.Is(err, fs.ErrNotExist) && absent(path) {
			return nil
		}
	}
	if err != nil {
		f.err = finding.ReadHint(err, path)
		if before != nil {
			f.Key = before.Key
		}
		if before != nil && before.fails(f.err) {
			return before // one error, however often it is read
		}
	}
	return f
}

// readWhole reads no more than maxFile and one byte. It does so into one piece of memory:
// one that grows would leave copies of the key behind.
func readWhole(opened *os.File, size int64) ([]byte, error) {
	data := make([]byte, min(max(size, 4<<10), maxFile)+1)
	n, err := io.ReadFull(opened, data)
	switch {
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		err = nil
	case err == nil && n <= maxFile:
		err = errors.New("it changes while it is read")
	}
	return data[:n], err
}

// fails reports whether the file is there with this error.
func (f *file) fails(err error) bool {
	return f.gone == nil && f.err != nil && f.err.Error() == err.Error()
}

// read opens the file and takes its stamp and content from the same version.
func (f *file) read(before *file, options *Options, recent *recent) error {
	opened, info, err := regular.Open(f.File)
	if err != nil {
		return err
	}
	defer opened.Close()
	if info.Size() == 0 {
		return errors.New("the file is empty")
	}
	data, err := readWhole(opened, info.Size())
	defer clear(data)
	if err != nil {
		return err
	}
	if len(data) > maxFile {
		return fmt.Errorf("it is larger than %d bytes, so it is not a key", maxFile)
	}
	if now, good := stampOf(info, time.Now()); good {
		f.stamp = now
	}
	if mode := info.Mode().Perm(); options.RequireSafe && mode&0o077 != 0 {
		return finding.WithHint(fmt.Errorf("mode %04o lets others at the key", mode),
			"chmod 0400, or set OPENDKIM_RequireSafeKeys=no")
	}
	return f.parse(data, info.ModTime(), before, options, recent)
}

// parse takes the key in data, which was written at that time. Before is the state of the
// file before, which may be nil.
func (f *file) parse(data []byte, written time.Time, before *file, options *Options, recent *recent) error {
	signer, err := ParsePrivate(data)
	if err != nil {
		return err
	}
	algorithm, bits := Describe(signer)
	if algorithm == RSA && bits < options.MinBits {
		return finding.WithHint(
			fmt.Errorf("RSA key of %d bits is shorter than the %d asked for", bits, options.MinBits),
			"make a new one")
	}
	kept, err := newSecret(signer, recent)
	wipeSigner(signer)
	if err != nil {
		return err
	}
	f.Algorithm, f.Bits, f.Signer, f.ModTime = algorithm, bits, kept, written
	if made, ok := madeIn(data); ok {
		f.ModTime = made
	}
	if before != nil && before.Signer != nil && before.samePublic(&f.Key) {
		f.Signer = before.Signer // the same key: it stays ready to sign
		kept.wipe()
	}
	return nil
}
