package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func keygenCommand() *cli.Command {
	return &cli.Command{
		Name:      "keygen",
		Usage:     "make keys for domains",
		UsageText: "signpost keygen [options] DOMAIN...",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
