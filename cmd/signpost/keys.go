package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func keysCommand() *cli.Command {
	return &cli.Command{
		Name:      "keys",
		Usage:     "show what is in the key directory, and which keys sign",
		UsageText: "signpost keys [options] [DOMAIN...]",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
