package migrate

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// tables are the two tables of OpenDKIM, which rspamd reads too: who is signed
// with which key, and where that key is.
type tables struct {
	keys     []entry // name of the key; domain:selector:key
	globKeys bool    // the names are patterns
	signing  []entry
	refile   bool   // what signing maps are patterns for whole addresses
	multiple bool   // all the rules that fit apply, not only the first
	selector string // for keys that name none: domain:key

	byName map[string]int // the keys, where their names are no patterns
}

// index makes the keys quick to find. The first of a name holds.
func (t *tables) index() {
	t.globKeys = t.globKeys && slices.ContainsFunc(t.keys, func(e entry) bool { return strings.Contains(e.key, "*") })
	t.byName = make(map[string]int, len(t.keys))
	for i := len(t.keys) - 1; i >= 0; i-- {
		t.byName[t.keys[i].key] = i
	}
}

// find returns the place of a key in the table.
func (t *tables) find(name string) (int, bool) {
	if !t.globKeys {
		i, ok := t.byName[name]
		return i, ok
	}
	i := slices.IndexFunc(t.keys, func(e entry) bool { return glob(e.key, name) })
	return i, i >= 0
}

// resolve takes the keys of the tables into the plan: for each domain that the
// tables know of, it asks them as OpenDKIM does for a message from there.
func (r *reader) resolve(t tables) {
	t.index()
	var rules []rule
	for i, e := range t.signing {
		rule := classify(e, t.refile)
		rule.order = i
		rules = append(rules, rule)
	}
	set := newRuleSet(rules, t.refile)
	used := make(map[string]bool)
	var foreign []thirdParty
	for _, domain := range r.candidates(t, rules) {
		for _, rule := range set.forDomain(domain) {
			key, signer := r.apply(t, rule, domain)
			used[key] = true
			if signer != domain {
				foreign = append(foreign, thirdParty{rule.at, domain, signer})
			}
			if !t.multiple {
				break
			}
		}
	}
	for _, f := range foreign {
		r.explainForeign(f)
	}
	for _, rule := range rules {
		used[r.explain(t, rule)] = true
	}
	r.spares(t, used)
}

// target is the key that a rule has for a domain, with the line of its table.
func (t tables) target(rule rule, domain string) (claim, error) {
	name, _, _ := strings.Cut(rule.value, ":")
	if name == "%" {
		name = domain
	}
	if name == "" {
		return claim{}, fmt.Errorf("the line does not name a key")
	}
	i, ok := t.find(name)
	if !ok {
		return claim{}, fmt.Errorf("the key table has no key %q", name)
	}
	return t.claim(t.keys[i], domain)
}

// claim reads a line of the key table for a message from domain. An empty
// domain leaves % as it stands.
func (t tables) claim(e entry, domain string) (claim, error) {
	c := claim{name: e.key, at: e.at}
	parts := strings.SplitN(e.value, ":", 3)
	if len(parts) == 2 && t.selector != "" {
		parts = []string{parts[0], t.selector, parts[1]}
	}
	if len(parts) < 3 || slices.Contains(parts, "") {
		return c, fmt.Errorf("%s: %q is not domain:selector:key", e.at, e.value)
	}
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	c.domain, c.selector = parts[0], parts[1]
	if c.domain == "%" && domain != "" {
		c.domain = domain
	}
	switch key := parts[2]; {
	case strings.HasPrefix(key, "/"):
		c.file = strings.ReplaceAll(key, "%", c.domain)
	case strings.HasPrefix(key, "./"), strings.HasPrefix(key, "../"):
		c.file = key
	default:
		c.inline = key
	}
	return c, nil
}

// candidates are the domains whose own mail the tables may sign: those that a
// rule names, and where a rule is for many, those that the key table or the
// files of the keys name.
func (r *reader) candidates(t tables, rules []rule) []string {
	var domains []string
	known := make(map[string]bool)
	add := func(rule rule, domain string) {
		name, err := keystore.Domain(domain)
		if err == nil && rule.fits(name) && !known[name] {
			known[name] = true
			domains = append(domains, name)
		}
	}
	for _, rule := range rules {
		if rule.class == exact {
			add(rule, rule.domain)
			continue
		}
		if rule.class != below && rule.class != all && rule.class != pattern {
			continue
		}
		name, _, _ := strings.Cut(rule.value, ":")
		keys := t.keys
		if i, ok := t.find(name); name != "%" && ok {
			keys = t.keys[i : i+1]
		} else if name != "%" {
			keys = nil
		}
		for _, e := range keys {
			if name == "%" {
				add(rule, e.key)
			}
			c, err := t.claim(e, "")
			if err != nil {
				continue // reported where it is used
			}
			if c.domain != "%" {
				add(rule, c.domain)
				continue
			}
			listed, err := r.expand(c.file, "%", isDomain)
			if err != nil {
				r.report(finding.Fault, "import-list", e.at,
					fmt.Sprintf("looking for what %% stands for in %s: %v", c.file, err),
					"the domains of these keys are not known", "")
			}
			for _, domain := range listed {
				add(rule, domain)
			}
			if len(listed) > 0 {
				r.note("import-list", e.at, "the directory has keys in place of %% for: %s", strings.Join(listed, " "))
			}
		}
	}
	return domains
}

func isDomain(name string) bool {
	_, err := keystore.Domain(name)
	return err == nil
}

// apply takes the key that a rule has for the authors of a domain, if it is
// the domain's own. It returns the name of the key and the domain it signs for.
func (r *reader) apply(t tables, rule rule, domain string) (key, signer string) {
	c, err := t.target(rule, domain)
	if err != nil {
		r.fault("import-table", rule.at, fmt.Errorf("mail from %s has no key: %w", domain, err),
			"nothing is carried over for it")
		return c.name, domain
	}
	own, err := keystore.Domain(c.domain)
	if err == nil && own != domain {
		return c.name, own
	}
	if key, ok := r.load(c, true); ok {
		r.add(key)
	}
	return c.name, domain
}

// thirdParty is mail of an author that is signed with another domain's name.
type thirdParty struct {
	at             Place
	author, signer string
}

// explainForeign says why mail that is signed with another name is not.
func (r *reader) explainForeign(f thirdParty) {
	if strings.HasSuffix(f.author, "."+f.signer) {
		if r.plan.signing(f.signer) != nil {
			r.subdomains(f.at, f.signer)
			return
		}
		r.report(finding.Warning, "import-third-party", f.at,
			fmt.Sprintf("mail from %s is signed with d=%s, the domain above it", f.author, f.signer),
			"signpostd does that too, but only for all subdomains and together with the mail from "+f.signer,
			fmt.Sprintf("put the key into the key directory as %s/<selector>.private and set "+
				"SIGNPOST_SUBDOMAINS=yes, or make %s a key of its own: signpost keygen %s", f.signer,
				f.author, f.author))
		return
	}
	r.report(finding.Fault, "import-third-party", f.at,
		fmt.Sprintf("mail from %s is signed with d=%s, the name of another domain", f.author, f.signer),
		"signpostd signs with the author's domain: only that counts for DMARC",
		fmt.Sprintf("make %s a key of its own: signpost keygen %s", f.author, f.author))
}

// subdomains carries over that the key of a domain signs for what is below it.
func (r *reader) subdomains(at Place, domain string) {
	r.set("SIGNPOST_SUBDOMAINS", "yes", at.String(),
		"the key of a domain signs for its subdomains, as it does for "+domain+"; here it does so for every domain")
}
