// Package finding says what is wrong and what to do about it: a Finding for what
// a check found, a Hint for an error. It knows nothing of keys, records or
// programs, so every package may import it.
package finding

import (
	"bytes"
	"encoding/json"
)

// Level is how grave a finding is.
type Level string

// Levels, the gravest first.
const (
	Fault   Level = "fault"   // mail is or will be refused, or treated as forged
	Unknown Level = "unknown" // it could not be found out
	Warning Level = "warning" // it works, and is weak or about to break
	Note    Level = "note"    // worth knowing
)

// Finding is one thing that is wrong, or worth knowing.
type Finding struct {
	// Code names the kind of finding for machines, such as "dkim-missing". It
	// stays the same from version to version.
	Code  string `json:"code"`
	Level Level  `json:"level"`
	// Name is what it is about, such as a DNS name without final dot or the
	// parameter of a configuration.
	Name   string `json:"name"`
	What   string `json:"what"`             // what is wrong
	Effect string `json:"effect,omitempty"` // what that causes
	// Fix is what to do, a line or more; with Publish it leads up to the record.
	Fix string `json:"fix,omitempty"`
	// Publish is the record that cures it, nil where publishing does not.
	Publish *Record `json:"-"`
}

// Advice returns what to do, as a text: Fix, and the record to publish. The
// value of the record has a line of its own, so that it can be copied.
func (f Finding) Advice() string {
	switch {
	case f.Publish == nil:
		return f.Fix
	case f.Fix == "":
		return f.Publish.String()
	}
	return f.Fix + " " + f.Publish.String()
}

// MarshalJSON gives the machine's form of a finding, with its advice as "fix".
func (f Finding) MarshalJSON() ([]byte, error) {
	type plain Finding
	f.Fix = f.Advice()
	var b bytes.Buffer
	out := json.NewEncoder(&b)
	out.SetEscapeHTML(false) // whoever marshals the whole decides that
	err := out.Encode(plain(f))
	return b.Bytes(), err
}

// Record is a TXT record to publish.
type Record struct {
	Name  string // without final dot
	Value string // in one string
	// Host is the name relative to the zone. It is set where the provider added
	// the zone to a name that was given in full; "@" is the zone itself.
	Host string
	// Alias is where a CNAME at Name leads, empty where there is none: nothing
	// stands beside a CNAME (RFC 1034, section 3.6.2).
	Alias string
}

// String says what to do with the record. The value has a line of its own.
func (r Record) String() string {
	where := "publish this TXT record at " + r.Name
	switch {
	case r.Host != "":
		return "give only " + r.Host + " as the name, or end the full name with a dot; the record at " +
			r.Name + " is:\n" + r.Value
	case r.Alias != "":
		where = "have this TXT record published at " + r.Alias + ", where the CNAME at " + r.Name +
			" leads, or put it in place of that CNAME"
	}
	return where + ", in one line and without quotes:\n" + r.Value
}
