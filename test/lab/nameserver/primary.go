package nameserver

import (
	"fmt"
	"os"
)

// A Primary starts a primary server of one zone on 127.0.0.1, with its files in
// dir, that allows transfers and takes updates from this machine.
type Primary func(dir, zone, text string, updates Updates) (*Process, error)

// Updates says who may change a zone.
type Updates bool

const (
	FromHere Updates = false
	WithKey  Updates = true // signed with TSIGSecret
)

// TSIGSecret is that of the key TSIGName, by HMAC-SHA256.
const TSIGSecret = "dGhpcyBpcyBubyBzZWNyZXQsIGJ1dCBhIHRlc3Q="

// Primaries are BIND and Knot, by the names of their programs.
func Primaries() map[string]Primary {
	return map[string]Primary{"named": startNamed, "knotd": startKnot}
}

func startNamed(dir, zone, text string, updates Updates) (*Process, error) {
	who := "127.0.0.1"
	if updates == WithKey {
		who = "key signpost"
	}
	file, err := write(dir, "zone", text)
	if err != nil {
		return nil, err
	}
	return onFreePort("127.0.0.1", func(port string) (*Process, error) {
		config, err := write(dir, "named.conf", fmt.Sprintf(`
options {
	directory %q;
	listen-on port %s { 127.0.0.1; };
	listen-on-v6 { none; };
	pid-file none;
	session-keyfile none;
	recursion no;
	dnssec-validation no;
	notify no;
};
controls { };
key signpost { algorithm hmac-sha256; secret %q; };
zone %q { type primary; file %q; allow-update { %s; }; allow-transfer { 127.0.0.1; }; };
`, dir, port, TSIGSecret, zone, file, who))
		if err != nil {
			return nil, err
		}
		return start(port, " running\n", "named", "-g", "-n", "1", "-p", port, "-c", config)
	})
}

func startKnot(dir, zone, text string, updates Updates) (*Process, error) {
	who := "address: 127.0.0.1"
	if updates == WithKey {
		who = "key: signpost"
	}
	file, err := write(dir, "zone", text)
	if err != nil {
		return nil, err
	}
	store, err := os.MkdirTemp(dir, "knot")
	if err != nil {
		return nil, err
	}
	return onFreePort("127.0.0.1", func(port string) (*Process, error) {
		config, err := write(dir, "knot.conf", fmt.Sprintf(`
server:
    rundir: %[1]q
    listen: 127.0.0.1@%[2]s
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: %[1]q
log:
  - target: stdout
    any: info
key:
  - id: signpost
    algorithm: hmac-sha256
    secret: %[6]s
acl:
  - id: here
    address: 127.0.0.1
    action: transfer
  - id: updates
    %[5]s
    action: update
zone:
  - domain: %[3]s
    file: %[4]q
    acl: [here, updates]
`, store, port, zone, file, who, TSIGSecret))
		if err != nil {
			return nil, err
		}
		return start(port, "server started", "knotd", "-c", config)
	})
}
