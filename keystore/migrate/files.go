package migrate

import (
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"signpost/keystore/regular"
)

// Bounds on what is read: a table of 100,000 domains takes some 10 MB.
const (
	maxConfig = 64 << 20
	maxKey    = 64 << 10
)

// files opens what a configuration names.
type files struct {
	root string // before absolute paths; empty for none
	base string // the directory that relative paths start at
	// stands is a directory that was copied from etc, so paths below etc are
	// read there. Empty for none.
	stands, etc string
}

// path returns where a file of a configuration is on this machine. As in a
// chroot, ".." does not lead above the root.
func (f files) path(name string) string {
	if !filepath.IsAbs(name) {
		if base, ok := f.inRoot(f.base); ok {
			return filepath.Join(f.root, filepath.Join("/", base, name))
		}
		return filepath.Join(f.base, name)
	}
	name = filepath.Clean(name)
	if f.stands != "" && strings.HasPrefix(name, f.etc+"/") {
		return filepath.Join(f.stands, strings.TrimPrefix(name, f.etc))
	}
	if f.root != "" {
		return filepath.Join(f.root, name)
	}
	return name
}

// inRoot returns a path of this machine as seen from the root, where there is
// one and it is below that.
func (f files) inRoot(path string) (string, bool) {
	if f.root == "" {
		return "", false
	}
	within, err := filepath.Rel(f.root, path)
	return within, err == nil && filepath.IsLocal(within)
}

// open opens a path of this machine. With a root, no link leads out of it: an
// absolute link in a copied tree would else name a file of this machine.
func (f files) open(path string) (*os.File, error) {
	const flags = os.O_RDONLY | syscall.O_NONBLOCK // a FIFO must not block
	within, ok := f.inRoot(path)
	if !ok {
		return os.OpenFile(path, flags, 0)
	}
	root, err := os.OpenRoot(f.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenFile(within, flags, 0)
}

// read returns the content of a regular file.
func (f files) read(path string, limit int64) ([]byte, fs.FileInfo, error) {
	file, err := f.open(path)
	if err != nil {
		return nil, nil, plain(err)
	}
	defer file.Close()
	data, info, err := regular.ReadOpened(file, limit)
	return data, info, plain(err)
}

// plain takes the path from an error of the file system: it is said already.
func plain(err error) error {
	var inner *fs.PathError
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}

// expand returns what can stand in place of hole in the name of a file: for
// each, such a file exists. valid sorts out names that are not meant.
func (f files) expand(name, hole string, valid func(string) bool) ([]string, error) {
	before, _, found := strings.Cut(name, hole)
	if !found {
		return nil, nil
	}
	dir := before[:strings.LastIndexByte(before, '/')+1]
	component, rest, _ := strings.Cut(name[len(dir):], "/")
	opened, err := f.open(f.path(cmp.Or(dir, ".")))
	if err != nil {
		return nil, plain(err)
	}
	defer opened.Close()
	entries, err := opened.Readdirnames(-1)
	if err != nil {
		return nil, plain(err)
	}
	head, tail, _ := strings.Cut(component, hole)
	var values []string
	for _, entry := range entries {
		// With the hole twice in one component, only its first value counts,
		// and the whole must fit.
		value, ok := strings.CutPrefix(entry, head)
		if !ok {
			continue
		}
		if plainTail := !strings.Contains(tail, hole); plainTail {
			value, ok = strings.CutSuffix(value, tail)
		} else if n := (len(value) - len(strings.ReplaceAll(tail, hole, ""))) /
			(1 + strings.Count(tail, hole)); n >= 0 && n <= len(value) {
			value = value[:n]
		}
		if !ok || head+value+strings.ReplaceAll(tail, hole, value) != entry || !valid(value) {
			continue
		}
		if rest != "" && !f.exists(dir+entry+"/"+strings.ReplaceAll(rest, hole, value)) {
			continue
		}
		values = append(values, value)
	}
	slices.Sort(values)
	return values, nil
}

func (f files) exists(name string) bool {
	file, err := f.open(f.path(name))
	if err != nil {
		return false
	}
	file.Close()
	return true
}
