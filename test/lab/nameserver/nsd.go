package nameserver

import (
	"fmt"
	"path/filepath"
	"strings"
)

// StartNSD runs NSD in the foreground, with its files in dir, at these loopback
// addresses and a port of its own, or at port. Zones are zone file texts by
// the name of the zone; they need no $ORIGIN, and a default TTL is set. It
// returns when the server answers.
func StartNSD(dir, port string, zones map[string]string, addresses ...string) (*Process, error) {
	run := func(port string) (*Process, error) {
		config, err := nsdConfig(dir, port, zones, addresses)
		if err != nil {
			return nil, err
		}
		p, err := start(port, "nsd started", "nsd", "-d", "-c", config)
		if err == nil && strings.Contains(p.start, "error:") {
			return nil, fmt.Errorf("nsd has errors:\n%s", p.Stop())
		}
		return p, err
	}
	if port != "" {
		return run(port)
	}
	return onFreePort(addresses[0], run)
}

func nsdConfig(dir, port string, zones map[string]string, addresses []string) (path string, err error) {
	var config strings.Builder
	// One process that stays in the group, no rate limits, nothing shared.
	fmt.Fprintf(&config, "server:\n server-count: 1\n username: \"\"\n zonesdir: %q\n database: \"\"\n pidfile: \"\"\n", dir)
	fmt.Fprintf(&config, " xfrdfile: \"\"\n zonelistfile: %q\n xfrdir: %q\n rrl-ratelimit: 0\n verbosity: 1\n", filepath.Join(dir, "zones.list"), dir)
	for _, address := range addresses {
		fmt.Fprintf(&config, " ip-address: %s@%s\n", address, port)
	}
	config.WriteString("remote-control:\n control-enable: no\n")
	number := 0
	for name, text := range zones {
		number++
		file, err := write(dir, fmt.Sprintf("zone%d", number), "$ORIGIN "+strings.TrimSuffix(name, ".")+".\n$TTL 60\n"+text)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&config, "zone:\n name: %q\n zonefile: %q\n", name, file)
	}
	return write(dir, "nsd.conf", config.String())
}
