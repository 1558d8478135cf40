package rotation

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"time"

	"signpost/keystore"
	"signpost/keystore/dns"
)

// Mark is what is known of a key beyond its file. The zero value is that nothing
// is known.
type Mark struct {
	// Presence is the last clear answer of the DNS about its record. It is a latch: a
	// DNS that does not answer changes nothing.
	Presence dns.Presence
	Asked    Moment // when that was
	Active   Moment // since when the key signs; None when it does not
	Stopped  Moment // when it last stopped
	Gone     Moment // since when the record of a key that stopped is known to be gone
	Proven   Moment // when all name servers last had the record
	Lacking  Moment // when none of them had it last
}

// Moment is a time in seconds since 1970, which lasts until 2106.
type Moment uint32

// None is no moment.
const None Moment = 0

// At returns the moment of a time.
func At(t time.Time) Moment {
	if t.IsZero() {
		return None
	}
	return Moment(t.Unix())
}

// Time returns the time of a moment, the zero time for None.
func (m Moment) Time() time.Time {
	if m == None {
		return time.Time{}
	}
	return time.Unix(int64(m), 0)
}

// answered returns what is known of a key after a clear answer about its record, of all
// name servers or else of the resolver. It comes after all that was known, whatever clock
// that was by.
func (m Mark) answered(presence dns.Presence, everywhere bool, now time.Time) Mark {
	at := At(now)
	m.Proven, m.Lacking = min(m.Proven, at), min(m.Lacking, at)
	switch {
	case presence == dns.Missing:
		m.Proven, m.Lacking = min(m.Proven, at-1), at
	case everywhere:
		m.Proven = at
	default:
		m.Lacking = min(m.Lacking, at-1)
	}
	return m.says(presence, at)
}

// says returns the mark with the latest clear answer.
func (m Mark) says(presence dns.Presence, at Moment) Mark {
	m.Presence, m.Asked = presence, at
	switch {
	case presence == dns.There:
		m.Gone = None
	case m.Stopped != None && m.Gone == None:
		m.Gone = at
	}
	return m
}

// finding returns what other nodes may know of a key.
func (m Mark) finding(key *keystore.Key, print fingerprint) Finding {
	return m.onto(Finding{Domain: key.Domain, Selector: key.Selector, print: print})
}

// onto returns the finding about a key with what the mark has of it.
func (m Mark) onto(f Finding) Finding {
	f.Cached, f.Proven, f.Lacking = None, m.Proven, m.Lacking
	switch m.Presence {
	case dns.There:
		f.Cached = m.Asked
	case dns.Missing:
		f.Lacking = max(f.Lacking, m.Asked)
	}
	return f
}

// verdict is what becomes of a finding of another node.
type verdict int

const (
	known   verdict = iota // it is no news, or only when somebody asked
	taken                  // it counts
	doubted                // it does not, and is a reason to ask
)

// take returns the mark of a key that signs or does not, with a finding about it that
// another node made. It counts as if it were our own: what a cache had is no proof for a
// key that is to take the place of another. That a key is missing which was there is not
// believed before it was asked for here, so that a node that cannot ask harms only itself.
func (m Mark) take(f Finding, signs, asked bool) (Mark, verdict) {
	f = m.onto(f).merge(f)
	presence, at := f.presence()
	switch {
	case presence == dns.Unknown:
		return m, known
	case presence == m.Presence:
		m.Asked, m.Proven, m.Lacking = at, f.Proven, f.Lacking
		return m, known
	case presence == dns.There && !signs && !f.proves(), presence == dns.Missing && m.Presence == dns.There && !asked:
		return m, doubted
	}
	m.Proven, m.Lacking = f.Proven, f.Lacking
	return m.says(presence, at), taken
}

// maxSkew is how far the clock of another node may be ahead.
const maxSkew = Moment(time.Minute / time.Second)

// bounded returns the finding with no time after now, and false where one is so far ahead
// that the clock it is by cannot be trusted.
func (f Finding) bounded(now Moment) (Finding, bool) {
	ok := max(f.Cached, f.Proven, f.Lacking) <= now+maxSkew
	f.Cached, f.Proven, f.Lacking = min(f.Cached, now), min(f.Proven, now), min(f.Lacking, now)
	return f, ok
}

// fingerprint tells keys apart: of one name, and of one another.
type fingerprint [sha256.Size / 2]byte

// fingerprintOf returns half of the SHA-256 of the name and the public half of a key.
func fingerprintOf(key *keystore.Key) (p fingerprint) {
	hash := sha256.New()
	fmt.Fprintf(hash, "%s\n%s\n", key.Domain, key.Selector)
	if der, err := x509.MarshalPKIXPublicKey(key.Signer.Public()); err == nil {
		hash.Write(der)
	}
	copy(p[:], hash.Sum(nil))
	return p
}
