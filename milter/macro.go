package milter

import "bytes"

// The macros that we read.
const (
	macroLogin   = "{auth_authen}" // with MAIL: the SASL login
	macroQueueID = "i"             // with MAIL or the end of the message
)

// maxLogin is the longest login that is taken: many times that of any in use.
const maxLogin = 1 << 10

// HealthQueueID marks the message of a health check, which is neither logged nor
// counted: checks come every few seconds. An MTA gives out no such id.
const HealthQueueID = "signpost-health"

// macro returns the value of a macro in the payload of a macro frame: the
// command it belongs to, then name NUL value NUL and so on.
func macro(payload []byte, name string) string {
	rest := payload[1:]
	for len(rest) > 0 {
		var key, value []byte
		key, rest, _ = bytes.Cut(rest, []byte{0})
		value, rest, _ = bytes.Cut(rest, []byte{0})
		if string(key) == name {
			return string(value)
		}
	}
	return ""
}
