package keystore

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"signpost/keystore/regular"
)

// An UnclaimedKey is a file that contains a private key, but whose name matches no
// layout, so that signpostd ignores it.
type UnclaimedKey struct {
	File string
	Fix  string // what to call it
}

// Unclaimed returns those below a key directory. Files that cannot be read are left out.
func Unclaimed(options Options) []UnclaimedKey {
	src := newKeyDirectory(options)
	look := func(folder string, entries []os.DirEntry) {
		for _, entry := range entries {
			if name := path.Join(folder, entry.Name()); !claims(name, options.Selectors) {
				src.strays.note(name)
			}
		}
	}
	entries, _ := os.ReadDir(options.Dir)
	look("", entries)
	for _, entry := range entries {
		if entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
			inner, _ := os.ReadDir(filepath.Join(options.Dir, entry.Name()))
			look(entry.Name(), inner)
		}
	}
	return src.unclaimed(src.strays.take())
}

// strays are files whose names match no layout, as they are met on the way: by
// their path in the directory.
type strays struct {
	mu   sync.Mutex
	met  []string
	told map[string]bool // that are private keys; guarded by Store.reload
}

// mostStrays bounds how many files are opened that have no name of a key.
const mostStrays = 1000

// note takes down a file, unless it is one for people.
func (s *strays) note(name string) {
	if base := path.Base(name); strings.HasPrefix(base, ".") ||
		strings.HasSuffix(base, ".txt") && !strings.HasSuffix(base, mailserverEnding) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.met) < mostStrays {
		s.met = append(s.met, name)
	}
}

// take returns what was met since the last time.
func (s *strays) take() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	met := s.met
	s.met = nil
	slices.Sort(met)
	return slices.Compact(met)
}

// unclaimed returns those files that are private keys.
func (src *keyDirectory) unclaimed(names []string) (found []UnclaimedKey) {
	for _, name := range names {
		if file := filepath.Join(src.Dir, filepath.FromSlash(name)); holdsKey(file) {
			found = append(found, UnclaimedKey{file, nameFor(name)})
		}
	}
	return found
}

// mostTold is how many of them the log names at once.
const mostTold = 10

// tellStrays logs, once, which private keys are ignored. The lock is held.
func (s *Store) tellStrays() {
	strays := &s.source.strays
	names := slices.DeleteFunc(strays.take(), func(name string) bool { return strays.told[name] })
	found := s.source.unclaimed(names)
	if strays.told == nil && len(found) > 0 {
		strays.told = make(map[string]bool)
	}
	for i, key := range found {
		strays.told[s.source.pathIn(key.File)] = true
		switch {
		case i < mostTold:
			s.log.Warn("private key ignored: its name matches no layout", "file", key.File, "hint", key.Fix)
		case i == mostTold:
			s.log.Warn("more private keys ignored: their names match no layout", "files", len(found)-i,
				"hint", "signpost keys names them")
		}
	}
}

// nameFor says what to call a private key in a file of this name.
func nameFor(name string) string {
	folder, base := path.Split(name)
	if ways := mailserverWays(base); folder == "" && len(ways) > 1 {
		var meant []string
		for _, c := range ways {
			meant = append(meant, c.domain+"="+c.selector)
		}
		return fmt.Sprintf("say which it is, as in --selector %s, or call it <domain>/<selector>.private",
			strings.Join(meant, " or "))
	}
	if domain, err := Domain(strings.TrimSuffix(folder, "/")); err == nil {
		return "to sign with it, call it " + domain + "/<selector>.private"
	}
	if domain, err := Domain(strings.TrimSuffix(base, path.Ext(base))); folder == "" && err == nil {
		return "to sign with it, call it " + domain + "/<selector>.private"
	}
	return "to sign with it, call it <domain>/<selector>.private"
}

// holdsKey reports whether a file is a private key: PEM, or DER in base64. A short
// word in base64 may be anything.
func holdsKey(name string) bool {
	data, err := regular.Read(name, maxFile)
	defer clear(data)
	if err != nil || !strings.Contains(string(data), "-----BEGIN ") && len(data) < 300 {
		return false
	}
	_, err = ParsePrivate(data)
	return err == nil
}
