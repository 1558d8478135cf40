package keystore

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// linksOut reports whether a path in the directory is a symlink to a target outside of it.
func (src *keyDirectory) linksOut(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	root, err := filepath.EvalSymlinks(src.Dir)
	target, targetErr := filepath.EvalSymlinks(path)
	return err != nil || targetErr != nil || !strings.HasPrefix(target, root+string(filepath.Separator))
}

// keepLinks keeps the units of a domain that have symlinks to targets outside the
// directory.
func (src *keyDirectory) keepLinks(domain string, units []string) {
	src.linksMu.Lock()
	defer src.linksMu.Unlock()
	if len(units) > 0 {
		src.links[domain] = units
	} else {
		delete(src.links, domain)
	}
}

// hasLinks reports whether there are symlinks to targets outside the directory.
func (src *keyDirectory) hasLinks() bool {
	src.linksMu.Lock()
	defer src.linksMu.Unlock()
	return len(src.links) > 0
}

// allLinks returns a copy of the units with symlinks to targets outside the
// directory, by domain.
func (src *keyDirectory) allLinks() map[string][]string {
	src.linksMu.Lock()
	defer src.linksMu.Unlock()
	return maps.Clone(src.links)
}
