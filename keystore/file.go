package keystore

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"signpost/keystore/finding"
)

// maxFile bounds a key file: an RSA key of 16384 bits takes 13 KB.
const maxFile = 64 << 10

// settled is how old the times of a file must be before an equal stat counts as an
// equal file: within one tick of the clock a file can change twice.
const settled = 2 * time.Second

// grace is how long a key stays in force after its file was removed: many
// programs replace a file by removing it and creating it again.
const grace = 200 * time.Millisecond

// file is the state of one key file. It is immutable.
type file struct {
	// Key is that of the last good version. Without one it has the names and the path,
	// and no Signer.
	Key
	stamp stamp
	err   error // why the present version is not usable
	gone  int64 // since when the file is missing, in nanoseconds; 0 if it is not
}

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
	return f.err == nil && f.gone == 0 && f.stamp != 0 && f.stamp == now
}

// load reads the file with the claim at path, given its state before, which may be
// nil. It returns nil for a missing file.
func (o *Options) load(c claim, path string, before *file, recent *recent) *file {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // removed since the listing, or a dangling symlink
	}
	f := &file{Key: Key{Domain: c.domain, Selector: c.selector, File: path}}
	if err == nil && !info.Mode().IsRegular() {
		// Not opened: a FIFO would block.
		err = finding.WithHint(errors.New("it is not a regular file"), "remove it or rename it")
	}
	if err == nil {
		if now, _ := stampOf(info, time.Now()); before != nil && before.unchanged(now) {
			return before
		}
		err = f.read(before, o, recent)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	if err != nil {
		f.err = finding.FileHint(err, path)
		if before != nil {
			f.Key = before.Key
		}
		if before != nil && before.err != nil && before.err.Error() == f.err.Error() {
			f.err = before.err // one error, however often it is read
		}
	}
	return f
}

// read opens the file and takes its stamp and content from the same version.
func (f *file) read(before *file, options *Options, recent *recent) error {
	opened, err := os.OpenFile(f.File, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	defer opened.Close()
	info, err := opened.Stat()
	if err != nil {
		return err
	}
	data, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err != nil {
		return err
	}
	defer clear(data)
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
	if err != nil {
		return err
	}
	f.Algorithm, f.Bits, f.Signer, f.ModTime = algorithm, bits, kept, info.ModTime()
	if before != nil && before.Signer != nil && before.samePublic(&f.Key) {
		f.Signer = before.Signer // the same key: it stays ready to sign
	}
	return nil
}
