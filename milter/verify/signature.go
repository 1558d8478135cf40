package verify

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"signpost/keystore"
	"signpost/keystore/record"
	"signpost/milter/dkim"
	"signpost/milter/message"
)

// Result is what a check came to (RFC 8601, section 2.7).
type Result string

// Results of a signature and of DMARC.
const (
	None      Result = "none" // the check does not apply
	Pass      Result = "pass"
	Fail      Result = "fail"      // the signature does not match, or has expired
	Policy    Result = "policy"    // too weak to be accepted
	Neutral   Result = "neutral"   // the signature cannot be read
	TempError Result = "temperror" // the DNS did not answer
	PermError Result = "permerror" // there is no usable key, or not one author domain
)

// Where a signature breaks.
const (
	inSyntax    = "syntax"    // the DKIM-Signature field itself
	inAlgorithm = "algorithm" // a=
	inBody      = "body"      // the body hash
	inHeader    = "header"    // the signature over the header
	inKey       = "key"       // the key record
	inTime      = "time"      // t= or x=
	inDNS       = "dns"       // the query for the key
)

// Signature is one DKIM-Signature field and what became of it.
type Signature struct {
	Line             int    // where it begins
	Domain, Selector string // d= and s=
	Identity         string // i=, empty when absent
	Algorithm        string // a=
	Canonicalization string // c= in full, such as "relaxed/simple"
	Signed           []string
	Time, Expires    time.Time // t= and x=; zero when absent
	KeyBits          int       // of an RSA key

	Result Result
	Where  string // where it breaks; empty with Pass
	Reason string // why it breaks, in words
	Notes  []string
	// Aligned says that the domain counts for the author domain.
	Aligned bool

	field        dkim.Field
	cutB         string // the value of the field without that of b=
	header, body dkim.Canonicalization
	length       int64 // l=, or -1
	bodyHash     []byte
	signature    []byte
	start        string // of b=, to tell signatures apart
}

// name is where the key is published.
func (s *Signature) name() string { return record.Name(s.Selector, s.Domain) }

// Related reports whether the domain of the signature and the author domain are one, or one of
// them is below the other.
func (s *Signature) Related(author string) bool { return related(s.Domain, author, true) }

// Broken reports whether the message is not the one that was signed, or the key not the one that
// signed it. One that has only expired is not broken.
func (s *Signature) Broken() bool { return s.Result == Fail && s.Where != inTime }

// KeyGone reports whether there is no key any more to verify it with.
func (s *Signature) KeyGone() bool { return s.Result == PermError && s.Where == inKey }

// Whole reports whether all of the body is signed: l= allows that anybody adds to it.
func (s *Signature) Whole() bool { return s.length < 0 }

func (s *Signature) set(result Result, where, format string, args ...any) {
	s.Result, s.Where, s.Reason = result, where, fmt.Sprintf(format, args...)
}

func (s *Signature) note(format string, args ...any) {
	s.Notes = append(s.Notes, fmt.Sprintf(format, args...))
}

// parseSignature reads the field. What is wrong with it is its result.
func parseSignature(f message.Field) *Signature {
	s := &Signature{Line: f.Line, field: f.Field, length: -1}
	tags, err := record.ParseTags(f.Value)
	if err == nil && !isText(f.Value) {
		err = errors.New("it has a control character, or octets that are not UTF-8 (RFC 6376, section 3.2; RFC 8616)")
	}
	if err == nil {
		err = s.read(tags)
	}
	if err != nil {
		s.set(Neutral, inSyntax, "the field cannot be read: %v", err)
		return s
	}
	switch s.Algorithm {
	case "rsa-sha256", "ed25519-sha256":
	case "rsa-sha1":
		s.set(Policy, inAlgorithm, "rsa-sha1 is too weak, and must not be accepted (RFC 8301)")
	default:
		s.set(Neutral, inAlgorithm, "a=%s is not a known algorithm", s.Algorithm)
	}
	return s
}

// read applies RFC 6376, sections 3.5 and 6.1.1. White space may stand around
// values, in lists beside their colons, and in base64, but not within a name.
func (s *Signature) read(list []record.Tag) (err error) {
	tags := make(map[string]string)
	for i, t := range list {
		tags[t.Name] = t.Value
		if t.Name == "b" {
			parts := strings.Split(s.field.Value, ";")
			name, _, _ := strings.Cut(parts[i], "=")
			parts[i] = name + "="
			s.cutB = strings.Join(parts, ";")
		}
	}
	s.Domain, s.Selector = tags["d"], tags["s"]
	s.Algorithm = tags["a"][:min(len(tags["a"]), 40)]
	if v := tags["v"]; v != "1" {
		return fmt.Errorf("v= is %s, not 1", message.Quote(v))
	}
	for _, name := range []string{"a", "b", "bh", "d", "h", "s"} {
		if tags[name] == "" {
			return fmt.Errorf("it has no %s=", name)
		}
	}
	for _, name := range []string{"d", "s"} {
		if strings.HasSuffix(tags[name], ".") {
			return fmt.Errorf("%s= is %s, and no dot may stand at its end", name, message.Quote(tags[name]))
		}
	}
	if s.Domain, err = keystore.Domain(s.Domain); err != nil {
		return fmt.Errorf("d=: %w", err)
	}
	if s.Selector, err = keystore.Selector(s.Selector); err != nil {
		return fmt.Errorf("s=: %w", err)
	}
	c := tags["c"]
	if c == "" {
		c = "simple"
	}
	if s.header, s.body, err = dkim.ParseCanonicalization(c); err != nil {
		return fmt.Errorf("c= is %s, which is not a canonicalization", message.Quote(c))
	}
	s.Canonicalization = s.header.String() + "/" + s.body.String()
	for name := range strings.SplitSeq(tags["h"], ":") {
		s.Signed = append(s.Signed, strings.ToLower(strings.Trim(name, whiteSpace)))
	}
	if !slices.Contains(s.Signed, "from") {
		return fmt.Errorf("h= does not list From")
	}
	b := spaceless(tags["b"])
	s.start = b[:min(len(b), 8)]
	if s.signature, err = base64.StdEncoding.DecodeString(b); err != nil {
		return fmt.Errorf("b= is not base64")
	}
	if s.bodyHash, err = base64.StdEncoding.DecodeString(spaceless(tags["bh"])); err != nil {
		return fmt.Errorf("bh= is not base64")
	}
	if q, ok := tags["q"]; ok && !slices.ContainsFunc(strings.Split(q, ":"),
		func(method string) bool { return strings.Trim(method, whiteSpace) == "dns/txt" }) {
		return fmt.Errorf("q= is %s, and the only way to a key is dns/txt", message.Quote(q))
	}
	if err := s.readIdentity(tags["i"]); err != nil {
		return err
	}
	if l, ok := tags["l"]; ok {
		if s.length, err = number(l, 76); err != nil {
			return fmt.Errorf("l= is %s, which is not a number", message.Quote(l))
		}
	}
	return s.readTimes(tags)
}

// readIdentity checks that i= is in the domain or below.
func (s *Signature) readIdentity(value string) error {
	if value == "" {
		return nil
	}
	s.Identity = spaceless(value)
	at := strings.LastIndexByte(s.Identity, '@')
	domain := strings.ToLower(s.Identity[at+1:])
	if at < 0 || strings.Contains(s.Identity[:at], "@") && s.Identity[0] != '"' || strings.HasSuffix(domain, ".") {
		return fmt.Errorf("i= is %s, which is not an address in d=%s", message.Quote(s.Identity), s.Domain)
	}
	if ascii, err := keystore.Domain(domain); err == nil {
		domain = ascii
	}
	if domain != s.Domain && !strings.HasSuffix(domain, "."+s.Domain) {
		return fmt.Errorf("i= is %s, which is not in d=%s", message.Quote(s.Identity), s.Domain)
	}
	return nil
}

// identityDomain is the domain of i=, or d= without it.
func (s *Signature) identityDomain() string {
	if s.Identity == "" {
		return s.Domain
	}
	return strings.ToLower(s.Identity[strings.LastIndexByte(s.Identity, '@')+1:])
}

func (s *Signature) readTimes(tags map[string]string) error {
	for _, name := range []string{"t", "x"} {
		at := &s.Time
		if name == "x" {
			at = &s.Expires
		}
		value, ok := tags[name]
		if !ok {
			continue
		}
		seconds, err := number(value, 12)
		if err != nil {
			return fmt.Errorf("%s= is %s, which is not a time", name, message.Quote(value))
		}
		*at = time.Unix(seconds, 0).UTC()
	}
	if !s.Time.IsZero() && !s.Expires.IsZero() && !s.Expires.After(s.Time) {
		return fmt.Errorf("it expires before it was made: x=%d, t=%d", s.Expires.Unix(), s.Time.Unix())
	}
	return nil
}

// number reads up to most digits. What is larger than any body is as good as
// the largest number.
func number(s string, most int) (int64, error) {
	if len(s) > most || strings.Trim(s, "0123456789") != "" || s == "" {
		return 0, strconv.ErrSyntax
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return math.MaxInt64, nil
	}
	return n, nil
}

const whiteSpace = " \t\r\n"

// isText reports whether a tag-list has only characters that are allowed in one.
func isText(list string) bool {
	return utf8.ValidString(list) && !strings.ContainsFunc(list, func(c rune) bool {
		return unicode.IsControl(c) && !strings.ContainsRune(whiteSpace, c)
	})
}

// spaceless drops the white space that may stand inside lists and base64.
func spaceless(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(c rune) bool { return strings.ContainsRune(whiteSpace, c) }), "")
}
