package record

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

const (
	unreadable = "verifiers cannot read the record, so every signature with this key fails"
	keyFails   = "every signature with this key fails"
)

// LintDKIM says what is wrong with the TXT records at name, the full name of a
// key record such as "s1._domainkey.example.org", where want should stand. With
// the zero want it lints what is there alone.
func LintDKIM(name string, published []TXT, want DKIM) []finding.Finding {
	l := &dkimLinter{linter: linter{name: name}, key: want}
	l.fix = "publish the record that \"signpost dns\" prints for " + name
	if len(want.PublicKey) > 0 {
		l.want(want.String())
	}
	if len(published) == 0 {
		l.wrong(finding.Fault, "dkim-missing", "there is no TXT record", "verifiers find no key, so "+keyFails)
		return l.findings
	}
	if l.scattered(published) {
		l.wrongBut("remove all of them, and", finding.Fault, "dkim-split-records",
			fmt.Sprintf("the parts of the value are published as %d TXT records, not as the strings of one",
				len(published)), unreadable)
		return l.findings
	}
	if len(published) > 1 {
		l.wrongBut("remove the others, and", finding.Fault, "dkim-several",
			fmt.Sprintf("there are %d TXT records at one name: %s", len(published), quoteAll(published)),
			"verifiers use any of them, or none: signatures fail now and then (RFC 6376, section 3.6.2.2)")
	}
	l.record(l.likeliest(published))
	return l.findings
}

type dkimLinter struct {
	linter
	key DKIM // that should be there
}

// likeliest returns the record that is meant, where there are several: the one
// with the wanted key, else one that looks like a key record.
func (l *dkimLinter) likeliest(published []TXT) TXT {
	for _, t := range published {
		if r, err := ParseDKIM(t.Text()); err == nil && len(l.key.PublicKey) > 0 &&
			bytes.Equal(r.PublicKey, l.key.PublicKey) {
			return t
		}
	}
	for _, t := range published {
		if strings.Contains(t.Text(), "p=") && otherRecord(t.Text()) == "" {
			return t
		}
	}
	return published[0]
}

func (l *dkimLinter) record(txt TXT) {
	text, found := mend(txt.Text())
	if other := otherRecord(text); other != "" {
		l.wrong(finding.Fault, "dkim-other-record", "this is "+other+", not a key record: "+quote(text),
			"verifiers find no key, so "+keyFails)
		return
	}
	if len(l.key.PublicKey) == 0 {
		if r, err := ParseDKIM(text); err == nil && !r.Revoked() && !strings.ContainsAny(text, "\r\n") {
			l.want(asMeant(r).String())
		}
	}
	if text == "" {
		l.wrong(finding.Fault, "dkim-empty", "the record is empty", "verifiers find no key, so "+keyFails)
		return
	}
	if l.misordered(txt, text) {
		l.wrong(finding.Fault, "dkim-split-order",
			"the parts of the value are published in the wrong order", unreadable)
		return
	}
	if l.headless(text) {
		l.wrong(finding.Fault, "dkim-part-lost",
			"the beginning of the value is lost: only "+quote(text)+" is there", unreadable)
		return
	}
	for _, p := range found {
		l.wrong(finding.Fault, "dkim-"+p.kind, p.what, unreadable)
	}
	tags := splitTags(text)
	l.list(tags)
	l.version(tags)
	for _, t := range tags {
		l.tag(t)
	}
	l.keyTag(text, tags)
	if !slices.ContainsFunc(l.findings, func(f finding.Finding) bool { return f.Level == finding.Fault }) {
		l.size(txt)
	}
}

// asMeant returns a record with what its key and mail need in the place of what
// does not go with them.
func asMeant(r DKIM) DKIM {
	if key := classify(r.PublicKey); key.public != nil {
		r.KeyType, r.PublicKey = key.keyType, key.public
	}
	if r.Hash != "" && !hasWord(r.Hash, "sha256") {
		r.Hash = "sha256"
	}
	if r.Service != "" && !hasWord(r.Service, "*") && !hasWord(r.Service, "email") {
		r.Service = "email"
	}
	if r.Testing() {
		r.Flags = strings.Join(slices.DeleteFunc(strings.Split(r.Flags, ":"),
			func(flag string) bool { return hasWord(flag, "y") }), ":")
	}
	return r
}

// otherRecord names the kind of record that text is, if it is no key record.
func otherRecord(text string) string {
	switch text = strings.ToLower(text); {
	case strings.HasPrefix(text, "v=spf1"):
		return "an SPF record"
	case strings.HasPrefix(text, "v=dmarc1"):
		return "a DMARC record"
	}
	return ""
}

// list checks the tag-list as such (RFC 6376, section 3.2).
func (l *dkimLinter) list(tags []Tag) {
	count := make(map[string]int)
	for _, t := range tags {
		count[t.Name]++
		switch {
		case t.Name == "" && t.Value == "":
			l.wrong(finding.Fault, "dkim-empty-tag", "there is nothing between two semicolons",
				"strict verifiers treat the whole record as invalid")
		case t.Name == "" || !isTagName(t.Name):
			l.wrong(finding.Fault, "dkim-syntax",
				quote(strings.TrimPrefix(t.Name+"="+t.Value, "="))+" is not tag=value",
				"strict verifiers treat the whole record as invalid")
		case count[t.Name] == 2:
			l.wrong(finding.Fault, "dkim-duplicate-tag", "tag "+t.Name+"= is there more than once",
				"verifiers treat the whole record as invalid")
		}
	}
}

func (l *dkimLinter) version(tags []Tag) {
	at := slices.IndexFunc(tags, func(t Tag) bool { return t.Name == "v" })
	switch {
	case at < 0 && strings.EqualFold(tags[0].Name, "v"):
		l.wrong(finding.Fault, "dkim-wrong-version",
			quote(tags[0].Name+"="+tags[0].Value)+" is not v=DKIM1", unreadable)
	case at < 0:
		l.note("dkim-no-version", "it has no v=DKIM1", "this is allowed, and good practice is to begin with it")
	case tags[at].Value != "DKIM1":
		l.wrong(finding.Fault, "dkim-wrong-version", quote("v="+tags[at].Value)+" is not v=DKIM1", unreadable)
	case at > 0:
		l.wrong(finding.Fault, "dkim-version-not-first", "v=DKIM1 is not at the beginning", unreadable)
	}
}

// tag checks the tags that do not hold the key.
func (l *dkimLinter) tag(t Tag) {
	switch t.Name {
	case "h":
		switch {
		case t.Value != "" && !hasWord(t.Value, "sha256"):
			l.wrong(finding.Fault, "dkim-wrong-hash", "h="+t.Value+" does not allow sha256",
				"signatures are made with sha256, so "+keyFails)
		case hasWord(t.Value, "sha1"):
			l.note("dkim-sha1", "h="+t.Value+" allows sha1", "nobody may sign or verify with it any more (RFC 8301)")
		}
	case "k":
		if t.Value != "rsa" && t.Value != "ed25519" {
			l.wrong(finding.Fault, "dkim-wrong-key-type", "k="+t.Value+" is neither rsa nor ed25519", keyFails)
		}
	case "s":
		if t.Value != "" && !hasWord(t.Value, "*") && !hasWord(t.Value, "email") {
			l.wrong(finding.Fault, "dkim-wrong-service", "s="+t.Value+" is not for mail: neither email nor *", keyFails)
		}
	case "t":
		if hasWord(t.Value, "y") {
			l.wrong(finding.Warning, "dkim-testing", "t=y says that the domain is only testing DKIM",
				"verifiers may treat the mail as if it were not signed")
		}
		if hasWord(t.Value, "s") {
			l.note("dkim-strict", "t=s forbids signatures on behalf of subdomains",
				"a signature whose i= names a subdomain fails; those of signpostd have no i= and are not concerned")
		}
	case "v", "p", "n", "":
	case "g":
		l.note("dkim-unknown-tag", "tag g= is no longer part of DKIM", "verifiers ignore it, but for very old ones")
	default:
		if isTagName(t.Name) {
			l.note("dkim-unknown-tag", "tag "+t.Name+"= is not known", "verifiers ignore it")
		}
	}
}

// size looks at what the record is in DNS messages.
func (l *dkimLinter) size(txt TXT) {
	// Header, question, and the answer with a compressed name.
	size := 12 + len(l.name) + 2 + 4 + 12
	empty := false
	for _, s := range txt {
		size += 1 + len(s)
		empty = empty || s == ""
	}
	if size > 512 {
		l.note("dkim-long", fmt.Sprintf("the answer of the DNS takes %d bytes, more than the 512 of plain UDP", size),
			"resolvers need EDNS or TCP to get it, and some firewalls are in the way")
	}
	if text := txt.Text(); empty || len(txt) > len(text)/255+3 {
		l.note("dkim-odd-split", fmt.Sprintf("the value is split oddly, into %d strings for %d bytes",
			len(txt), len(text)), "it does no harm")
	}
}

func quoteAll(published []TXT) string {
	var quoted []string
	for _, t := range published {
		quoted = append(quoted, quote(t.Text()))
	}
	return strings.Join(quoted, ", ")
}
