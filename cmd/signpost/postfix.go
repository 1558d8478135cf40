package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/postfix"
)

// postfixCommand is the verb that an entrypoint calls before "postfix start-fg".
func postfixCommand() *cli.Command {
	flags := []cli.Flag{
		&cli.StringFlag{
			Name: "config-dir", Value: "/etc/postfix", EnvVars: []string{"SIGNPOST_POSTFIX_CONFIG"},
			Usage: "`DIR` of main.cf",
		},
		&cli.StringFlag{
			Name: "milter", Value: "inet:signpostd:8891", EnvVars: []string{"SIGNPOST_MILTER"},
			Usage: "`ADDRESS` of signpostd, inet:host:port or unix:/path",
		},
		&cli.BoolFlag{
			Name:  "subdomains",
			Usage: "accept senders in subdomains of the allowed domains; signpostd needs the same [$SIGNPOST_SUBDOMAINS]",
		},
	}
	dryRun := &cli.BoolFlag{Name: "dry-run", Usage: "show what would change, write nothing"}
	return &cli.Command{
		Name:  "postfix",
		Usage: "write main.cf of a send-only Postfix from environment variables",
		Description: `The variables are those of the image boky/postfix: ALLOWED_SENDER_DOMAINS or
ALLOW_EMPTY_SENDER_DOMAINS, POSTFIX_myhostname, POSTFIX_mynetworks,
MESSAGE_SIZE_LIMIT, RELAYHOST, SASL_RELAYHOST, RELAYHOST_USERNAME,
RELAYHOST_PASSWORD or RELAYHOST_PASSWORD_FILE, RELAYHOST_TLS_LEVEL,
MASQUERADED_DOMAINS, INBOUND_DEBUGGING. POSTFIX_<parameter> sets any parameter
and wins over the rest; when it is empty, the parameter is taken out of main.cf.

Everything else in main.cf and master.cf stays as it is.`,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return exitError{exitUsage, fmt.Errorf("unknown command %q; hint: it is write or show", "postfix "+name)}
			}
			return cli.ShowSubcommandHelp(c)
		},
		Subcommands: []*cli.Command{
			{
				Name:   "write",
				Usage:  "write main.cf, master.cf and the maps that main.cf names",
				Flags:  append(flags, dryRun),
				Action: writePostfix,
			},
			{
				Name:   "show",
				Usage:  "print the settings that write would set",
				Flags:  flags,
				Action: showPostfix,
			},
		},
	}
}

// wantedPostfix reads the configuration and works out what is wanted of it.
func wantedPostfix(c *cli.Context) (*postfix.Dir, *postfix.Wanted, error) {
	if arg := c.Args().First(); arg != "" {
		return nil, nil, exitError{exitUsage, fmt.Errorf("unexpected argument %q; hint: settings are given as environment variables, see signpost postfix --help", arg)}
	}
	dir, err := postfix.Open(c.String("config-dir"))
	if err != nil {
		return nil, nil, err
	}
	vars := make(map[string]string)
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		vars[name] = value
	}
	subdomains, err := isOn(c, "subdomains", "SIGNPOST_SUBDOMAINS", vars)
	if err != nil {
		return nil, nil, err
	}
	options := postfix.Options{Dir: dir.Path, Milter: c.String("milter"), Subdomains: subdomains}
	wanted, err := postfix.FromVariables(vars, dir.Main, options, postfix.ThisMachine(c.Context))
	if err != nil {
		return nil, nil, exitError{exitUsage, err}
	}
	for _, warning := range wanted.Warnings {
		warn(c, "%s", warning)
	}
	return dir, wanted, nil
}

// isOn reads a switch in the words that signpostd takes too.
func isOn(c *cli.Context, flag, variable string, vars map[string]string) (bool, error) {
	if c.IsSet(flag) {
		return c.Bool(flag), nil
	}
	switch value := vars[variable]; strings.ToLower(value) {
	case "true", "yes", "on", "1":
		return true, nil
	case "", "false", "no", "off", "0":
		return false, nil
	default:
		return false, exitError{exitUsage, fmt.Errorf("%s: %q is neither yes nor no; hint: set it to yes, or leave it empty", variable, value)}
	}
}

func writePostfix(c *cli.Context) error {
	dir, wanted, err := wantedPostfix(c)
	if err != nil {
		return err
	}
	change, err := dir.Change(wanted)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		fmt.Fprint(c.App.Writer, change.Diff())
		return nil
	}
	if err := change.Write(); err != nil {
		return err
	}
	for _, line := range change.Summary() {
		fmt.Fprintf(c.App.ErrWriter, "signpost: %s\n", line)
	}
	if len(change.Summary()) == 0 {
		fmt.Fprintf(c.App.ErrWriter, "signpost: %s is as it should be\n", dir.Path)
	}
	return nil
}

func showPostfix(c *cli.Context) error {
	_, wanted, err := wantedPostfix(c)
	if err != nil {
		return err
	}
	for _, setting := range wanted.Settings {
		if setting.Unset {
			fmt.Fprintf(c.App.Writer, "# %s is taken out, the default of Postfix applies\n", setting.Name)
			continue
		}
		fmt.Fprintln(c.App.Writer, setting.Shown())
	}
	return nil
}
