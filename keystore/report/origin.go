package report

// Origin is what is known of who sent a report. Anybody can mail one in the name of others.
type Origin struct {
	Proof Proof
	// Domain is the one in From of the mail that the report came in; empty where there is none.
	Domain string
	Why    string // it is not Proven, as a phrase
}

// Proof is whether a report is from whom it says.
type Proof int

// Proofs of a report. Of a report that came several times, the last of these holds.
const (
	NotAsked Proof = iota
	Refuted        // its signature is broken, or the policy of the domain in From rejects the mail
	Unproven       // it cannot be known: there is no mail, no signature, no key any more, or no DNS
	Proven         // a signature verifies that is aligned with From
)
