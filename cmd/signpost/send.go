package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func sendCommand() *cli.Command {
	return &cli.Command{
		Name:      "send",
		Usage:     "send a test message and show the dialogue",
		UsageText: "signpost send [options]",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
