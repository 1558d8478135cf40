package migrate

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// explain says what of a rule is not carried over, and why. It returns the
// name of the key that is thereby spoken for.
func (r *reader) explain(t tables, rule rule) string {
	lost := func(what, effect, fix string) string {
		r.report(finding.Fault, "import-pattern", rule.at, what, effect, fix)
		c, _ := t.target(rule, rule.domain)
		return c.name
	}
	if _, identity, _ := strings.Cut(rule.value, ":"); identity != "" && rule.class != never {
		r.note("import-identity", rule.at, "the identity i=%s is left out of signatures: nothing depends on it",
			identity)
	}
	switch rule.class {
	case never:
		if rule.domain != "" {
			return lost(fmt.Sprintf("invalid domain name %q", rule.domain), "signpostd signs for domain names only", "")
		}
		r.explainNever(rule)
	case address:
		_, domain, _ := strings.Cut(rule.key, "@")
		fix := "for all of " + domain + " to be signed, put the key into the key directory as " +
			domain + "/<selector>.private"
		if c, err := t.target(rule, domain); err != nil || !strings.EqualFold(c.domain, domain) {
			fix = "for all of " + domain + " to be signed, make a key of its own: signpost keygen " + domain
		}
		if !isDomain(domain) || r.plan.signing(strings.ToLower(domain)) != nil {
			fix = ""
		}
		return lost(fmt.Sprintf("%q is for single addresses", rule.key),
			"signpostd signs for whole domains, so this line is left out", fix)
	case regexpr:
		return lost(fmt.Sprintf("%q is a regular expression", rule.key),
			"which domains it is for is not worked out, so this line is left out",
			"put the keys of those domains into the key directory as <domain>/<selector>.private")
	case below, all, pattern:
		return r.explainMany(t, rule)
	}
	return ""
}

// explainNever is for patterns that match no address. Where no other line is for the domain, that
// is most likely a slip which nobody has noticed.
func (r *reader) explainNever(rule rule) {
	key, fix := strings.ToLower(rule.key), ""
	domain := strings.TrimPrefix(key, "*@")
	switch {
	case !isDomain(domain) || r.plan.signing(domain) != nil:
	case domain == key:
		fix = fmt.Sprintf(`if mail from %s is to be signed, say "*@%s" there, and import again`, domain, domain)
	default:
		fix = fmt.Sprintf("if mail from %s is to be signed, say refile: in place of file: before the path "+
			"of the signing table, and import again", domain)
	}
	r.report(finding.Note, "import-pattern", rule.at,
		fmt.Sprintf("%q matches no address, so OpenDKIM signs nothing with it", rule.key), "", fix)
}

// explainMany is for rules that are for authors of more domains than can be
// listed. What each domain of its own has is in the plan already.
func (r *reader) explainMany(t tables, rule rule) string {
	name, _, _ := strings.Cut(rule.value, ":")
	if name == "%" {
		return "" // one key for each domain, and all are listed
	}
	c, err := t.target(rule, "")
	if err != nil {
		r.fault("import-table", rule.at, err, "nothing is carried over for this line")
		return ""
	}
	if c.domain == "%" {
		if !strings.Contains(c.file, "%") {
			r.report(finding.Fault, "import-pattern", rule.at,
				fmt.Sprintf("%q signs with one key in the name of whatever domain the author has", rule.key),
				"the domains are written nowhere, so only those that other lines name are carried over",
				"copy the key for each domain you send from, as <domain>/"+c.selector+".private")
		}
		return c.name
	}
	signer, err := keystore.Domain(c.domain)
	if err != nil {
		r.fault("import-table", c.at, err, "nothing is carried over for this line")
		return c.name
	}
	if rule.class == below && (signer == rule.domain ||
		strings.HasSuffix(rule.domain, "."+signer)) && r.plan.signing(signer) != nil {
		r.subdomains(rule.at, signer)
		return c.name
	}
	fix := "make keys for those domains: signpost keygen DOMAIN"
	if rule.class == below && signer == rule.domain {
		fix = fmt.Sprintf("put the key into the key directory as %s/%s.private and set "+
			"SIGNPOST_SUBDOMAINS=yes: that signs mail from %s as well", signer, c.selector, signer)
	}
	r.report(finding.Fault, "import-third-party", rule.at,
		fmt.Sprintf("%q signs mail from many domains with d=%s", rule.key, signer),
		"signpostd signs with the author's domain, so only mail from "+signer+" itself can be carried over", fix)
	return c.name
}

// spares takes the keys that the key table has for a domain beside the one
// that signs: they are kept, but must not sign.
func (r *reader) spares(t tables, used map[string]bool) {
	for _, e := range t.keys {
		c, err := t.claim(e, "")
		if err != nil {
			if !used[e.key] {
				r.report(finding.Fault, "import-table", e.at,
					fmt.Sprintf("%q is not domain:selector:key", e.value), "the line is left out", "")
			}
			continue
		}
		if strings.Contains(e.key, "*") && t.globKeys || c.domain == "%" {
			continue
		}
		domain, err := keystore.Domain(c.domain)
		if err != nil || r.plan.has(domain, c.selector) {
			continue
		}
		if r.plan.signing(domain) == nil {
			if used[e.key] {
				continue
			}
			r.note("import-unused", e.at,
				"no mail from %s is signed with key %q, so it is not carried over: signpostd "+
					"would sign with it", c.domain, e.key)
			continue
		}
		if key, ok := r.load(c, false); ok {
			r.spare(key)
		}
	}
}

// spare takes a key that must not sign. One of a type that the domain does not
// sign with would sign, so it is left.
func (r *reader) spare(key Key) {
	for _, have := range r.plan.of(key.Domain) {
		if have.Signs && have.Algorithm == key.Algorithm {
			r.add(key)
			return
		}
	}
	r.note("import-unused", key.Named,
		"the %s key %q of %s does not sign there, so it is not carried over: signpostd would sign with it",
		key.Algorithm, key.Selector, key.Domain)
}

func (p *Plan) has(domain, selector string) bool {
	selector, err := keystore.Selector(selector)
	return err == nil && slices.ContainsFunc(p.of(domain), func(key *Key) bool { return key.Selector == selector })
}
