package milter

import (
	"bytes"
	"errors"

	"signpost/keystore"
)

// isNotice reports whether a local message with these arguments of MAIL is one that Postfix
// made itself: a bounce, which has the null sender, or a notice to the postmaster (bounce(8),
// double_bounce_sender).
func isNotice(mail []byte) bool {
	sender, _, _ := bytes.Cut(mail, []byte{0})
	sender = bytes.TrimSuffix(bytes.TrimPrefix(sender, []byte("<")), []byte(">"))
	return len(sender) == 0 || bytes.HasPrefix(sender, []byte("double-bounce@"))
}

// lasts reports whether a message is not taken, for a reason that time does not cure. Postfix
// tries its own notices again, whatever the answer, for as long as they are not taken: it
// never gives up, and keeps the message that came back for as long. So a notice is rather
// sent unsigned, unless it is the key that fails.
func (v *Verdict) lasts() bool {
	switch v.Reason {
	case KeyBroken, KeyUnknown:
		return false
	case RelayKey:
		return errors.Is(v.Err, keystore.ErrNoKey)
	}
	return v.Action != Accept && !errors.Is(v.Err, keystore.ErrNoAnswer)
}
