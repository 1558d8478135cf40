package keystore

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
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
	key   *Key  // of the last good version; nil when there was none
	err   error // why the version that is there now is not usable
	gone  time.Time
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

// Options says where keys are and what is asked of them.
type Options struct {
	Dir       string
	Selectors Selectors // of files named after their domain alone
	MinBits   int       // the least size of an RSA key; MinBits when lower
	// RequireSafe refuses key files that group or others can read or write.
	RequireSafe bool
}

// Load reads the key directory. Files that have not changed since previous,
// which may be nil, are not read again, and a file that is no longer usable
// keeps its last good key. What is wrong with single files is in Problems; the
// error is for the directory itself.
func Load(options Options, previous *Snapshot) (*Snapshot, error) {
	l := loader{Options: options, now: time.Now(), files: make(map[string]*file)}
	if previous != nil {
		l.previous = previous.files
	}
	entries, err := os.ReadDir(l.Dir)
	if err != nil {
		return nil, fmt.Errorf("reading the key directory %s: %w", l.Dir, explain(err, l.Dir))
	}
	var names []string
	for _, entry := range entries {
		names = append(names, l.entry(entry)...)
	}
	l.all(names)
	l.keepMissing()
	snapshot := index(l.files, l.problems, previous)
	snapshot.outside = l.outside
	return snapshot, nil
}

// AnyDomain returns some domain that dir has a usable key for, without reading
// more than it takes. The error is ErrNoKey when there is none, and says what
// is wrong with those that there are.
func AnyDomain(dir string) (string, error) {
	l := loader{Options: Options{Dir: dir}, now: time.Now(), files: make(map[string]*file)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("reading the key directory %s: %w", dir, explain(err, dir))
	}
	for _, entry := range entries {
		for _, name := range l.entry(entry) {
			f, problem := l.file(name)
			switch {
			case problem != nil:
				l.problems = append(l.problems, *problem)
			case f != nil && f.key != nil:
				return f.claim.domain, nil
			case f != nil:
				l.problems = append(l.problems, Problem{File: f.path, Err: f.err})
			}
		}
	}
	if l.problems != nil {
		return "", fmt.Errorf("no key in %s is usable: %s", dir, l.problems[0])
	}
	return "", ErrNoKey
}

type loader struct {
	Options
	now      time.Time
	previous map[string]*file

	root    string // the directory without links on the way
	outside bool   // a link leads out of it

	mu       sync.Mutex // of what follows
	files    map[string]*file
	problems []Problem
}

// keepMissing keeps the files that were there a moment ago.
func (l *loader) keepMissing() {
	for name, f := range l.previous {
		if l.files[name] != nil || f.key == nil {
			continue
		}
		if f.gone.IsZero() {
			missing := *f
			missing.gone = l.now
			l.files[name] = &missing
		} else if l.now.Sub(f.gone) < grace {
			l.files[name] = f
		}
	}
}

// all takes the files, as many at once as there are processors: most of the
// time goes into the arithmetic of parsing RSA keys.
func (l *loader) all(names []string) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(names)) {
		workers.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(names) {
					return
				}
				f, problem := l.file(names[i])
				l.mu.Lock()
				if f != nil {
					l.files[names[i]] = f
				}
				if problem != nil {
					l.problems = append(l.problems, *problem)
				}
				l.mu.Unlock()
			}
		})
	}
	workers.Wait()
}

// entry returns the files of one entry of the key directory: a file, or a
// domain's folder.
func (l *loader) entry(entry fs.DirEntry) (names []string) {
	name := entry.Name()
	if strings.HasPrefix(name, ".") {
		return nil
	}
	l.lookAt(entry, name)
	folder, err := l.isDir(entry)
	if ext := path.Ext(name); err == nil && (!folder || ext == ".private" || ext == ".key") {
		// A folder with the name of a key is what Docker makes of a mount whose
		// source is not there; as a file, it will be complained of.
		return []string{name}
	}
	var inner []fs.DirEntry
	if err == nil {
		inner, err = os.ReadDir(filepath.Join(l.Dir, name))
	}
	if err != nil {
		l.folderFailed(name, err)
		return nil
	}
	for _, entry := range inner {
		name := path.Join(name, entry.Name())
		l.lookAt(entry, name)
		names = append(names, name)
	}
	return names
}

// isDir reports whether an entry is a folder or a link to one.
func (l *loader) isDir(entry fs.DirEntry) (bool, error) {
	if entry.Type()&fs.ModeSymlink == 0 {
		return entry.IsDir(), nil
	}
	info, err := os.Stat(filepath.Join(l.Dir, entry.Name()))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil && claims(entry.Name(), l.Selectors):
		return false, nil // as a file, it will be complained of
	}
	return err == nil && info.IsDir(), err
}

// lookAt notes links that lead out of the directory: where they lead to can
// change without a word.
func (l *loader) lookAt(entry fs.DirEntry, name string) {
	if entry.Type()&fs.ModeSymlink == 0 || l.outside {
		return
	}
	if l.root == "" {
		l.root, _ = filepath.EvalSymlinks(l.Dir)
	}
	target, err := filepath.EvalSymlinks(filepath.Join(l.Dir, filepath.FromSlash(name)))
	l.outside = err != nil || !strings.HasPrefix(target, l.root+string(filepath.Separator))
}

// folderFailed keeps what was known of a domain's folder that cannot be read.
func (l *loader) folderFailed(name string, err error) {
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	shown := filepath.Join(l.Dir, name)
	domain, _ := Domain(name)
	known := false
	for p, f := range l.previous {
		if path.Dir(p) == name {
			l.files[p], known = f, true
		}
	}
	l.problems = append(l.problems, Problem{File: shown, Domain: domain, Err: explain(err, shown), InForce: known})
}

// file takes one file below the key directory. It returns nothing for one whose
// name is not that of a key, or that is gone.
func (l *loader) file(name string) (*file, *Problem) {
	shown := filepath.Join(l.Dir, filepath.FromSlash(name))
	c, ok, err := claimOf(name, l.Selectors)
	if err != nil {
		return nil, &Problem{File: shown, Err: err}
	}
	if !ok {
		return nil, nil
	}
	f := &file{path: shown, claim: c}
	before := l.previous[name]
	info, err := os.Stat(shown)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil // gone between the listing and now, or a link to nowhere
	case err == nil && !info.Mode().IsRegular():
		// Not opened: a FIFO would block.
		err = errors.New("it is not a regular file; hint: remove it or rename it")
	case err == nil:
		f.stamp = stampOf(info, l.now)
		if before != nil && before.err == nil && before.stamp.unchanged(f.stamp) {
			return before, nil
		}
		err = f.read(before, l.Options)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
	}
	if err != nil {
		f.err = explain(err, shown)
		if before != nil {
			f.key = before.key
		}
	}
	return f, nil
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
	algorithm, bits := describe(signer)
	if algorithm == RSA && bits < options.MinBits {
		return fmt.Errorf("RSA key of %d bits is shorter than the %d asked for; hint: make a new one", bits, options.MinBits)
	}
	f.key = &Key{
		Domain: f.claim.domain, Selector: f.claim.selector,
		Algorithm: algorithm, Bits: bits, Signer: signer,
		File: f.path, ModTime: f.stamp.modTime,
	}
	return nil
}

// explain says what to do about an error of the file system, without naming
// the path twice.
func explain(err error, shown string) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		err = inner.Err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w; hint: make the directory, or give another with --keys", err)
	}
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	owner := "its owner"
	if info, statErr := os.Stat(shown); statErr == nil {
		if sys, ok := info.Sys().(*syscall.Stat_t); ok {
			owner = fmt.Sprintf("its owner (user %d:%d, mode %04o)", sys.Uid, sys.Gid, info.Mode().Perm())
		}
	}
	return fmt.Errorf("%w for user %d; hint: run signpostd as %s, or give user %d access", err, os.Geteuid(), owner, os.Geteuid())
}
