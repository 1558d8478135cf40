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

// answered returns what is known of a key after a clear answer about its record.
func (m Mark) answered(presence dns.Presence, now time.Time) Mark {
	m.Presence, m.Asked = presence, At(now)
	switch {
	case presence == dns.There:
		m.Gone = None
	case m.Stopped != None && m.Gone == None:
		m.Gone = At(now)
	}
	return m
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
