package migrate

import (
	"bytes"
	"crypto"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"signpost/keystore"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// parseKey reads a private key as OpenDKIM and rspamd take it: what signpostd
// reads, and bare DER, base64 with blanks in it, and PEM that was put on one line.
// data is what signpostd can read: the very bytes, or PEM.
func parseKey(raw []byte) (signer crypto.Signer, data []byte, err error) {
	signer, err = keystore.ParsePrivate(raw)
	if err == nil {
		return signer, raw, nil
	}
	der := raw
	text := bytes.TrimSpace(raw)
	if body, ok := oneLine(string(text)); ok {
		text = []byte(body)
	}
	compact := strings.Map(func(c rune) rune {
		if strings.ContainsRune(" \t\r\n", c) {
			return -1
		}
		return c
	}, string(text))
	if decoded, decodeErr := base64.StdEncoding.DecodeString(compact); decodeErr == nil {
		der = decoded
	}
	for _, kind := range []string{"PRIVATE KEY", "RSA PRIVATE KEY"} {
		block := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
		other, otherErr := keystore.ParsePrivate(block)
		if otherErr == nil {
			return other, block, nil
		}
		// That a key is too short says more than that it is no PEM.
		if strings.Contains(otherErr.Error(), "too short") {
			err = otherErr
		}
	}
	return nil, nil, err
}

// oneLine returns what stands between the two marks of PEM on one line.
func oneLine(text string) (body string, ok bool) {
	rest, ok := strings.CutPrefix(text, "-----BEGIN ")
	if !ok || strings.Contains(text, "\n") {
		return "", false
	}
	if _, rest, ok = strings.Cut(rest, "-----"); !ok {
		return "", false
	}
	body, _, ok = strings.Cut(rest, "-----END ")
	return strings.ReplaceAll(body, `\n`, ""), ok
}

// claim is a key that a configuration asks for.
type claim struct {
	name             string // of the key, in a key table
	domain, selector string
	file             string // as the configuration writes it; empty for inline
	inline           string
	at               Place
}

// load reads the key of a claim. What is wrong is reported.
func (r *reader) load(c claim, signs bool) (Key, bool) {
	fail := func(err error) (Key, bool) {
		r.fault("import-key", c.at, fmt.Errorf("the key for %s, selector %q: %w", c.domain, c.selector, err),
			"the key is not carried over")
		return Key{}, false
	}
	domain, err := keystore.Domain(c.domain)
	if err != nil {
		return fail(err)
	}
	selector, err := keystore.Selector(c.selector)
	if err != nil {
		return fail(err)
	}
	if n := len(record.Name(selector, domain)); n > 253 {
		return fail(fmt.Errorf("its record would have a name of %d characters, and the DNS takes 253", n))
	}
	raw, modTime, shown := []byte(c.inline), time.Time{}, c.at.File
	if c.file != "" {
		shown = r.path(c.file)
		data, info, err := r.read(shown, maxKey)
		if err != nil {
			return fail(fmt.Errorf("%s: %w", shown, err))
		}
		raw, modTime = data, info.ModTime()
	} else if _, info, err := r.read(c.at.File, maxConfig); err == nil {
		modTime = info.ModTime()
	}
	signer, data, err := parseKey(raw)
	if err != nil && c.file == "" && len(c.inline) < 200 {
		return fail(finding.WithHint(fmt.Errorf("%q is not a key", c.inline),
			"OpenDKIM treats it as a path only if it begins with / or ./"))
	}
	if err != nil {
		return fail(fmt.Errorf("%s: %w", shown, err))
	}
	rewritten := !bytes.Equal(data, raw)
	if rewritten {
		r.note("import-rewritten", c.at, "the key for %s, selector %q, is not in PEM; the copy is", domain, selector)
	}
	algorithm, bits := keystore.Describe(signer)
	return Key{
		Key: keystore.Key{
			Domain: domain, Selector: selector, Algorithm: algorithm, Bits: bits,
			Signer: signer, File: shown, ModTime: modTime,
		},
		Data: data, Signs: signs, Named: c.at,
	}, true
}

// add takes a key into the plan. signpostd signs once for each key type, so
// a second one that signs is kept, but does not sign.
func (r *reader) add(key Key) {
	for _, have := range r.plan.of(key.Domain) {
		if have.Selector == key.Selector {
			if !have.Equal(&key.Key) {
				r.report(finding.Fault, "import-conflict", key.Named,
					fmt.Sprintf("another key for %s, selector %q, is in %s", key.Domain, key.Selector, have.File),
					"only the first is carried over: one record in the DNS is for one key", "")
			}
			have.Signs = have.Signs || key.Signs
			return
		}
		if have.Signs && key.Signs && have.Algorithm == key.Algorithm {
			r.report(finding.Warning, "import-two-signatures", key.Named,
				fmt.Sprintf("mail from %s is signed with two %s keys, %q and %q", key.Domain, key.Algorithm,
					have.Selector, key.Selector),
				fmt.Sprintf("signpostd signs once for each type of key: with %q", have.Selector), "")
			key.Signs = false
		}
	}
	if r.plan.byDomain == nil {
		r.plan.byDomain = make(map[string][]*Key)
	}
	r.plan.byDomain[key.Domain] = append(r.plan.byDomain[key.Domain], &key)
}
