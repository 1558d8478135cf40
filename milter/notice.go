package milter

import (
	"bytes"
	"errors"
	"strings"

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

// isNotice reports whether a message with these From fields is one that Postfix made itself.
// Whoever may run sendmail(1) can give it the null sender too, and programs that answer mail do,
// but Postfix writes as MAILER-DAEMON alone.
func (c Client) isNotice(from []string) bool {
	if !c.Notice || len(from) != 1 {
		return false
	}
	mailboxes, err := parseFrom(from[0], true)
	return err == nil && len(mailboxes.authors) == 1 &&
		strings.EqualFold(mailboxes.authors[0].local.text, "MAILER-DAEMON")
}

// lasts reports whether a message is not taken for want of a key, which time does not cure.
// Postfix tries its own notices again, whatever the answer, for as long as they are not taken:
// it never gives up, and keeps the message that came back for as long. So a notice is rather
// sent unsigned, unless it is the key that fails.
func (v *Verdict) lasts() bool {
	return v.Reason == NoKey || v.Reason == RelayKey && errors.Is(v.Err, keystore.ErrNoKey)
}
