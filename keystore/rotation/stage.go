// Package rotation is the one book for the life of a key: which key of a domain
// signs, what stage each is in and since when, and what to do next. Decide says
// it, from what is known of the keys; signpostd, every verb of signpost, the
// status page and the metrics print its result.
package rotation

import "time"

// Stage is where a key is in its life.
type Stage string

// The stages, in the order of a life.
const (
	Pending   Stage = "pending"   // not in the DNS, as far as is known, and not signing
	Published Stage = "published" // in the DNS, not signing, and never seen to
	Active    Stage = "active"    // signing
	Retiring  Stage = "retiring"  // was active: its record must stay for mail in transit
	Retired   Stage = "retired"   // was active, and no mail is in transit any more
	Broken    Stage = "broken"    // its file is not a usable key
)

// Stages returns all stages in the order of a key's life.
func Stages() []Stage { return []Stage{Pending, Published, Active, Retiring, Retired, Broken} }

// Meaning says in words what a stage means.
func (s Stage) Meaning() string {
	switch s {
	case Pending:
		return "waits until its record is in the DNS"
	case Published:
		return "in the DNS, another key signs"
	case Active:
		return "signs"
	case Retiring:
		return "no longer signs; its record must stay for mail in transit"
	case Retired:
		return "no longer needed; its record can go"
	case Broken:
		return "cannot be used"
	}
	return ""
}

// Overlap is how long a key that no longer signs is retiring: mail queues keep a
// message for five days (RFC 5321, section 4.5.4.1).
const Overlap = 7 * 24 * time.Hour
