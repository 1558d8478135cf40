package milter

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"signpost/keystore"
	"signpost/keystore/finding"
)

// Also is a domain whose keys sign mail of any author domain: that of the relay itself,
// for feedback loops and reputation go by d=. The zero value is none.
type Also struct {
	Domain string // as A-labels
	// WithoutKey is only to sign where the author domain has no key, not beside it.
	WithoutKey bool
}

// beside adds the keys of the relay to those of the author domain. That they are missing
// is no reason to lose the signature of that.
func (r *Rules) beside(v Verdict, keys KeySource) Verdict {
	if r.Also.Domain == "" || r.Also.WithoutKey || v.Keys[0].Domain == r.Also.Domain {
		return v
	}
	also, err := keys(r.Also.Domain)
	if err != nil {
		v.AlsoErr = err
		return v
	}
	v.Keys = slices.Concat(v.Keys, also)
	return v
}

// instead is the verdict on a message whose author domain has no key. The relay is to
// sign it, so it does not go unsigned because that cannot.
func (r *Rules) instead(v Verdict, keys KeySource) Verdict {
	also, err := keys(r.Also.Domain)
	if err != nil {
		v.Reason, v.Action = RelayKey, TempFail
		v.Err = fmt.Errorf("no key for %s, and %s, which signs in its place, cannot: %w", v.Author, r.Also.Domain, err)
		return v
	}
	v.Reason, v.Keys = Signed, also
	return v
}

// required returns how many of the keys must sign: those of the domain that comes first.
func (v *Verdict) required() int {
	n := slices.IndexFunc(v.Keys, func(key *keystore.Key) bool { return key.Domain != v.Keys[0].Domain })
	if n < 0 {
		return len(v.Keys)
	}
	return n
}

// withoutAlso gives up the signatures of the relay, for this reason.
func (v *Verdict) withoutAlso(why error) {
	v.Keys, v.AlsoErr = v.Keys[:v.required()], why
}

// alsoState keeps from the log what is the same with each message.
type alsoState struct {
	mu     sync.Mutex
	failed string // why the relay's signature was missing last; "" when it was not
}

// note logs once that the signature of the relay is missing, and once that it is back.
func (a *alsoState) note(v *Verdict, also Also, log *slog.Logger) {
	if also.Domain == "" || v.Reason != Signed || v.AlsoErr == nil && v.Keys[len(v.Keys)-1].Domain != also.Domain {
		return
	}
	why := ""
	if v.AlsoErr != nil {
		why = v.AlsoErr.Error()
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if why == a.failed {
		return
	}
	if a.failed = why; why == "" {
		log.Info("the relay's own signature is added again", "domain", also.Domain)
		return
	}
	err := v.AlsoErr
	if errors.Is(err, keystore.ErrNoKey) {
		err = finding.WithHint(err, "make a key for %s", also.Domain)
	}
	log.Error("the relay's own signature is missing, so mail is signed by its author domain alone",
		"domain", also.Domain, finding.Attr(err))
}
