package migrate

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Defaults of rspamd's module dkim_signing, as its package sets them.
const (
	rspamdHash     = "DKIM_KEYS"
	rspamdPath     = "/var/lib/rspamd/dkim/$domain.$selector.key"
	rspamdSelector = "dkim"
)

// rspamdSettings takes the keys and settings of the module into the plan, and
// those of the sections dkim and options.
func (r *reader) rspamdSettings(s, others *uclObject) {
	if enabled, ok := s.get("enabled"); ok && !enabled.on() {
		r.report(finding.Fault, "import-mode", enabled.at, "the module is not enabled",
			"no key is carried over: signpostd would sign with it", "")
		return
	}
	r.rspamdOther(s)
	r.rspamdTrusted(s, others)
	r.rspamdHeaders(s, others)
	for _, name := range []string{"use_redis", "use_vault", "use_http_headers", "sign_condition"} {
		if v, ok := s.get(name); ok && (v.on() || name == "sign_condition") {
			r.rspamdElsewhere(s, name, v)
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
func (r *reader) rspamdElsewhere(s *uclObject, name string, v uclValue) {
	what, fix := "", ""
	switch name {
	case "use_redis":
		what = "the keys are in Redis"
		at := "redis://HOST/0?prefix=" + url.QueryEscape(textOr(s, "key_prefix", rspamdHash))
		if selectors := textOr(s, "selector_prefix", ""); selectors != "" {
			at += "&selectors=" + url.QueryEscape(selectors)
		}
		fix = "import them from there, or let signpostd read them there\nsignpost import '" + at + "'\nSIGNPOST_KEYS=" + at
	case "use_vault":
		what = "keys are in Vault, which is not queried"
		fix = "export each as a file called DOMAIN.SELECTOR.key, and import the directory"
	case "use_http_headers":
		what = "the keys come with each message in HTTP headers"
	case "sign_condition":
		what = "a Lua function decides what is signed with which key"
		fix = "import the directory of the keys, if all of them sign for their domains"
	}
	r.report(finding.Fault, "import-elsewhere", v.at, name+": "+what, "they are not carried over from here", fix)
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
	if at, set := s.get("path"); set && fallback && !strings.Contains(defaultPath, "$domain") {
		r.report(finding.Fault, "import-pattern", at.at,
			fmt.Sprintf("path %s signs with one key in the name of whatever domain the author has", at.text),
			"the domains are written nowhere, so only those that other lines name are carried over",
			"copy the key for each domain you send from, as <domain>/"+defaultSelector+".private")
	}
	if fallback {
		listed, err := r.expand(strings.ReplaceAll(defaultPath, "$selector", defaultSelector), "$domain", isDomain)
		if _, set := s.get("path"); err != nil && (set || len(domains) == 0) {
			r.report(finding.Fault, "import-list", Place{File: r.plan.Path},
				fmt.Sprintf("looking for what $domain stands for in %s: %v", defaultPath, err),
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
			r.report(finding.Fault, "import-domain", named[domain],
				fmt.Sprintf("invalid domain name %q", domain), "its key is not carried over", "")
			continue
		}
		if top, err := publicsuffix.EffectiveTLDPlusOne(domain); esld && err == nil && top != domain {
			r.report(finding.Warning, "import-esld", named[domain],
				fmt.Sprintf("rspamd never signs as %s: with use_esld, which is on unless set to "+
					"false, it signs as %s", domain, top),
				"the key is not carried over: signpostd would sign with it",
				"set use_esld = false in the configuration before the import, if you want it to sign")
			continue
		}
		r.rspamdDomain(asked, domain, named[domain])
	}
	if esld && len(r.plan.byDomain) > 0 {
		r.set("SIGNPOST_SUBDOMAINS", "yes", "use_esld",
			"the key of a domain signs for its subdomains; rspamd does so unless use_esld is false")
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
		if key, ok := r.load(claim{domain: domain, selector: selector, file: file,
			at: Place{File: r.path(file)}}, false); ok {
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
