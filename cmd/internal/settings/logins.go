package settings

import (
	"fmt"

	"signpost/keystore/finding"
	"signpost/milter/logins"
)

// UnknownSender says what to do with an address that no login map has.
type UnknownSender string

// What to do with it.
const (
	AllowUnknown  UnknownSender = "allow"
	RejectUnknown UnknownSender = "reject"
)

// logins opens the login maps; nil where there are none.
func (r *reader) logins() *logins.Maps {
	v := r.value("sender-login-maps")
	unknown := parsed(r, "sender-login-unknown", OneOf(AllowUnknown, RejectUnknown))
	local := parsed(r, "sender-login-local", ParseDomains)
	if v.Text == "" || r.err != nil {
		return nil
	}
	maps, err := logins.Open(v.Text, logins.Options{Local: local, Strict: unknown == RejectUnknown})
	if err != nil {
		r.fail(v.Errorf("%w", err))
	}
	return maps
}

// unusedLogins is a warning of entries that are looked up by Postfix alone.
func unusedLogins(maps *logins.Maps) error {
	if n := maps.Unused(); n > 0 {
		return finding.WithHint(fmt.Errorf("%d entries of --sender-login-maps have no @ and are not looked up", n),
			"name the domains that they are for with --sender-login-local: those in mydestination of Postfix")
	}
	return nil
}
