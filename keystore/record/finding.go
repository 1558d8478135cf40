package record

// Levels of a finding, the gravest first.
const (
	Fault   = "fault"   // mail is or will be refused, or taken for forged
	Unknown = "unknown" // it could not be found out
	Warning = "warning" // it works, and is weak or about to break
	Note    = "note"    // worth knowing
)

// Finding is one thing that is wrong, or worth knowing, in the DNS or in a
// record.
type Finding struct {
	// Code names the kind of finding for machines, such as "dkim-missing". It
	// stays the same from version to version.
	Code  string `json:"code"`
	Level string `json:"level"`
	// Name is what it is about: a DNS name without final dot.
	Name string `json:"name"`
	// What is wrong, Effect what that causes, and Fix what to publish or to
	// do, a line each or more.
	What   string `json:"what"`
	Effect string `json:"effect,omitempty"`
	Fix    string `json:"fix,omitempty"`
}
