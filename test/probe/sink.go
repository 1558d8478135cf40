package main

import (
	"errors"
	"net"

	"signpost/keystore/finding"
	"signpost/test/lab"
)

// openSink receives mail at address, or at port 25 of the first address of this
// machine that others can reach.
func openSink(address string) (*lab.Sink, error) {
	if address == "" {
		ip, err := ownAddress()
		if err != nil {
			return nil, err
		}
		address = net.JoinHostPort(ip, "25")
	}
	return lab.StartSink(address)
}

func ownAddress() (string, error) {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLoopback() && network.IP.To4() != nil {
			return network.IP.String(), nil
		}
	}
	return "", finding.WithHint(errors.New("this machine has no IPv4 address but loopback"),
		"give one with --listen")
}
