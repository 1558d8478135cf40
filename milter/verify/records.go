package verify

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	miekg "github.com/miekg/dns"

	"signpost/keystore"
	"signpost/keystore/dns"
	"signpost/keystore/finding"
	"signpost/keystore/record"
)

// anyDomain ends the name of a key record whose domain is not known, and
// anySelector is the whole name where the selector is not known either.
const (
	anyDomain   = "._domainkey."
	anySelector = "*._domainkey."
)

// Records is a Source that knows only the records it was given. A key record
// without a domain stands for every key with its selector, and one without any
// name for every key.
type Records struct {
	zone   *dns.Zone
	anyKey []*miekg.TXT
}

// NewRecords returns a source of these records.
func NewRecords(records []miekg.RR) *Records {
	r := &Records{zone: dns.NewZone(records)}
	for _, rr := range records {
		if txt, ok := rr.(*miekg.TXT); ok && strings.HasSuffix(strings.ToLower(txt.Hdr.Name), anyDomain) {
			r.anyKey = append(r.anyKey, txt)
		}
	}
	return r
}

// Lookup answers a query.
func (r *Records) Lookup(ctx context.Context, name string, qtype uint16) (*dns.Answer, error) {
	selector, _, isKey := strings.Cut(strings.ToLower(name), anyDomain)
	if qtype == miekg.TypeTXT && isKey {
		for _, txt := range r.anyKey {
			owner := strings.ToLower(txt.Hdr.Name)
			if owner == anySelector || owner == selector+anyDomain {
				renamed := *txt
				renamed.Hdr.Name = miekg.Fqdn(name)
				return dns.NewZone([]miekg.RR{&renamed}).Lookup(ctx, name, qtype)
			}
		}
	}
	return r.zone.Lookup(ctx, name, qtype)
}

// unquotedLine is a record without quotes, as web forms show it, with a name
// and perhaps a type before it. The zone parser would end it at a semicolon.
var unquotedLine = regexp.MustCompile(`^(?:([^\s"();]+)\s+)?(?:\d+\s+)?(?:(?i:IN)\s+)?` +
	`(?:(?i:TXT)\s+|descriptive text )?((?:v\s*=\s*(?:DKIM1|DMARC1|spf1)\b|[kpt]\s*=)[^"]*)$`)

// genkeyComment is the end of what opendkim-genkey writes.
var genkeyComment = regexp.MustCompile(`(?m); ----- DKIM key \S+ for (\S+)`)

// ErrNoName is the error of ParseRecords for a policy whose domain is not known.
var ErrNoName = errors.New("without a name")

// ParseRecords reads the records in a file: a zone file, what opendkim-genkey
// or dig writes, or records without quotes. name is that of a record without
// one, and may be empty. file is the file's name, which may tell the domain.
func ParseRecords(text, file, name string) ([]miekg.RR, error) {
	text = strings.TrimPrefix(strings.ReplaceAll(text, "\r\n", "\n"), "\ufeff")
	if strings.TrimSpace(text) == "" {
		return nil, errors.New("it is empty")
	}
	if strings.Contains(text, "PRIVATE KEY-----") {
		return nil, finding.WithHint(errors.New("it holds a private key"),
			"give the .txt file beside it, or the key directory")
	}
	if name != "" {
		name = miekg.Fqdn(name)
	}
	if bare, ok := bareRecord(text); ok {
		return bareRecords(bare, name)
	}
	var records []miekg.RR
	zone := text
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if m := unquotedLine.FindStringSubmatch(strings.TrimSpace(line)); m != nil && m[1] != "" {
			records = append(records, NewTXT(m[1], strings.TrimSpace(m[2])))
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
		return nil, finding.WithHint(errors.New(strings.TrimPrefix(err.Error(), "dns: ")),
			"give a zone file, the output of dig, or the text of one record")
	}
	if len(records) == 0 {
		return nil, errors.New("it has no record")
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
			return nil, fmt.Errorf("it is an SPF record %w", ErrNoName)
		}
		if _, err := record.ParseDMARC(text); err != record.ErrNotDMARC {
			return nil, fmt.Errorf("it is a DMARC record %w", ErrNoName)
		}
		name = anySelector
	}
	return []miekg.RR{NewTXT(name, text)}, nil
}

// NewTXT makes a record of a text of any length.
func NewTXT(name, text string) *miekg.TXT {
	rr := &miekg.TXT{Hdr: miekg.RR_Header{Name: miekg.Fqdn(name), Rrtype: miekg.TypeTXT, Class: miekg.ClassINET,
		Ttl: 3600}}
	escape := strings.NewReplacer(`\`, `\\`, `"`, `\"`)
	for _, part := range record.NewTXT(text) {
		rr.Txt = append(rr.Txt, escape.Replace(part))
	}
	return rr
}
