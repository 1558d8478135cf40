package nameserver

import (
	"fmt"
	"strings"
)

// StartValidator runs BIND as a resolver on 127.0.0.1 that asks the server at a port
// there for everything, and validates the answers from the DS record of the root on.
func StartValidator(dir, upstream, rootDS string) (*Process, error) {
	fields := strings.Fields(rootDS) // . IN DS tag algorithm digest-type digest...
	if len(fields) < 7 {
		return nil, fmt.Errorf("%q is not a DS record", rootDS)
	}
	anchor := strings.Join(fields[3:6], " ") + fmt.Sprintf(" %q", strings.Join(fields[6:], ""))
	return onFreePort("127.0.0.1", func(port string) (*Process, error) {
		config, err := write(dir, "validator.conf", fmt.Sprintf(`
options {
	directory %q;
	listen-on port %s { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	recursion yes;
	empty-zones-enable no;
	forward only;
	forwarders { 127.0.0.1 port %s; };
	dnssec-validation yes;
};
controls { };
trust-anchors { . static-ds %s; };
`, dir, port, upstream, anchor))
		if err != nil {
			return nil, err
		}
		return start(port, " running\n", "named", "-g", "-n", "1", "-p", port, "-c", config)
	})
}
