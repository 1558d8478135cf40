package main

import (
	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
)

// failedDomain is one of several for which a command could not do what it was asked to;
// it went on with the others.
type failedDomain struct {
	Domain string `json:"domain"`
	Error  string `json:"error"`
	Hint   string `json:"hint"`
}

// failed says what went wrong for a domain, and returns it for the answer.
func failed(c *cli.Context, domain string, err error) failedDomain {
	printError(c.App.ErrWriter, "error", err)
	what, hint := finding.Split(err)
	return failedDomain{domain, what, hint}
}

// printAnswer writes an answer as JSON, or with text. The exit code says whether a
// domain failed.
func printAnswer(c *cli.Context, answer any, anyFailed bool, text func()) error {
	if c.Bool("json") {
		if err := printJSON(c, answer); err != nil {
			return err
		}
	} else {
		text()
	}
	if anyFailed {
		return exitCode(exitFinding)
	}
	return nil
}
