package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// ErrUnknown says that a path is no configuration that Read knows.
var ErrUnknown = errors.New("no configuration of a known kind")

// Read reads a configuration: an opendkim.conf, a KeyTable, a
// dkim_signing.conf, or a directory with one of them or with key files. What
// is wrong with single keys and settings is in the plan's findings; the error
// is for the configuration itself.
func Read(path string, options Options) (*Plan, error) {
	r := &reader{options: options, plan: &Plan{Path: path, Kind: options.Kind}}
	r.root = options.Root
	if options.Root != "" {
		if info, err := os.Stat(options.Root); err != nil || !info.IsDir() {
			return nil, fmt.Errorf("the root %s is not a directory", options.Root)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, plain(err))
	}
	r.base = filepath.Dir(path)
	if info.IsDir() {
		r.base = path
		err = r.directory(path)
	} else {
		err = r.file(path)
	}
	if err != nil {
		return nil, err
	}
	r.finish()
	return r.plan, nil
}

// finish puts the keys in order.
func (r *reader) finish() {
	for _, keys := range r.plan.byDomain {
		for _, key := range keys {
			r.plan.Keys = append(r.plan.Keys, *key)
		}
	}
	r.domainList()
	slices.SortStableFunc(r.plan.Keys, func(a, b Key) int {
		return cmp.Or(strings.Compare(a.Domain, b.Domain), order(a, b), strings.Compare(a.Selector, b.Selector))
	})
}

// order puts what signs first.
func order(a, b Key) int {
	switch {
	case a.Signs == b.Signs:
		return 0
	case a.Signs:
		return -1
	}
	return 1
}

// file reads a configuration file of the kind that its name says.
func (r *reader) file(path string) error {
	name := strings.ToLower(filepath.Base(path))
	letters := strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' {
			return c
		}
		return -1
	}, name)
	kind := r.options.Kind
	switch {
	case r.options.SigningTable != "" && kind != Rspamd && kind != KeyFiles:
		r.plan.Kind, r.plan.What = OpenDKIM, "OpenDKIM's key table and signing table"
		return r.keyTable(path, r.options.SigningTable)
	case strings.HasPrefix(letters, "keytable") && kind != Rspamd:
		return finding.WithHint(fmt.Errorf("%s is a key table, which does not say what signs", path),
			"give --signing-table FILE too")
	case kind == Rspamd, kind == "" && strings.Contains(letters, "dkimsigning"):
		r.plan.Kind, r.plan.What = Rspamd, "rspamd's dkim_signing.conf"
		if parent := filepath.Base(filepath.Dir(path)); parent == "local.d" || parent == "override.d" ||
			parent == "modules.d" {
			r.plan.What += ", with those of modules.d, local.d and override.d"
			return r.rspamd(filepath.Dir(filepath.Dir(path)), true)
		}
		return r.rspamd(path, false)
	case kind == OpenDKIM, kind == "" && strings.HasPrefix(letters, "opendkim"):
		r.plan.Kind, r.plan.What = OpenDKIM, "OpenDKIM's configuration"
		return r.openDKIM(path)
	}
	return finding.WithHint(fmt.Errorf("%s: %w: neither opendkim.conf nor dkim_signing.conf by its name", path,
		ErrUnknown), "say what it is with --from")
}

// directory finds out what a directory holds.
func (r *reader) directory(dir string) error {
	has := func(names ...string) bool {
		for _, name := range names {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && !info.IsDir() {
				return true
			}
		}
		return false
	}
	kind := r.options.Kind
	var found []Kind
	layered := has("modules.d/dkim_signing.conf", "local.d/dkim_signing.conf", "override.d/dkim_signing.conf")
	if has("opendkim.conf", "KeyTable") {
		found = append(found, OpenDKIM)
	}
	if layered || has("dkim_signing.conf") {
		found = append(found, Rspamd)
	}
	if kind == "" {
		switch len(found) {
		case 0:
			kind = KeyFiles
		case 1:
			kind = found[0]
		default:
			return finding.WithHint(fmt.Errorf("%s has configurations of both OpenDKIM and rspamd", dir),
				"say which with --from")
		}
	}
	if kind != KeyFiles && !slices.Contains(found, kind) {
		return fmt.Errorf("%s: %w: it has neither opendkim.conf, KeyTable nor dkim_signing.conf", dir, ErrUnknown)
	}
	r.plan.Kind = kind
	switch {
	case kind == Rspamd && layered:
		r.plan.What = "rspamd's directory of configuration"
		return r.rspamd(dir, true)
	case kind == Rspamd:
		r.plan.What = "a directory with rspamd's dkim_signing.conf"
		return r.rspamd(filepath.Join(dir, "dkim_signing.conf"), false)
	case kind == OpenDKIM:
		return r.openDKIMDirectory(dir, has)
	}
	return r.keyDirectory(dir)
}

// openDKIMDirectory reads a directory that was /etc/opendkim, or is.
func (r *reader) openDKIMDirectory(dir string, has func(...string) bool) error {
	if r.root == "" && filepath.Clean(dir) != "/etc/opendkim" &&
		(has("KeyTable") || r.isDir(filepath.Join(dir, "keys"))) {
		r.stands, r.etc = dir, "/etc/opendkim"
		r.note("import-stands", Place{File: dir}, "what the configuration names below /etc/opendkim is read here")
	}
	if has("opendkim.conf") {
		r.plan.What = "a directory with OpenDKIM's configuration"
		return r.openDKIM(filepath.Join(dir, "opendkim.conf"))
	}
	r.plan.What = "a directory with OpenDKIM's tables, as of docker-mailserver"
	signing := filepath.Join(dir, "SigningTable")
	if r.options.SigningTable != "" {
		signing = r.options.SigningTable
	}
	if hosts := filepath.Join(dir, "TrustedHosts"); has("TrustedHosts") {
		r.trusted(directive{Place{hosts, 0}, "TrustedHosts", "file:TrustedHosts"}, hosts)
	}
	return r.keyTable(filepath.Join(dir, "KeyTable"), signing)
}

// keyDirectory reads the key files of a directory, or of its folder "keys".
func (r *reader) keyDirectory(dir string) error {
	r.root = "" // the path is given as it is on this machine
	r.plan.What = "a directory of key files"
	if inner := filepath.Join(dir, "keys"); r.isDir(inner) {
		dir = inner // "keys" is not a domain
	}
	if err := r.keyFiles(dir); err != nil {
		return err
	}
	if len(r.plan.byDomain)+len(r.plan.Findings) > 0 {
		return nil
	}
	r.report(finding.Fault, "import-empty", Place{File: dir}, "it has neither keys nor a configuration",
		"there is nothing to carry over",
		"key files are called <domain>.private, <domain>/<selector>.private or .key, or <domain>.<selector>.key")
	return nil
}

func (r *reader) isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
