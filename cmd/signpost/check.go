package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func checkCommand() *cli.Command {
	return &cli.Command{
		Name:      "check",
		Usage:     "compare the DNS with the keys, and say whether mail will pass DMARC",
		UsageText: "signpost check [options] DOMAIN...",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
