package keystore

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
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
//	<domain>/<selector>.key      KumoMTA
//	rsa-2048-<selector>-<domain>.private.txt, ed25519-<selector>-<domain>.private.txt
//	                             docker-mailserver for rspamd
//
// For a file that is not a key by its name ok is false. A name of the first three
// layouts that gives no safe domain and selector is an error. In the last two,
// which came later, only a name that can be read in one way is that of a key: a
// directory with other files of such names stays as good as it was.
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
	case ext == ".key":
		return keyInFolder(dir, strings.TrimSuffix(base, ext))
	case dir == "":
		c, ok = mailserverClaim(base, selectors)
		return c, ok, nil
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

// keyInFolder is the claim of <domain>/<selector>.key. A name with the domain in it may
// have been <domain>.<selector>.key in a folder, or be the key of a TLS certificate, as
// the names in certificateKeys are, so it is none.
func keyInFolder(dir, name string) (c claim, ok bool, err error) {
	lower := strings.ToLower(name)
	if strings.Contains(lower, strings.ToLower(dir)) || slices.Contains(certificateKeys, lower) {
		return claim{}, false, nil
	}
	c, ok = newClaim(dir, name)
	return c, ok, nil
}

// certificateKeys are what web servers, ACME clients and Kubernetes call the key of a
// certificate, without .key.
var certificateKeys = []string{"ca", "cert", "client", "key", "private", "privkey", "server", "ssl", "tls"}

// newClaim is the claim of a domain and a selector, if that is what they are.
func newClaim(domain, selector string) (c claim, ok bool) {
	var domainErr, selectorErr error
	c.domain, domainErr = Domain(domain)
	c.selector, selectorErr = Selector(selector)
	if domainErr != nil || selectorErr != nil || len(record.Name(c.selector, c.domain)) > 253 {
		return claim{}, false
	}
	return c, true
}

// mailserverClaim is the claim of <type>-<selector>-<domain>.private.txt. Where the
// selector ends often cannot be told, for domains have hyphens too: then Selectors
// says which selector the domain has.
func mailserverClaim(base string, selectors Selectors) (c claim, ok bool) {
	ways := mailserverWays(base)
	if len(ways) > 1 {
		ways = slices.DeleteFunc(ways, func(c claim) bool { return c.selector != selectors.For(c.domain) })
	}
	if len(ways) != 1 {
		return claim{}, false
	}
	return ways[0], true
}

// mailserverWays are all the ways to read such a name; none for other names.
func mailserverWays(base string) (ways []claim) {
	name, ok := strings.CutSuffix(base, mailserverEnding)
	if !ok {
		return nil
	}
	kind, name, ok := strings.Cut(name, "-")
	if kind == "rsa" && ok {
		bits, rest, more := strings.Cut(name, "-")
		name, ok = rest, more && bits != "" && strings.Trim(bits, "0123456789") == ""
	} else if kind != "ed25519" {
		ok = false
	}
	if !ok || len(name) > maxName {
		return nil
	}
	for i := range len(name) {
		if name[i] != '-' {
			continue
		}
		if c, ok := newClaim(name[i+1:], name[:i]); ok {
			ways = append(ways, c)
		}
	}
	return ways
}

// mailserverEnding is that of a key; beside it are .public.txt and .public.dns.txt.
const mailserverEnding = ".private.txt"

// A KeyName is the domain and the selector of a key.
type KeyName struct{ Domain, Selector string }

// MailserverNames returns what the name of a file in the last layout may mean, where
// docker-mailserver has put the key for rspamd: several where it has more hyphens than
// two or three, none for a file of another name.
func MailserverNames(file string) (names []KeyName) {
	for _, c := range mailserverWays(filepath.Base(file)) {
		names = append(names, KeyName{c.domain, c.selector})
	}
	return names
}

// named reports whether an entry of the directory has the name of a key file: for a
// folder, that it is what Docker makes of a mount whose source is missing.
func named(entry string) bool {
	ext := path.Ext(entry)
	return ext == ".private" || ext == ".key" || strings.HasSuffix(entry, mailserverEnding)
}

// later reports whether a file is in one of the layouts that came later. Where one of
// the others has another key of that name, that is the one.
func (f *file) later() bool {
	base := filepath.Base(f.File)
	if strings.HasSuffix(base, mailserverEnding) {
		return true
	}
	name, ok := strings.CutSuffix(base, ".key")
	selector, err := Selector(name)
	return ok && err == nil && selector == f.Selector // else it is <domain>.<selector>.key
}

// RecordFile returns where the record of a key file is, for people, if it is
// anywhere.
func RecordFile(file string) string {
	if base, ok := strings.CutSuffix(file, mailserverEnding); ok {
		return base + ".public.txt"
	}
	return strings.TrimSuffix(strings.TrimSuffix(file, ".private"), ".key") + ".txt"
}
