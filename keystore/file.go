package keystore

import (
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"

	"signpost/keystore/libcrypto"
)

// maxFile bounds a key file: an RSA key of 16384 bits takes 13 KB.
const maxFile = 64 << 10

// settled is how long the times of a file must lie back before an equal stat is
// taken for an equal file: within one tick of the clock a file can change twice.
const settled = 2 * time.Second

// file is the state of one key file, kept from load to load.
type file struct {
	path  string // as it is shown
	claim claim
	stamp stamp
	sum   [sha256.Size]byte
	key   *Key      // of the last good version; nil when there was none
	err   error     // why the version that is there now is not usable
	gone  time.Time // since when the file is missing; zero while it is there
}

// grace is how long a key stays in force after its file has gone: many
// programs replace a file by removing it and making it anew.
const grace = 200 * time.Millisecond

// stamp is what stat says of a version of a file. The change time is part of
// it, for it cannot be set: "cp -p" of an older file does not hide.
type stamp struct {
	dev, ino         uint64
	size             int64
	modTime, ctime   time.Time
	mode             fs.FileMode
	uid              uint32
	settledWhenTaken bool
}

func stampOf(info fs.FileInfo, now time.Time) stamp {
	s := stamp{size: info.Size(), modTime: info.ModTime(), mode: info.Mode()}
	if sys, ok := info.Sys().(*syscall.Stat_t); ok {
		s.dev, s.ino, s.uid = uint64(sys.Dev), sys.Ino, sys.Uid
		s.ctime = time.Unix(sys.Ctim.Unix())
		s.settledWhenTaken = now.Sub(s.ctime) > settled
	}
	return s
}

// unchanged reports whether a file with stamp now must be the version that
// before was taken of.
func (before stamp) unchanged(now stamp) bool {
	if !before.settledWhenTaken {
		return false
	}
	now.settledWhenTaken = true
	return before == now
}

// read opens the file and takes its stamp and content from the same version.
func (f *file) read(before *file, options Options) error {
	opened, err := os.OpenFile(f.path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
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
	if len(data) > maxFile {
		return fmt.Errorf("it is larger than %d bytes, so it is no key", maxFile)
	}
	f.stamp = stampOf(info, time.Now())
	f.sum = sha256.Sum256(data)
	if mode := info.Mode().Perm(); options.RequireSafe && mode&0o077 != 0 {
		return fmt.Errorf("mode %04o lets others at the key; hint: chmod 0400, or set OPENDKIM_RequireSafeKeys=no", mode)
	}
	if before != nil && before.err == nil && before.sum == f.sum {
		f.key = before.key
		if !before.key.ModTime.Equal(f.stamp.modTime) {
			moved := *before.key
			moved.ModTime = f.stamp.modTime
			f.key = &moved
		}
		return nil
	}
	signer, err := ParsePrivate(data)
	if err != nil {
		return err
	}
	algorithm, bits := Describe(signer)
	if algorithm == RSA && bits < options.MinBits {
		return fmt.Errorf("RSA key of %d bits is shorter than the %d asked for; hint: make a new one", bits, options.MinBits)
	}
	if key, ok := signer.(*rsa.PrivateKey); ok {
		if signer, err = libcrypto.Signer(key); err != nil {
			return err
		}
	}
	f.key = &Key{
		Domain: f.claim.domain, Selector: f.claim.selector,
		Algorithm: algorithm, Bits: bits, Signer: signer,
		File: f.path, ModTime: f.stamp.modTime,
	}
	return nil
}
