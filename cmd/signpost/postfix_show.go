package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
	"signpost/postfix"
	"signpost/postfix/setup"
)

// shownSettings is the answer of show, for machines.
type shownSettings struct {
	Settings []shownSetting `json:"settings"`
}

type shownSetting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Unset bool   `json:"unset"`
}

func showPostfix(c *cli.Context) error {
	if err := noSettings(c); err != nil {
		return err
	}
	if _, err := setup.Render(c.String("as"), nil); err != nil {
		return usageError("--as: %w", err)
	}
	if c.Bool("json") && c.IsSet("as") {
		return usageError("--json and --as %s exclude each other", c.String("as"))
	}
	settings, err := wantedParameters(c)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		answer := shownSettings{Settings: []shownSetting{}}
		for _, s := range settings {
			answer.Settings = append(answer.Settings, shownSetting{s.Name, s.ShownValue(), s.Unset})
		}
		return printJSON(c, answer)
	}
	text, err := setup.Render(c.String("as"), settings)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(c.App.Writer, text)
	return err
}

// wantedParameters are those of the variables, or the few that a Postfix needs
// that is set up already.
func wantedParameters(c *cli.Context) ([]postfix.Parameter, error) {
	if c.Bool("milter-only") {
		settings, err := setup.MilterParameters(c.String("milter"))
		if err != nil {
			return nil, usageError("--milter: %w", err)
		}
		return settings, nil
	}
	if os.Getenv("ALLOWED_SENDER_DOMAINS") == "" && os.Getenv("ALLOW_EMPTY_SENDER_DOMAINS") == "" {
		return nil, finding.WithHint(usageError("ALLOWED_SENDER_DOMAINS is not set"),
			"list the domains that send, set ALLOW_EMPTY_SENDER_DOMAINS=yes to allow all, or use "+
				"--milter-only for a Postfix that is set up already")
	}
	_, wanted, err := wantedPostfix(c)
	if err != nil {
		return nil, err
	}
	if c.String("as") != "main.cf" && (wanted.Senders.Content != nil || wanted.Password.Content != nil) {
		warn(c, "these settings name maps in %s, which only signpost postfix write makes", c.String("config-dir"))
	}
	return wanted.Parameters, nil
}
