package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func dnsCommand() *cli.Command {
	return &cli.Command{
		Name:      "dns",
		Usage:     "print the SPF, DKIM and DMARC records to publish",
		UsageText: "signpost dns [options] DOMAIN...",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
