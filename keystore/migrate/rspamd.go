package migrate

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"signpost/keystore"
	"signpost/keystore/record"
)

// Defaults of rspamd's module dkim_signing.
const (
	rspamdPath     = "/var/lib/rspamd/dkim/$domain.$selector.key"
	rspamdSelector = "dkim"
)

// rspamd reads dkim_signing.conf, or the directory of rspamd's configuration,
// where local.d adds to what the package has, and override.d has the last word.
func (r *reader) rspamd(name string, dir bool) error {
	settings := &uclObject{}
	if !dir {
		if err := r.rspamdFile(name, settings, 0); err != nil {
			return err
		}
		r.rspamdSettings(settings)
		return nil
	}
	found := false
	for _, part := range []string{"modules.d", "local.d", "override.d"} {
		file := filepath.Join(name, part, "dkim_signing.conf")
		layer := &uclObject{}
		err := r.rspamdFile(file, layer, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		found = true
		for _, m := range layer.members {
			if part == "override.d" {
				// It replaces whole sections.
				settings.members = slices.DeleteFunc(settings.members, func(have uclMember) bool { return strings.EqualFold(have.name, m.name) })
			}
			settings.add(m.name, m.value)
		}
	}
	if !found {
		return fmt.Errorf("%s has no dkim_signing.conf in modules.d, local.d or override.d", name)
	}
	r.rspamdSettings(settings)
	return nil
}

// rspamdFile reads a file and what it includes. The section dkim_signing that
// a whole configuration has around the settings is taken off.
func (r *reader) rspamdFile(file string, into *uclObject, depth int) error {
	data, _, err := r.read(file, maxConfig)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	parser := uclParser{file: file, text: string(data)}
	parser.macro = func(at Place, name, args, text string, section *uclObject) error {
		return r.rspamdMacro(at, name, args, text, section, depth)
	}
	root, err := parser.parse()
	if err != nil {
		return err
	}
	for _, m := range root.members {
		if strings.EqualFold(m.name, "dkim_signing") && m.value.kind == uclSection {
			for _, inner := range m.value.object.members {
				into.add(inner.name, inner.value)
			}
			continue
		}
		into.add(m.name, m.value)
	}
	return nil
}

// rspamdMacro follows an include of a file. Those of the package's own file
// are the layers, which are read by themselves.
func (r *reader) rspamdMacro(at Place, name, args, text string, section *uclObject, depth int) error {
	file := rspamdVariables(text)
	try := strings.Contains(args, "try=true") || name == "try_include"
	switch {
	case name != "include" && name != "try_include" && name != "includes":
		r.report(record.Warning, "import-include", at, fmt.Sprintf(".%s is not known here", name), "what it does is left out", "")
		return nil
	case filepath.Base(filepath.Dir(at.File)) == "modules.d" && path.Base(file) == "dkim_signing.conf":
		return nil
	case strings.Contains(file, "://"), strings.ContainsAny(file, "*?["):
		r.report(record.Fault, "import-include", at, fmt.Sprintf("what %s includes is not read", text), "the keys that it names are not carried over", "")
		return nil
	case depth == 5:
		r.report(record.Fault, "import-include", at, "files are included more than five deep", "what is in "+text+" is not carried over", "")
		return nil
	}
	err := r.rspamdFile(r.path(file), section, depth+1)
	if err != nil && !(try && errors.Is(err, fs.ErrNotExist)) {
		r.report(record.Fault, "import-include", at, fmt.Sprintf("include of %s: %v", text, err), "what is in it is not carried over", "")
	}
	return nil
}

// rspamdVariables puts in what rspamd calls its directories.
func rspamdVariables(text string) string {
	for name, value := range map[string]string{"DBDIR": "/var/lib/rspamd", "CONFDIR": "/etc/rspamd", "LOCAL_CONFDIR": "/etc/rspamd"} {
		text = strings.ReplaceAll(text, "${"+name+"}", value)
		text = strings.ReplaceAll(text, "$"+name+"/", value+"/")
	}
	return text
}

// rspamdSettings takes the keys and settings of the module into the plan.
func (r *reader) rspamdSettings(s *uclObject) {
	if enabled, ok := s.get("enabled"); ok && !enabled.on() {
		r.report(record.Fault, "import-mode", enabled.at, "the module is not enabled", "no key is carried over: signpostd would sign with it", "")
		return
	}
	r.rspamdOther(s)
	for _, name := range []string{"use_redis", "use_vault", "use_http_headers", "sign_condition"} {
		if v, ok := s.get(name); ok && (v.on() || name == "sign_condition") {
			r.rspamdElsewhere(name, v)
			if name != "use_vault" {
				return
			}
		}
	}
	signing, hasSigning := s.get("signing_table")
	keys, hasKeys := s.get("key_table")
	if hasSigning && hasKeys {
		selector := textOr(s, "selector", rspamdSelector)
		r.resolve(tables{
			keys: r.rspamdMap(keys), globKeys: true,
			signing: r.rspamdMap(signing), refile: true, selector: selector,
		})
		return
	}
	r.rspamdDomains(s)
}

// rspamdElsewhere names keys that are kept where files are not.
func (r *reader) rspamdElsewhere(name string, v uclValue) {
	what, fix := "", ""
	switch name {
	case "use_redis":
		what = "the keys are in Redis, which is not asked"
		fix = "put each out as a file, with redis-cli --raw HGET dkim_keys SELECTOR.DOMAIN >DOMAIN.SELECTOR.key, and import the directory"
	case "use_vault":
		what = "keys are in Vault, which is not asked"
		fix = "put each out as a file called DOMAIN.SELECTOR.key, and import the directory"
	case "use_http_headers":
		what = "the keys come with each message in HTTP headers"
	case "sign_condition":
		what = "a Lua function decides what is signed with which key"
		fix = "import the directory of the keys, if all of them sign for their domains"
	}
	r.report(record.Fault, "import-elsewhere", v.at, name+": "+what, "they are not carried over", fix)
}

// rspamdDomains asks, for each domain that the settings name or that there is
// a file for, what rspamd would sign its mail with.
func (r *reader) rspamdDomains(s *uclObject) {
	selectors, paths := r.rspamdMapOf(s, "selector_map"), r.rspamdMapOf(s, "path_map")
	defaultPath := rspamdVariables(textOr(s, "path", rspamdPath))
	defaultSelector := textOr(s, "selector", rspamdSelector)
	fallback := true
	if v, ok := s.get("try_fallback"); ok {
		fallback = v.on()
	}
	section, _ := s.get("domain")
	asked := rspamdKeys{section.object, selectors, paths, defaultPath, defaultSelector, fallback}

	named := make(map[string]Place)
	var domains []string
	name := func(domain string, at Place) {
		domain = strings.ToLower(domain)
		if _, known := named[domain]; !known {
			named[domain] = at
			domains = append(domains, domain)
		}
	}
	if section.object != nil {
		for _, m := range section.object.members {
			name(m.name, m.value.at)
		}
	}
	for _, e := range slices.Concat(selectors, paths) {
		name(e.key, e.at)
	}
	if fallback {
		listed, err := r.expand(strings.ReplaceAll(defaultPath, "$selector", defaultSelector), "$domain", isDomain)
		if _, set := s.get("path"); err != nil && (set || len(domains) == 0) {
			r.report(record.Fault, "import-list", Place{File: r.plan.Path}, fmt.Sprintf("looking for what $domain stands for in %s: %v", defaultPath, err),
				"the domains of these keys are not known", "")
		}
		for _, domain := range listed {
			name(domain, Place{File: r.plan.Path})
		}
	}
	esld := true
	if v, ok := s.get("use_esld"); ok {
		esld = v.on()
	}
	for _, domain := range domains {
		if !isDomain(domain) {
			r.report(record.Fault, "import-domain", named[domain], fmt.Sprintf("%q is no domain name", domain), "its key is not carried over", "")
			continue
		}
		if top, err := publicsuffix.EffectiveTLDPlusOne(domain); esld && err == nil && top != domain {
			r.report(record.Warning, "import-esld", named[domain],
				fmt.Sprintf("rspamd never signs as %s: with use_esld, which is on unless set to false, it signs as %s", domain, top),
				"the key is not carried over: signpostd would sign with it", "set use_esld = false in the configuration before the import, if you want it to sign")
			continue
		}
		r.rspamdDomain(asked, domain, named[domain])
	}
	if esld && len(r.plan.byDomain) > 0 {
		r.set("SIGNPOST_SUBDOMAINS", "yes", "use_esld", "the key of a domain signs for its subdomains; rspamd does so unless use_esld is false")
	}
}

// rspamdDomain takes the keys of one domain.
func (r *reader) rspamdDomain(asked rspamdKeys, domain string, at Place) {
	for _, c := range asked.claims(domain, at) {
		if key, ok := r.load(c, true); ok {
			r.add(key)
		}
	}
	if !strings.Contains(asked.path, "$selector") {
		return
	}
	// Beside those that sign there can be others, of before or of later.
	template := strings.ReplaceAll(asked.path, "$domain", domain)
	listed, err := r.expand(template, "$selector", func(name string) bool {
		_, err := keystore.Selector(name)
		return err == nil && !strings.Contains(name, ".")
	})
	if err != nil || r.plan.signing(domain) == nil {
		return
	}
	for _, selector := range listed {
		if r.plan.has(domain, selector) {
			continue
		}
		file := strings.ReplaceAll(template, "$selector", selector)
		if key, ok := r.load(claim{domain: domain, selector: selector, file: file, at: Place{File: r.path(file)}}, false); ok {
			r.spare(key)
		}
	}
}

func textOr(o *uclObject, name, otherwise string) string {
	if v, ok := o.get(name); ok && v.kind == uclText {
		return v.text
	}
	return otherwise
}
