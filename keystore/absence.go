package keystore

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"signpost/keystore/finding"
)

// DefaultRemovalGrace is how long a key stays in force after its file was removed.
const DefaultRemovalGrace = 10 * time.Second

// A file that cannot be found says little: its directory may be unmounted, moved away
// or replaced. So its key is dropped only when its absence is proven: the
// directory in which it was seen last was opened and read whole, and the file is not in
// it, now and for the grace period. Until then the key stays in force.

// place is the directory in which files were seen. A mount or an unmount changes it.
type place struct {
	root   uint32 // of the key directory, see rootOf; 0 when not known
	folder uint32 // the mount that the folder of the domain is on, see mountOf; 0 when not known, or for none
}

// rootOf returns the identity of the directory at a path, or of an open one for "". Its
// time of birth is part of it, where the file system has one: the inode of a directory
// that is removed goes to the next, and a new tmpfs has the device of the last.
func rootOf(at int, path string) (uint32, error) {
	info, err := statx(at, path, unix.STATX_INO|unix.STATX_BTIME)
	if err != nil {
		return 0, err
	}
	return short(info.Ino, uint64(info.Btime.Sec), uint64(info.Btime.Nsec), device(info)), nil
}

// mountOf returns the identity of the mount that a folder is on: its device and, where the
// kernel tells, its number. The mount of a folder of the same file system has the same device.
func mountOf(at int, path string) (uint32, error) {
	info, err := statx(at, path, unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE)
	if err != nil {
		return 0, err
	}
	return short(info.Mnt_id, device(info)), nil
}

func statx(at int, path string, fields int) (info unix.Statx_t, err error) {
	err = unix.Statx(at, path, unix.AT_EMPTY_PATH, fields, &info)
	for errors.Is(err, unix.EINTR) {
		err = unix.Statx(at, path, unix.AT_EMPTY_PATH, fields, &info)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EPERM) { // as the filters of old containers answer
		var stat unix.Stat_t
		err = unix.Fstatat(at, path, &stat, unix.AT_EMPTY_PATH)
		info.Dev_major, info.Dev_minor, info.Ino = unix.Major(uint64(stat.Dev)), unix.Minor(uint64(stat.Dev)), stat.Ino
	}
	if err != nil {
		return info, &fs.PathError{Op: "statx", Path: path, Err: err}
	}
	return info, nil
}

func device(info unix.Statx_t) uint64 { return uint64(info.Dev_major)<<32 | uint64(info.Dev_minor) }

// short is a hash of numbers that is not 0.
func short(numbers ...uint64) uint32 {
	b := make([]byte, 0, 32)
	for _, n := range numbers {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	sum := sha256.Sum256(b)
	return binary.LittleEndian.Uint32(sum[:]) | 1
}

// here returns which directory the path of the key directory leads to now; 0 if it
// cannot be looked at.
func (src *keyDirectory) here() uint32 {
	root, _ := rootOf(unix.AT_FDCWD, src.Dir)
	return root
}

// absent reports whether there is nothing at a path, not even a symlink to nowhere.
func absent(path string) bool {
	_, err := os.Lstat(path)
	return errors.Is(err, fs.ErrNotExist)
}

// notFound is the error of a path that leads nowhere, though there is something at it.
func notFound() error {
	return finding.WithHint(errors.New("it is a symlink whose target is missing"),
		"bring the target back, or remove the symlink")
}

// absence is that of a file which was there before.
type absence struct {
	seen     place
	archived bool // Retire has moved the file: that was meant

	// Guarded by Store.reload.
	since time.Time
	lost  bool // with all other keys at once
}

var errNeverRead = errors.New("it is missing, and was not read before")

// neverRead reports whether a file has gone before anybody read it.
func (f *file) neverRead() bool { return errors.Is(f.err, errNeverRead) }

// keepMissing adds to the files of a domain those known before that are not there now,
// but for those whose absence is proven. Whole are the folders that were read.
func (src *keyDirectory) keepMissing(
	files []*file, whole []string, domain string, previous *DomainKeys, proof *proof,
) []*file {
	if previous == nil {
		return files
	}
	keep := func(f file) {
		f.gone = &absence{since: time.Now(), seen: previous.at, archived: src.archived(&f)}
		if !proof.covers(src.pathIn(f.File), f.gone) {
			files = append(files, &f)
		}
	}
	for _, f := range previous.files {
		there := slices.ContainsFunc(files, func(have *file) bool {
			return have.File == f.File || have.gone == nil && have.err == nil && previous.yields(f, have)
		})
		switch {
		case there || f.isFolder() && slices.Contains(whole, src.unitOf(f.File)):
		case f.gone == nil:
			keep(*f)
		case !proof.covers(src.pathIn(f.File), f.gone):
			files = append(files, f)
		}
	}
	if previous.unread == nil {
		return files
	}
	for _, unit := range *previous.unread {
		in := func(f *file) bool { return src.unitOf(f.File) == unit }
		if slices.Contains(whole, unit) || slices.ContainsFunc(files, in) {
			continue
		}
		// It was listed, and has gone before anybody read it.
		f := file{Key: Key{Domain: domain, File: src.path(unit)},
			err: finding.WithHint(errNeverRead, "put it back")}
		if c, ok, err := claimOf(unit, src.Selectors); ok && err == nil {
			f.Selector = c.selector
		}
		keep(f)
	}
	return files
}

// yields reports whether a file that is there has taken the name of f, in another layout:
// with the same key, or with one that is new. With one that was there before, f has
// the name by right for as long as its absence is not proven.
func (d *DomainKeys) yields(f, there *file) bool {
	if there.claim() != f.claim() {
		return false
	}
	return f.Signer == nil || there.samePublic(&f.Key) || !slices.ContainsFunc(d.files, func(before *file) bool {
		return before.File == there.File && before.Signer != nil && before.samePublic(&there.Key)
	})
}

// archived reports whether Retire has moved the key of a file.
func (src *keyDirectory) archived(f *file) bool {
	if f.Signer == nil {
		return false
	}
	folder := filepath.Join(src.Dir, RetiredFolder, f.Domain)
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		old := &file{Key: Key{File: filepath.Join(folder, entry.Name())}}
		if !strings.HasPrefix(entry.Name(), f.Selector+".") || !strings.HasSuffix(entry.Name(), ".private") {
			continue
		}
		if old.read(nil, &Options{}, nil) != nil {
			continue
		}
		same := old.samePublic(&f.Key)
		old.Signer.(*secret).wipe()
		if same {
			return true
		}
	}
	return false
}

// proof is a look at a key directory that was read whole and is open, by which the
// absence of files is proven.
type proof struct {
	dir    *os.File
	root   uint32
	grace  time.Duration
	accept bool // what the directory says counts, whatever it was before
}

// covers reports whether it is proven that a file is absent, given by its path in
// the directory. It takes a last look for that.
func (p *proof) covers(path string, a *absence) bool {
	if p == nil {
		return false
	}
	if !p.accept && (time.Since(a.since) < p.grace || a.unproven(p.root) != nil) {
		return false
	}
	folder, name, _ := strings.Cut(path, "/")
	var stat unix.Stat_t
	err := unix.Fstatat(int(p.dir.Fd()), folder, &stat, unix.AT_SYMLINK_NOFOLLOW)
	if err != nil || name == "" {
		return errors.Is(err, fs.ErrNotExist)
	}
	fd, err := unix.Openat(int(p.dir.Fd()), folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	opened := os.NewFile(uintptr(fd), folder)
	defer opened.Close()
	mount, err := mountOf(fd, "")
	if err != nil || !p.accept && !a.archived && mount != a.seen.folder {
		return false
	}
	names, err := opened.Readdirnames(-1)
	return err == nil && !slices.Contains(names, name)
}

// Why the absence of a file will not be proven by waiting.
var (
	errLost     = errors.New("all keys are missing at once")
	errReplaced = errors.New("the directory is another one than before")
	errMounted  = errors.New("a folder was mounted or unmounted")
)

// unproven says why an absence will not be proven by waiting, given the key directory as
// it was last read and without a look at the folder; nil when it will.
func (a *absence) unproven(root uint32) error {
	switch {
	case a.archived:
		return nil
	case a.lost:
		return errLost
	case a.seen.root != root:
		return errReplaced
	}
	return nil
}

// unproven is the same for a file, with a look at its folder.
func (src *keyDirectory) unproven(f *file, root uint32) error {
	if err := f.gone.unproven(root); err != nil || f.gone.archived || !strings.HasSuffix(src.unitOf(f.File), "/") {
		return err
	}
	mount, err := mountOf(unix.AT_FDCWD, filepath.Dir(f.File))
	if err == nil && mount != f.gone.seen.folder {
		return errMounted
	}
	return nil
}

// removalGrace is how long a file must be absent.
func (o *Options) removalGrace() time.Duration { return cmp.Or(o.RemovalGrace, DefaultRemovalGrace) }
