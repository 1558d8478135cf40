package record

import "strings"

// TXT is one TXT record: its character-strings in order, each of at most 255
// bytes (RFC 1035, section 3.3).
type TXT []string

// Text returns the record as its readers take it: the strings joined with
// nothing between (RFC 6376, section 3.6.2.2; RFC 7208, section 3.3).
func (t TXT) Text() string { return strings.Join(t, "") }
