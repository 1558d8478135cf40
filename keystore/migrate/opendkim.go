package migrate

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"signpost/keystore/finding"
)

// openDKIM reads an opendkim.conf.
func (r *reader) openDKIM(path string) error {
	conf, err := r.conf(path, 0)
	if err != nil {
		return err
	}
	if dir, ok := conf.get("BaseDirectory"); ok {
		r.base = r.path(dir.value)
	}
	r.settings(conf)
	if mode, ok := conf.get("Mode"); ok && !strings.Contains(mode.value, "s") {
		r.report(finding.Fault, "import-mode", mode.at, fmt.Sprintf("Mode %s does not sign", mode.value),
			"no key is carried over: signpostd would sign with it", "")
		return nil
	}
	if jail, ok := conf.get("ChangeRootDirectory"); ok {
		// Keys of a table are read by the process that is in the jail.
		r.note("import-chroot", jail.at, "keys of a key table are looked for below %s", jail.value)
	}
	keyTable, hasKeys := conf.get("KeyTable")
	signingTable, hasSigning := conf.get("SigningTable")
	switch {
	case hasKeys && hasSigning:
		return r.openDKIMTables(conf, keyTable, signingTable)
	case hasKeys:
		r.report(finding.Fault, "import-table", keyTable.at, "there is a KeyTable without a SigningTable",
			"what signs is decided by a script, if at all, so no key is carried over",
			"import the directory of the keys, if all of them sign for their domains")
	case hasSigning:
		r.report(finding.Fault, "import-table", signingTable.at, "there is a SigningTable without a KeyTable",
			"OpenDKIM does not start with it, and no key is carried over", "")
	default:
		r.single(conf)
	}
	return nil
}

// openDKIMTables reads a configuration with tables.
func (r *reader) openDKIMTables(conf directives, keyTable, signingTable directive) error {
	keys, err := r.dataset(keyTable.value, keyTable.at)
	if err != nil {
		r.badSet(keyTable, err, "no key is carried over")
		return nil
	}
	signing, err := r.dataset(signingTable.value, signingTable.at)
	if err != nil {
		r.badSet(signingTable, err, "no key is carried over: which of them sign for what is not known")
		return nil
	}
	for _, name := range []string{"Domain", "KeyFile", "Selector"} {
		if d, ok := conf.get(name); ok {
			r.note("import-ignored", d.at, "%s is left out: OpenDKIM does not use it beside a KeyTable", name)
		}
	}
	multiple, _ := conf.get("MultipleSignatures")
	if jail, ok := conf.get("ChangeRootDirectory"); ok {
		for i := range keys.entries {
			keys.entries[i].value = strings.Replace(keys.entries[i].value, ":/", ":"+filepath.Clean(jail.value)+"/", 1)
		}
	}
	r.sets(keys, signing, multiple.on())
	return nil
}

// sets resolves the two tables.
func (r *reader) sets(keys, signing dataset, multiple bool) {
	for _, at := range append(keys.skipped, signing.skipped...) {
		r.note("import-syntax", at, "the line begins with white space, so OpenDKIM ignores it")
	}
	r.resolve(tables{
		keys: keys.entries, globKeys: keys.kind == "refile",
		signing: signing.entries, refile: signing.kind == "refile",
		multiple: multiple,
	})
}

// single reads a configuration with one key for all domains.
func (r *reader) single(conf directives) {
	domains, hasDomain := conf.get("Domain")
	selector, hasSelector := conf.get("Selector")
	file, hasFile := conf.get("KeyFile")
	if !hasDomain || !hasSelector || !hasFile {
		r.report(finding.Fault, "import-table", Place{File: r.plan.Path},
			"there is neither a KeyTable nor all of Domain, Selector and KeyFile",
			"OpenDKIM signs nothing with it, and there is no key to carry over", "")
		return
	}
	set, err := r.dataset(domains.value, domains.at)
	if err != nil {
		r.badSet(domains, err, "no key is carried over")
		return
	}
	subdomains, _ := conf.get("SubDomains")
	for _, e := range set.entries {
		if strings.Contains(e.key, "*") {
			r.report(finding.Fault, "import-pattern", e.at,
				fmt.Sprintf("Domain %q signs in the name of whatever domain the author has", e.key),
				"the domains are written nowhere, so no key is carried over for them",
				"copy the key for each domain you send from, as <domain>/"+selector.value+".private")
			continue
		}
		path := file.value
		if !filepath.IsAbs(path) && !strings.HasPrefix(path, ".") {
			path = "./" + path
		}
		key, ok := r.load(claim{domain: e.key, selector: selector.value, file: path, at: e.at}, true)
		if !ok {
			continue
		}
		r.add(key)
		if subdomains.on() {
			r.subdomains(subdomains.at, key.Domain)
		}
	}
}

// keyTable reads a KeyTable that is given alone, with its SigningTable.
func (r *reader) keyTable(path, signingTable string) error {
	kind, rest := datasetKind(signingTable)
	if kind == "csl" {
		kind, rest = "", signingTable
	}
	if !strings.HasPrefix(signingTable, "file:") && kind == "file" {
		kind = "" // a path says nothing
	}
	data, _, err := r.read(path, maxConfig)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	signingData, _, err := r.read(rest, maxConfig)
	if err != nil {
		return fmt.Errorf("%s: %w", rest, err)
	}
	at := Place{File: rest}
	if kind == "" {
		kind = "file"
		for _, e := range parseTable("file", rest, signingData).entries {
			if strings.Contains(e.key, "*") && e.key != "*" {
				kind = "refile"
			}
		}
		r.note("import-guess", at, "read as %s:, as its lines look", kind)
	}
	r.sets(parseTable("file", path, data), parseTable(kind, rest, signingData), false)
	return nil
}

// password is that in the address of a database.
var password = regexp.MustCompile(`//([^:/@]*):[^/]*@`)

// badSet reports a data set that cannot be read.
func (r *reader) badSet(d directive, err error, effect string) {
	r.fault("import-dataset", d.at, fmt.Errorf("%s %s: %w", d.name, password.ReplaceAllString(d.value, "//${1}:(hidden)@"),
		err), effect)
}

// domainList is a setting for signpostd and the image it stands beside.
func (r *reader) domainList() {
	if domains := r.plan.Domains(); len(domains) > 0 {
		r.set("ALLOWED_SENDER_DOMAINS", strings.Join(domains, " "), "the domains that sign",
			"mail from these is deferred if it cannot be signed")
	}
}
