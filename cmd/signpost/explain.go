package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func explainCommand() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say why a message would or would not be signed",
		UsageText: "signpost explain [options] [FILE...]",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
