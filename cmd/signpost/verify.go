package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func verifyCommand() *cli.Command {
	return &cli.Command{
		Name:      "verify",
		Usage:     "say what a receiver would say of a message",
		UsageText: "signpost verify [options] [FILE...]",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
