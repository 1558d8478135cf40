package setup

import (
	"context"
	"os"
	"os/exec"
	"strings"
)

// ThisMachine looks at the machine that Postfix runs on.
func ThisMachine(ctx context.Context) Machine {
	hostname, _ := os.Hostname() // where it is needed and unknown, FromVariables says so
	return Machine{
		Hostname: hostname,
		Exists: func(path string) bool {
			_, err := os.Stat(path)
			return err == nil
		},
		CanForbidBareNewline: canForbidBareNewline(ctx),
	}
}

// canForbidBareNewline asks Postfix for its default. No Postfix, or one that
// does not know the parameter, gives no answer; from 3.9 on it is not "no".
func canForbidBareNewline(ctx context.Context) bool {
	out, err := exec.CommandContext(ctx, "postconf", "-d", "smtpd_forbid_bare_newline").Output()
	return err == nil && strings.TrimSpace(string(out)) == "smtpd_forbid_bare_newline = no"
}
