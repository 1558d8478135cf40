package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
	"signpost/postfix"
	"signpost/postfix/setup"
)

// postfixCommand sets up a Postfix, or looks at one. Its write is what an
// entrypoint calls before "postfix start-fg".
func postfixCommand() *cli.Command {
	configDir, milter := settings.Named("config-dir").Flag(), settings.Named("milter")
	anyMilter := milter
	anyMilter.Default = ""
	anyMilter.Usage = "signpostd listens at `ADDRESS`; without it any milter is treated as signpostd"
	flags := []cli.Flag{configDir, milter.Flag(), jsonFlag(), &cli.BoolFlag{
		Name:  "subdomains",
		Usage: "accept senders in subdomains of the allowed domains; signpostd needs the same [$SIGNPOST_SUBDOMAINS]",
	}}
	with := func(more ...cli.Flag) []cli.Flag { return append(more, flags...) }
	return &cli.Command{
		Name:      "postfix",
		Usage:     "set up main.cf of a Postfix that sends, and find what is wrong with one",
		UsageText: "signpost postfix show|diff|write [options]\nsignpost postfix check [options] [FILE]",
		Action:    showHelp,
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "print the settings that write would set", Action: showPostfix,
				UsageText: "signpost postfix show [options]",
				Flags: with(
					&cli.StringFlag{Name: "as", Value: "main.cf", Usage: "print in `FORM`: " +
						strings.Join(setup.Formats(), "|")},
					&cli.BoolFlag{Name: "milter-only",
						Usage: "only what has mail signed, for a Postfix that is set up already"},
				),
			},
			{
				Name: "diff", Usage: "show what write would change, and write nothing", Action: diffPostfix,
				UsageText: "signpost postfix diff [options]", Flags: flags,
			},
			{
				Name: "write", Usage: "write main.cf, master.cf and the maps that main.cf names", Action: writePostfix,
				UsageText: "signpost postfix write [options]",
				Flags:     with(&cli.BoolFlag{Name: "dry-run", Usage: "show what would change, write nothing"}),
			},
			{
				Name: "check", Usage: "find what is wrong with a configuration", Action: checkPostfix,
				UsageText: "signpost postfix check [options]\nsignpost postfix check [options] " +
					"DIR\nsignpost postfix check [options] FILE\n" +
					"postconf -n | signpost postfix check [options] -",
				Flags: []cli.Flag{configDir,
					anyMilter.Flag(),
					settings.Named("sign-headers").Flag(),
					settings.Named("also-sign").Flag(),
					settings.Named("keys").Flag(),
					settings.Named("selector").Flag(),
					settings.Named("subdomains").Flag(),
					&cli.StringFlag{Name: "master", Usage: "read master.cf, or what postconf -M printed, from `FILE`"},
					jsonFlag(),
				},
			},
		},
	}
}

// wantedPostfix reads the configuration and works out what is wanted of it.
func wantedPostfix(c *cli.Context) (*postfix.Dir, *setup.Wanted, error) {
	if err := noSettings(c); err != nil {
		return nil, nil, err
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
	subdomains, err := settings.Parse(c, "subdomains", settings.ParseSwitch)
	if err != nil {
		return nil, nil, exitError{exitUsage, err}
	}
	request := setup.Request{Dir: dir.Path, Milter: c.String("milter"), Subdomains: subdomains}
	wanted, err := setup.FromVariables(vars, dir.Main, request, setup.ThisMachine(c.Context))
	if err != nil {
		return nil, nil, exitError{exitUsage, err}
	}
	for _, warning := range wanted.Warnings {
		warn(c, "%w", warning)
	}
	return dir, wanted, nil
}

// noSettings refuses arguments.
func noSettings(c *cli.Context) error {
	if arg := c.Args().First(); arg != "" {
		return finding.WithHint(usageError("unexpected argument %q", arg),
			"settings are given as environment variables, see signpost postfix --help")
	}
	return nil
}

// postfixChange is the answer of diff and of write, for machines.
type postfixChange struct {
	Files []postfix.FileChange `json:"files"`
}

func diffPostfix(c *cli.Context) error {
	dir, wanted, err := wantedPostfix(c)
	var change *postfix.Change
	if err == nil {
		change, err = wanted.Change(dir)
	}
	var coded exitError
	if err != nil && !errors.As(err, &coded) {
		err = exitError{exitUnknown, err} // 1 says that there is something to change
	}
	if err != nil {
		return err
	}
	if err := printChange(c, change); err != nil {
		return err
	}
	if len(change.Files()) > 0 && c.Command.Name == "diff" {
		return exitCode(exitFinding)
	}
	return nil
}

// printChange shows what would change, or has.
func printChange(c *cli.Context, change *postfix.Change) error {
	if c.Bool("json") {
		return printJSON(c, postfixChange{Files: change.Files()})
	}
	_, err := fmt.Fprint(c.App.Writer, change.Diff())
	return err
}

func writePostfix(c *cli.Context) error {
	if c.Bool("dry-run") {
		return diffPostfix(c)
	}
	dir, wanted, err := wantedPostfix(c)
	if err != nil {
		return err
	}
	change, err := wanted.Change(dir)
	if err != nil {
		return err
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
	if c.Bool("json") {
		return printChange(c, change)
	}
	return nil
}
