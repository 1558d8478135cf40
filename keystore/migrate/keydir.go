package migrate

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
)

// keyFiles reads a directory of key files whose names say domain and selector.
func (r *reader) keyFiles(dir string) error {
	snapshot, err := keystore.Load(keystore.Options{Dir: dir, Selectors: r.options.Selectors})
	if err != nil {
		return err
	}
	for _, p := range snapshot.Problems() {
		r.fault("import-key", Place{File: p.File}, p.Err, "the key is not carried over")
	}
	for _, domain := range snapshot.Domains() {
		signing := newest(snapshot.Keys(domain))
		for _, signs := range []bool{true, false} {
			for _, key := range snapshot.Keys(domain) {
				if slices.Contains(signing, key) != signs {
					continue
				}
				data, _, err := r.read(key.File, maxKey)
				if err != nil {
					return fmt.Errorf("%s: %w", key.File, err)
				}
				r.add(Key{Key: *key, Data: data, Signs: signs})
				if !signs {
					r.note("import-newest", Place{File: key.File},
						"there are several %s keys for %s; the newest file signs, as in signpostd", key.Algorithm, domain)
				}
			}
		}
	}
	return r.mailserverRspamd(dir)
}

// mailserverName is how docker-mailserver names what rspamd signs with.
var mailserverName = regexp.MustCompile(`^(?:rsa-[0-9]+|ed25519)-(.+)\.private\.txt$`)

// mailserverRspamd reads keys as docker-mailserver names them for rspamd:
// rsa-2048-<selector>-<domain>.private.txt.
func (r *reader) mailserverRspamd(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := mailserverName.FindStringSubmatch(entry.Name())
		if name == nil {
			continue
		}
		file := filepath.Join(dir, entry.Name())
		selector, domain, err := r.splitName(name[1], strings.TrimSuffix(file, ".private.txt")+".public.txt")
		if err != nil {
			r.fault("import-key", Place{File: file},
				finding.WithHint(err,
					"copy it as <domain>/<selector>.private and import that"), "the key is not carried over")
			continue
		}
		c := claim{domain: domain, selector: selector, file: file, at: Place{File: file}}
		if abs, err := filepath.Abs(file); err == nil {
			c.file = abs
		}
		if key, ok := r.load(c, true); ok {
			r.add(key)
		}
	}
	return nil
}

// splitName splits <selector>-<domain>. Where both can have hyphens, the
// record beside the key tells.
func (r *reader) splitName(name, public string) (selector, domain string, err error) {
	if data, _, err := r.read(public, maxKey); err == nil {
		if label, _, found := strings.Cut(string(data), "._domainkey"); found {
			if domain, ok := strings.CutPrefix(name, strings.TrimSpace(label)+"-"); ok && isDomain(domain) {
				return strings.TrimSpace(label), domain, nil
			}
		}
	}
	ways := 0
	for i, c := range name {
		if c != '-' {
			continue
		}
		_, selectorErr := keystore.Selector(name[:i])
		if selectorErr == nil && isDomain(name[i+1:]) {
			selector, domain = name[:i], name[i+1:]
			ways++
		}
	}
	switch ways {
	case 0:
		return "", "", errors.New("the name has no selector and domain in it")
	case 1:
		return selector, domain, nil
	}
	return "", "", fmt.Errorf("in %q, where the selector ends and the domain begins cannot be told", name)
}

// newest returns the keys that sign when all records are in the DNS.
func newest(keys []*keystore.Key) []*keystore.Key {
	return rotation.Signing(rotation.Decide(keys, nil, rotation.Off, time.Now()))
}
