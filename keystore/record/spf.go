package record

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// SPF is a sender policy (RFC 7208, section 4.6): its terms in order.
type SPF struct{ Terms []Term }

// Term is a directive or a modifier (RFC 7208, sections 5 and 6), such as
//
//	-all                {Qualifier: "-", Name: "all"}
//	a:example.org/24    {Name: "a", Value: "example.org", CIDR: "/24"}
//	ip4:192.0.2.0/24    {Name: "ip4", Value: "192.0.2.0", CIDR: "/24"}
//	redirect=other.org  {Name: "redirect", Value: "other.org", Modifier: true}
type Term struct {
	Qualifier string // "+", "-", "~" or "?"; empty, which means "+", when not written
	Name      string // lower case
	Value     string // domain, with macros as written, or address; may be empty
	CIDR      string // "/24", "//64" or "/24//64"; may be empty
	Modifier  bool   // it is written name=value
}

// String returns the record as one line of text.
func (r SPF) String() string {
	var b strings.Builder
	b.WriteString("v=spf1")
	for _, t := range r.Terms {
		b.WriteByte(' ')
		b.WriteString(t.String())
	}
	return b.String()
}

func (t Term) String() string {
	switch {
	case t.Modifier:
		return t.Name + "=" + t.Value
	case t.Value == "":
		return t.Qualifier + t.Name + t.CIDR
	}
	return t.Qualifier + t.Name + ":" + t.Value + t.CIDR
}

// What receivers look up for one record and all that it includes (RFC 7208,
// section 4.6.4).
const (
	MaxLookups = 10 // terms that look something up
	MaxVoid    = 2  // of these lookups, such that find nothing
)

// LooksUp reports whether the term counts towards the ten that may look things
// up in the DNS (RFC 7208, section 4.6.4).
func (t Term) LooksUp() bool {
	if t.Modifier {
		return t.Name == "redirect"
	}
	return slices.Contains([]string{"include", "a", "mx", "ptr", "exists"}, t.Name)
}

// ErrNotSPF says that a text is no SPF record at all, so that its readers go on
// as if it were not there (RFC 7208, section 4.5).
var ErrNotSPF = errors.New("it does not begin with v=spf1 and a space")

// ParseSPF reads a sender policy. The error is ErrNotSPF, or names the first
// term that is wrong, for which receivers give "permerror".
func ParseSPF(text string) (SPF, error) {
	r, wrong, err := readSPF(text)
	if err == nil && len(wrong) > 0 {
		err = wrong[0]
	}
	if err != nil {
		return SPF{}, err
	}
	return r, nil
}

// readSPF reads what it can, and returns an error for each term that is wrong.
func readSPF(text string) (r SPF, wrong []error, err error) {
	const version = "v=spf1"
	if len(text) < len(version) || !strings.EqualFold(text[:len(version)], version) {
		return r, nil, ErrNotSPF
	}
	rest := text[len(version):]
	if rest != "" && rest[0] != ' ' {
		return r, nil, ErrNotSPF
	}
	once := make(map[string]bool)
	for word := range strings.SplitSeq(rest, " ") {
		if word == "" {
			continue
		}
		t, err := ParseTerm(word)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		// RFC 7208, section 6.
		if t.Modifier && (t.Name == "redirect" || t.Name == "exp") {
			if once[t.Name] {
				wrong = append(wrong, fmt.Errorf("%s: %s= may be there only once", quote(word), t.Name))
				continue
			}
			once[t.Name] = true
		}
		r.Terms = append(r.Terms, t)
	}
	return r, wrong, nil
}

// ParseTerm reads one directive or modifier.
func ParseTerm(text string) (Term, error) {
	t, err := parseTerm(text)
	if err != nil {
		return Term{}, fmt.Errorf("%s: %w", quote(text), err)
	}
	return t, nil
}

func parseTerm(text string) (t Term, err error) {
	end := strings.IndexAny(text, ":/=")
	if end < 0 {
		end = len(text)
	}
	t.Name = strings.ToLower(text[:end])
	rest := text[end:]
	if strings.HasPrefix(rest, "=") {
		t.Modifier, t.Value = true, rest[1:]
		if !isModifierName(t.Name) {
			return t, fmt.Errorf("%s is not the name of a modifier", quote(text[:end]))
		}
		if t.Name == "redirect" || t.Name == "exp" {
			return t, checkDomainSpec(t.Value)
		}
		return t, checkMacros(t.Value)
	}
	if t.Name != "" && strings.Contains("+-~?", t.Name[:1]) {
		t.Qualifier, t.Name = t.Name[:1], t.Name[1:]
	}
	value, hasValue := strings.CutPrefix(rest, ":")
	switch t.Name {
	case "all":
		if rest != "" {
			return t, errors.New("nothing may follow all")
		}
		return t, nil
	case "include", "exists":
		t.Value = value
		return t, checkDomainSpec(value)
	case "ptr":
		if !hasValue && rest == "" {
			return t, nil
		}
		t.Value = value
		return t, checkDomainSpec(value)
	case "a", "mx":
		t.Value, t.CIDR = cutCIDR(value)
		if err := checkCIDR(t.CIDR); err != nil {
			return t, err
		}
		if !hasValue && t.Value == "" {
			return t, nil
		}
		return t, checkDomainSpec(t.Value)
	case "ip4", "ip6":
		return parseIP(t, value)
	}
	return t, fmt.Errorf("%s is not an SPF mechanism", quote(t.Name))
}

// parseIP reads the network of ip4: and ip6: (RFC 7208, section 5.6).
func parseIP(t Term, value string) (Term, error) {
	address, _, found := strings.Cut(value, "/")
	t.Value, t.CIDR = address, value[len(address):]
	ip, err := netip.ParseAddr(address)
	most := 32
	if t.Name == "ip6" {
		most = 128
	}
	switch {
	case err != nil || ip.Zone() != "":
		return t, fmt.Errorf("%s is not an address", quote(address))
	case ip.Is4() && t.Name == "ip6":
		return t, errors.New(`an IPv4 address belongs after "ip4:"`)
	case !ip.Is4() && t.Name == "ip4":
		return t, errors.New(`an IPv6 address belongs after "ip6:"`)
	case found && !isPrefixLength(t.CIDR[1:], most):
		return t, fmt.Errorf("%s is not a prefix length of 0 to %d", quote(t.CIDR), most)
	}
	return t, nil
}

// cutCIDR takes the lengths of networks off the end of a domain, in which "/"
// may stand too.
func cutCIDR(value string) (domain, cidr string) {
	end := len(value)
	for _, slashes := range []string{"//", "/"} {
		digits := end
		for digits > 0 && isDigit(value[digits-1]) {
			digits--
		}
		if strings.HasSuffix(value[:digits], slashes) && digits < end {
			end = digits - len(slashes)
		}
	}
	return value[:end], value[end:]
}

func checkCIDR(cidr string) error {
	four, six, found := strings.Cut(cidr, "//")
	if found && !isPrefixLength(six, 128) {
		return fmt.Errorf("%s is not a prefix length of 0 to 128", quote("//"+six))
	}
	if four != "" && !isPrefixLength(four[1:], 32) {
		return fmt.Errorf("%s is not a prefix length of 0 to 32", quote(four))
	}
	return nil
}

func isPrefixLength(s string, most int) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n <= most && strconv.Itoa(n) == s
}
