package tally

import (
	"slices"

	"signpost/keystore/finding"
	"signpost/keystore/report"
)

// Mail is what is known of who sent the reports. All is zero where it was not asked.
type Mail struct {
	Verified int      `json:"verified"` // reports in mail with a signature that verifies
	Unknown  int      `json:"unknown"`  // that may be from whom they say
	Failed   int      `json:"failed"`   // that are not: what passed by them does not count
	Signers  []string `json:"signers"`  // registered domains of those that are verified, sorted
}

func (m *Mail) add(b *batch) {
	switch b.proof {
	case report.Proven:
		m.Verified++
		if at, known := slices.BinarySearch(m.Signers, b.signer); !known {
			m.Signers = slices.Insert(m.Signers, at, b.signer)
		}
	case report.Unproven:
		m.Unknown++
	case report.Refuted:
		m.Failed++
	}
}

// notes tells of reports that nothing proves.
func (m *Mail) notes(add func(string, ...any)) {
	if m.Failed > 0 {
		add("%s not from whom they say: their mail has a broken signature, or the policy of its domain rejects it; "+
			"what passed by them does not count", finding.Count(m.Failed, "report is", "reports are"))
	}
	if m.Unknown > 0 {
		add("whether %s from whom they say cannot be known, without mail, a signature, its key or an answer "+
			"of the DNS; they count", finding.Count(m.Unknown, "report is", "reports are"))
	}
}
