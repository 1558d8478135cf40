package keystore

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
)

// leadsOut reports whether a path in the directory is a link that leads out of it.
func (l *source) leadsOut(path string) bool {
	if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		return false
	}
	root, err := filepath.EvalSymlinks(l.Dir)
	target, targetErr := filepath.EvalSymlinks(path)
	return err != nil || targetErr != nil || !strings.HasPrefix(target, root+string(filepath.Separator))
}

// keepLinks keeps the units of a domain that have links which lead out.
func (l *source) keepLinks(domain string, units []string) {
	l.linksMu.Lock()
	defer l.linksMu.Unlock()
	if len(units) > 0 {
		l.links[domain] = units
	} else {
		delete(l.links, domain)
	}
}

// leadOut reports whether there are links that lead out.
func (l *source) leadOut() bool {
	l.linksMu.Lock()
	defer l.linksMu.Unlock()
	return len(l.links) > 0
}

// outward returns a copy of the links that lead out.
func (l *source) outward() map[string][]string {
	l.linksMu.Lock()
	defer l.linksMu.Unlock()
	return maps.Clone(l.links)
}
