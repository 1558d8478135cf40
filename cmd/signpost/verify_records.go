package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	miekg "github.com/miekg/dns"
	"github.com/urfave/cli/v2"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/record"
)

// recordsAtHand holds the records of --keys and --record.
func recordsAtHand(c *cli.Context) (dns.Source, error) {
	var records []miekg.RR
	if c.String("keys") != "" {
		snapshot, err := loadKeys(c)
		if err != nil {
			return nil, exitError{exitUsage, err}
		}
		for _, problem := range snapshot.Problems() {
			warn(c, "%s", problem)
		}
		if records, err = keysAtHand(snapshot); err != nil {
			return nil, err
		}
		if len(records) == 0 && c.String("record") == "" {
			return nil, usageError("--keys: there is no key in %s", c.String("keys"))
		}
	}
	if path := c.String("record"); path != "" {
		text, err := readRecordFile(path)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--record: %w", err)}
		}
		name, err := recordName(c.String("name"))
		if err != nil {
			return nil, err
		}
		found, err := parseRecords(text, filepath.Base(path), name)
		if err != nil {
			return nil, exitError{exitUsage, fmt.Errorf("--record: %s: %w", path, err)}
		}
		records = append(records, found...)
	}
	return newAtHand(records), nil
}

func keysAtHand(snapshot *keystore.Snapshot) ([]miekg.RR, error) {
	var records []miekg.RR
	for _, domain := range snapshot.Domains() {
		for _, key := range snapshot.Keys(domain) {
			r, err := record.ForKey(key.Signer.Public())
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key.File, err)
			}
			records = append(records, newTXT(record.Name(key.Selector, domain), r.String()))
		}
	}
	return records, nil
}

// anyDomain ends the name of a key record whose domain is not known, and
// anySelector is the whole name where the selector is not known either.
const (
	anyDomain   = "._domainkey."
	anySelector = "*._domainkey."
)

// atHand answers from records at hand. A key record without a domain, or
// without any name, stands for each key that has the selector, or for each.
type atHand struct {
	zone   *dns.Zone
	anyKey []*miekg.TXT
}

func newAtHand(records []miekg.RR) *atHand {
	a := &atHand{zone: dns.NewZone(records)}
	for _, rr := range records {
		if txt, ok := rr.(*miekg.TXT); ok && strings.HasSuffix(strings.ToLower(txt.Hdr.Name), anyDomain) {
			a.anyKey = append(a.anyKey, txt)
		}
	}
	return a
}

func (a *atHand) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	selector, _, isKey := strings.Cut(strings.ToLower(name), anyDomain)
	if qtype == miekg.TypeTXT && isKey {
		for _, txt := range a.anyKey {
			owner := strings.ToLower(txt.Hdr.Name)
			if owner == anySelector || owner == selector+anyDomain {
				renamed := *txt
				renamed.Hdr.Name = miekg.Fqdn(name)
				return dns.NewZone([]miekg.RR{&renamed}).Lookup(ctx, name, qtype)
			}
		}
	}
	return a.zone.Lookup(ctx, name, qtype)
}

// maxRecordFile is far above what a zone file has.
const maxRecordFile = 16 << 20

func readRecordFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxRecordFile+1))
	if err != nil {
		return "", err
	}
	if len(text) > maxRecordFile {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxRecordFile)
	}
	return string(text), nil
}

// recordName checks --name, which may be one of a key, of a policy or a domain.
func recordName(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if _, ok := miekg.IsDomainName(name); !ok || strings.ContainsAny(name, " \t@/\\") || !strings.Contains(name, ".") {
		return "", usageError("--name: %q is no name in the DNS; hint: give it as s1._domainkey.example.org", name)
	}
	return miekg.Fqdn(name), nil
}

// unquotedLine is a record without quotes, as web forms show it, with a name
// and perhaps a type before it. The zone parser would end it at a semicolon.
var unquotedLine = regexp.MustCompile(`^(?:([^\s"();]+)\s+)?(?:\d+\s+)?(?:(?i:IN)\s+)?(?:(?i:TXT)\s+|descriptive text )?((?:v\s*=\s*(?:DKIM1|DMARC1|spf1)\b|[kpt]\s*=)[^"]*)$`)

// genkeyComment is the end of what opendkim-genkey writes.
var genkeyComment = regexp.MustCompile(`(?m); ----- DKIM key \S+ for (\S+)`)

// parseRecords reads the records in a file: a zone file, what opendkim-genkey
// or dig writes, or records without quotes. name is that of a record without
// one, and may be empty. file is the file's name, which may tell the domain.
func parseRecords(text, file, name string) ([]miekg.RR, error) {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	if strings.TrimSpace(text) == "" {
		return nil, fmt.Errorf("it is empty")
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, fmt.Errorf("it holds a private key; hint: give the .txt file beside it, or the directory with --keys")
	}
	if bare, ok := bareRecord(text); ok {
		return bareRecords(bare, name)
	}
	var records []miekg.RR
	zone := text
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := unquotedLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil && m[1] != "" {
			records = append(records, newTXT(m[1], strings.TrimSpace(m[2])))
			zone = strings.Replace(zone, line, "", 1)
		}
	}
	zone = strings.ReplaceAll(zone, " descriptive text ", " IN TXT ") // host(1)
	origin := "."
	if m := genkeyComment.FindStringSubmatch(text); m != nil {
		origin = miekg.Fqdn(m[1])
	} else if domain, ok := strings.CutSuffix(file, ".txt"); ok && strings.Contains(domain, ".") {
		if domain, err := keystore.Domain(domain); err == nil {
			origin = miekg.Fqdn(domain)
		}
	}
	if name != "" {
		origin = zoneOrigin(name)
	}
	parser := miekg.NewZoneParser(strings.NewReader(zone), origin, file)
	parser.SetDefaultTTL(3600)
	parser.SetIncludeAllowed(false)
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		records = append(records, rr)
	}
	if err := parser.Err(); err != nil {
		return nil, fmt.Errorf("%s; hint: give a zone file, the output of dig, or the text of one record", strings.TrimPrefix(err.Error(), "dns: "))
	}
	if len(records) == 0 {
		return nil, fmt.Errorf("it has no record")
	}
	return records, nil
}

// zoneOrigin is the domain of a name, which may be that of a key or a policy.
func zoneOrigin(name string) string {
	if _, domain, found := strings.Cut(name, anyDomain); found && domain != "" {
		return domain
	}
	return strings.TrimPrefix(name, "_dmarc.")
}

// bareRecord returns the text of a file that holds one record and no name: in
// quotes, perhaps several, or without.
func bareRecord(text string) (string, bool) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, `"`) {
		rr, err := miekg.NewRR(". IN TXT ( " + text + " )")
		if err != nil || rr == nil {
			return "", false
		}
		return plainTXT(rr.(*miekg.TXT)), true
	}
	joined := strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == '\n' }), " ")
	m := unquotedLine.FindStringSubmatch(joined)
	return joined, m != nil && m[1] == "" && m[2] == joined
}

// plainTXT returns the text of a record that NewRR made.
func plainTXT(txt *miekg.TXT) string {
	answer := dns.Answer{Records: []miekg.RR{txt}}
	return answer.TXT()[0].Text()
}

func bareRecords(text, name string) ([]miekg.RR, error) {
	if name == "" {
		if _, err := record.ParseSPF(text); err != record.ErrNotSPF {
			return nil, fmt.Errorf("it is an SPF record without a name; hint: add --name example.org")
		}
		if _, err := record.ParseDMARC(text); err != record.ErrNotDMARC {
			return nil, fmt.Errorf("it is a DMARC record without a name; hint: add --name _dmarc.example.org")
		}
		name = anySelector
	}
	return []miekg.RR{newTXT(name, text)}, nil
}

// newTXT makes a record of a text of any length.
func newTXT(name, text string) *miekg.TXT {
	rr := &miekg.TXT{Hdr: miekg.RR_Header{Name: miekg.Fqdn(name), Rrtype: miekg.TypeTXT, Class: miekg.ClassINET, Ttl: 3600}}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for len(text) > 255 {
		rr.Txt = append(rr.Txt, escape.Replace(text[:255]))
		text = text[255:]
	}
	rr.Txt = append(rr.Txt, escape.Replace(text))
	return rr
}
