package rotation

import (
	"fmt"
	"strings"

	"signpost/keystore/dns"
)

// Finding is what the DNS said clearly of the record of one key, for other nodes. All of
// it are times, so that to merge two findings is to take the later ones: in whatever order
// nodes hear of them, and however often, they come to the same.
type Finding struct {
	Domain, Selector string
	print            fingerprint

	Cached  Moment // when the resolver last had the record
	Proven  Moment // when all name servers that answered last had it
	Lacking Moment // when none of them had it last
}

// merge returns what two findings about one key come to.
func (f Finding) merge(o Finding) Finding {
	f.Cached, f.Proven, f.Lacking = max(f.Cached, o.Cached), max(f.Proven, o.Proven), max(f.Lacking, o.Lacking)
	return f
}

// presence returns the latest clear answer, and when it came. Of two in one second that of
// all name servers counts, and that a key is there.
func (f Finding) presence() (dns.Presence, Moment) {
	switch there := max(f.Cached, f.Proven); {
	case there == None && f.Lacking == None:
		return dns.Unknown, None
	case f.Proven >= f.Lacking || f.Cached > f.Lacking:
		return dns.There, there
	}
	return dns.Missing, f.Lacking
}

// proves reports whether the finding is enough for a key to take the place of another.
func (f Finding) proves() bool { return f.Proven != None && f.Proven >= f.Lacking }

// Key tells the finding from those about all other keys, of other names and of the same.
func (f Finding) Key() string { return fmt.Sprintf("%x", f.print) }

// String returns the finding as ParseFinding reads it. It has no line breaks.
func (f Finding) String() string {
	return fmt.Sprintf("found %s %s %x %d %d %d", f.Domain, f.Selector, f.print, f.Cached, f.Proven, f.Lacking)
}

// ParseFinding reads what String returns. Names are not checked: those of a key that is not
// here lead nowhere.
func ParseFinding(text string) (f Finding, err error) {
	fields := strings.Fields(text)
	if len(fields) != 7 || fields[0] != "found" {
		return f, fmt.Errorf("not a finding: %.80q", text)
	}
	f.Domain, f.Selector = fields[1], fields[2]
	if f.print, err = parseFingerprint(fields[3]); err != nil {
		return Finding{}, err
	}
	for i, into := range []*Moment{&f.Cached, &f.Proven, &f.Lacking} {
		if *into, err = parseMoment(fields[4+i]); err != nil {
			return Finding{}, err
		}
	}
	return f, nil
}
