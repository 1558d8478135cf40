package keystore

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// claim is the name that a file's place in the key directory gives its key.
type claim struct{ domain, selector string }

// claims reports whether a file has the name of a key, valid or not.
func claims(file string, selectors Selectors) bool {
	_, ok, err := claimOf(file, selectors)
	return ok || err != nil
}

// claimOf reads the claim of a file by its path below the key directory, with
// "/" between. It knows the layouts
//
//	<domain>.private             boky/postfix up to 5; the selector from Selectors
//	<domain>/<selector>.private  opendkim-genkey by hand, docker-mailserver, our own
//	<domain>.<selector>.key      rspamd, Mailu; split at the last dot
//
// For a file that is not a key by its name ok is false. A name like that of a key
// that gives no safe domain and selector is an error.
func claimOf(file string, selectors Selectors) (c claim, ok bool, err error) {
	dir, base := path.Split(file)
	dir = strings.TrimSuffix(dir, "/")
	if strings.HasPrefix(base, ".") || strings.HasPrefix(dir, ".") {
		return claim{}, false, nil // temporary files, Kubernetes' ..data
	}
	var domain, selector string
	switch ext := path.Ext(base); {
	case ext == ".private" && dir == "":
		domain = strings.TrimSuffix(base, ext)
	case ext == ".private":
		domain, selector = dir, strings.TrimSuffix(base, ext)
	case ext == ".key" && dir == "":
		name := strings.TrimSuffix(base, ext)
		dot := strings.LastIndexByte(name, '.')
		if dot < 0 {
			return claim{}, true, finding.WithHint(errors.New("the name has no selector"),
				"call it <domain>.<selector>.key")
		}
		domain, selector = name[:dot], name[dot+1:]
	default:
		return claim{}, false, nil
	}
	c.domain, err = Domain(domain)
	if err != nil {
		return claim{}, true, finding.WithHint(err,
			"call it <domain>/<selector>.private or <domain>.private")
	}
	if selector == "" {
		c.selector = selectors.For(c.domain)
	} else if c.selector, err = Selector(selector); err != nil {
		return claim{}, true, finding.WithHint(err,
			"call it <domain>/<selector>.private or <domain>.private")
	}
	if n := len(record.Name(c.selector, c.domain)); n > 253 {
		return claim{}, true, finding.WithHint(
			fmt.Errorf("its record would have a name of %d characters, and the DNS takes 253", n),
			"choose a shorter selector")
	}
	return c, true, nil
}
