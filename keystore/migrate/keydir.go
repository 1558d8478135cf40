package migrate

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/rotation"
)

// keyFiles reads a directory of key files whose names say domain and selector.
func (r *reader) keyFiles(dir string) error {
	options := keystore.Options{Dir: dir, Selectors: r.options.Selectors}
	snapshot, err := keystore.Load(options)
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
				if name, ok := r.recordedName(key.File); ok && name != (keystore.KeyName{Domain: domain, Selector: key.Selector}) {
					r.byRecord(keystore.UnclaimedKey{File: key.File})
					continue
				}
				data, _, err := r.read(key.File, maxKey)
				if err != nil {
					return fmt.Errorf("%s: %w", key.File, err)
				}
				r.add(Key{Key: *key, Data: data, Signs: signs})
				if !signs {
					r.note("import-newest", Place{File: key.File},
						"there are several %s keys for %s; the newest file signs, as in signpostd",
						key.Algorithm, domain)
				}
			}
		}
	}
	for _, key := range keystore.Unclaimed(options) {
		if !r.byRecord(key) {
			r.report(finding.Fault, "import-unclaimed", Place{File: key.File},
				"it contains a private key, but its name matches no layout", "the key is not carried over", key.Fix)
		}
	}
	return nil
}

// byRecord reads the keys whose names can be read in several ways, and where the record
// beside the key tells, as docker-mailserver has it for rspamd.
func (r *reader) byRecord(key keystore.UnclaimedKey) bool {
	name, ok := r.recordedName(key.File)
	if !ok {
		return false
	}
	c := claim{domain: name.Domain, selector: name.Selector, file: key.File, at: Place{File: key.File}}
	if abs, err := filepath.Abs(key.File); err == nil {
		c.file = abs
	}
	found, ok := r.load(c, true)
	if ok {
		r.add(found)
	}
	return ok
}

// recordedName is what a name means by the record beside the key.
func (r *reader) recordedName(file string) (keystore.KeyName, bool) {
	names := keystore.MailserverNames(file)
	if len(names) < 2 {
		return keystore.KeyName{}, false
	}
	data, _, err := r.read(keystore.RecordFile(file), maxKey)
	label, _, found := strings.Cut(string(data), "._domainkey")
	if err != nil || !found {
		return keystore.KeyName{}, false
	}
	for _, name := range names {
		if name.Selector == strings.ToLower(strings.TrimSpace(label)) {
			return name, true
		}
	}
	return keystore.KeyName{}, false
}

// newest returns the keys that sign when all records are in the DNS.
func newest(keys []*keystore.Key) []*keystore.Key {
	return rotation.Signing(rotation.Decide(keys, nil, rotation.Off, time.Now()))
}
