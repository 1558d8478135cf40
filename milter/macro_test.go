package milter

import (
	"errors"
	"strings"
	"testing"
)

// What a connection keeps beside its message is small, for it is in no budget.
func TestLargeMacros(t *testing.T) {
	t.Parallel()
	newSession := func() *session {
		return &session{conn: &conn{server: &Server{}}, terms: terms{version: 6, protocol: wantedProtocol}}
	}
	large := strings.Repeat("x", maxOtherFrame/2)
	for command, payload := range map[byte]string{
		cmdMacro:   "M{auth_authen}\x00" + large + "\x00",
		cmdConnect: "host\x006\x04\x01fe80::1%" + large + "\x00",
	} {
		var bad frameError
		if err := newSession().handle(command, []byte(payload)); !errors.As(err, &bad) {
			t.Errorf("%q with %d bytes: %v", command, len(payload), err)
		}
	}
	s := newSession()
	for _, stage := range []string{"M", "E"} {
		if err := s.handle(cmdMacro, []byte(stage+"i\x00"+large+"\x00{auth_authen}\x00jane\x00")); err != nil {
			t.Fatal(err)
		}
		if len(s.queueID) != 64 || s.login != "jane" {
			t.Errorf("%s: queue id of %d bytes, login %q", stage, len(s.queueID), s.login)
		}
	}
}
