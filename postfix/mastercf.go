package postfix

import (
	"fmt"
	"slices"
	"strings"

	"signpost/keystore/finding"
)

// The services that master.cf must have, with the reason as it is written
// there.
const (
	submissionService = "\n# signpost: programs hand in their mail on port 587 (RFC 6409).\n" +
		"submission inet  n       -       n       -       -       smtpd\n"
	postlogService = "\n# signpost: maillog_file does not work without this service.\n" +
		"postlog    unix-dgram n  -       n       -       1       postlogd\n"
)

// editMaster returns master.cf with port 587 and the log service added where
// they are missing, and with the programs that look up names taken out of their
// chroot. Nothing else is touched. path is only used in errors.
func editMaster(path string, data []byte) ([]byte, error) {
	lines := splitLines(string(data))
	submission, postlog := false, false
	for _, s := range statements(lines) {
		fields := strings.Fields(s.text)
		if len(fields) < 8 {
			return nil, finding.WithHint(
				fmt.Errorf("%s: line %d: a service needs 8 fields, there are %d", path, s.lines[0]+1, len(fields)),
				"see master(5)")
		}
		name, kind, command := fields[0], fields[1], fields[7]
		submission = submission || kind == "inet" && isSubmission(name)
		postlog = postlog || name == "postlog"
		if looksUpNames(command) {
			unsetChroot(lines, s.lines)
		}
	}
	add := ""
	if !submission {
		add += submissionService
	}
	if !postlog {
		add += postlogService
	}
	text := strings.Join(lines, "")
	if add != "" && text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return []byte(text + add), nil
}

// isSubmission reports whether an inet service listens on port 587, on all
// addresses or on one.
func isSubmission(name string) bool {
	port := name[strings.LastIndexByte(name, ':')+1:]
	return port == "submission" || port == "587"
}

// looksUpNames reports whether a program of Postfix must not be chrooted in a
// container. Debian chroots it, and fills the chroot with copies of resolv.conf,
// hosts, services and the rest from its init script, which no container runs.
// There the name of the milter, the next hop and a unix socket outside the
// queue would not be found. The container is the jail.
func looksUpNames(command string) bool {
	return slices.Contains([]string{"smtpd", "cleanup", "smtp", "lmtp", "qmqpd"}, command)
}

// unsetChroot sets the fifth field of a service, its chroot, from "y" to "n". A
// "-" stays: it means "n" from compatibility_level 1 on. own are the indexes of
// the lines that the service is written on.
func unsetChroot(lines []string, own []int) {
	field := 0
	for _, n := range own {
		line := lines[n]
		for i := 0; i < len(line); i++ {
			if isSpace(line[i]) || i > 0 && !isSpace(line[i-1]) {
				continue
			}
			field++
			if field == 5 && line[i] == 'y' {
				lines[n] = line[:i] + "n" + line[i+1:]
				return
			}
		}
	}
}
