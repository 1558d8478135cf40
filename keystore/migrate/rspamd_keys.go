package migrate

import (
	"fmt"
	"strings"

	"signpost/keystore/finding"
)

// rspamdKeys is where rspamd looks for the keys of a domain.
type rspamdKeys struct {
	domain          *uclObject // section "domain"
	selectors       []entry    // selector_map
	paths           []entry    // path_map
	path, selector  string     // of what names none
	signsWithoutAny bool       // try_fallback: with these two alone too
}

// claims follows rspamd: the section of the domain has keys, what they lack is
// filled in from the maps and then from the defaults.
func (k rspamdKeys) claims(domain string, at Place) []claim {
	var claims []claim
	if section, ok := k.domain.get(domain); ok && section.kind == uclSection {
		take := func(o *uclObject, at Place) {
			claims = append(claims, claim{selector: textOr(o, "selector", ""), file: textOr(o, "path", ""), at: at})
		}
		_, hasSelector := section.object.get("selector")
		if _, hasPath := section.object.get("path"); hasSelector || hasPath {
			take(section.object, section.at)
		}
		if list, ok := section.object.get("selectors"); ok {
			for _, element := range append(list.array, list) {
				if element.kind == uclSection {
					take(element.object, element.at)
				}
			}
		}
	}
	if e, ok := lookUp(k.selectors, domain); ok {
		if len(claims) == 0 {
			claims = []claim{{at: e.at}}
		}
		for i := range claims {
			if claims[i].selector == "" {
				claims[i].selector = e.value
			}
		}
	}
	if e, ok := lookUp(k.paths, domain); ok {
		if len(claims) == 0 {
			claims = []claim{{at: e.at}}
		}
		for i := range claims {
			if claims[i].file == "" {
				claims[i].file = e.value
			}
		}
	}
	if len(claims) == 0 && k.signsWithoutAny {
		claims = []claim{{at: at}}
	}
	for i := range claims {
		c := &claims[i]
		c.domain = domain
		if c.selector == "" {
			c.selector = k.selector
		}
		if c.file == "" {
			c.file = k.path
		}
		c.file = rspamdVariables(c.file)
		c.file = strings.NewReplacer("$domain", domain, "${domain}", domain, "$selector", c.selector,
			"${selector}", c.selector).Replace(c.file)
	}
	return claims
}

func lookUp(entries []entry, key string) (entry, bool) {
	for _, e := range entries {
		if strings.EqualFold(e.key, key) {
			return e, true
		}
	}
	return entry{}, false
}

// rspamdMapOf reads the map that a setting names.
func (r *reader) rspamdMapOf(s *uclObject, name string) []entry {
	v, ok := s.get(name)
	if !ok {
		return nil
	}
	return r.rspamdMap(v)
}

// rspamdMap reads a map: what stands in the configuration, or files of lines
// with a key and a value.
func (r *reader) rspamdMap(v uclValue) []entry {
	var all []entry
	if v.kind == uclSection {
		if list, ok := v.object.get("urls"); ok {
			return r.rspamdMap(list)
		}
		if list, ok := v.object.get("url"); ok {
			return r.rspamdMap(list)
		}
		for _, m := range v.object.members {
			all = append(all, entry{m.value.at, m.name, m.value.text})
		}
		return all
	}
	for _, text := range v.texts() {
		text = rspamdVariables(strings.TrimPrefix(text, "file://"))
		for _, prefix := range []string{"fallback+file://", "glob;", "regexp;", "radix;"} {
			text = strings.TrimPrefix(text, prefix)
		}
		if strings.Contains(text, "://") {
			r.report(finding.Fault, "import-map", v.at, fmt.Sprintf("the map %s is not fetched", text),
				"what is in it is not carried over",
				"fetch it into a file and put the path of that into the configuration")
			continue
		}
		if !strings.HasPrefix(text, "/") || strings.Contains(text, " ") {
			key, value, _ := strings.Cut(text, " ")
			all = append(all, entry{v.at, key, strings.TrimSpace(value)})
			continue
		}
		file := r.path(text)
		data, _, err := r.read(file, maxConfig)
		if err != nil {
			r.report(finding.Fault, "import-map", v.at, fmt.Sprintf("the map %s: %v", file, err),
				"what is in it is not carried over", "")
			continue
		}
		for _, e := range parseTable("file", file, data).entries {
			e.key, e.value = strings.Trim(e.key, `"`), strings.Trim(e.value, `"`)
			all = append(all, e)
		}
	}
	return all
}
