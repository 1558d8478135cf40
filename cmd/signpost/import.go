package main

import (
	"errors"

	"github.com/urfave/cli/v2"
)

func importCommand() *cli.Command {
	return &cli.Command{
		Name:      "import",
		Usage:     "carry over keys and tables from OpenDKIM or rspamd",
		UsageText: "signpost import [options] PATH...",
		Action:    func(*cli.Context) error { return errors.New("not built yet") },
	}
}
