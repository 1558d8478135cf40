// Signpost is the companion of signpostd: it makes keys and DNS records, writes
// main.cf, and says what the world makes of the mail and why.
//
// The answer goes to standard output. All else goes to standard error with the
// prefix "signpost:", starts in lower case and ends without a full stop.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/finding"
)

// Exit codes of every verb. 0 is good.
const (
	exitFinding = 1 // the answer is no, or something is wrong
	exitUsage   = 2 // wrong use: flags, arguments, variables
	exitUnknown = 3 // it could not be found out
)

// version is set by the build.
var version = "unknown"

func main() {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		by := <-signals
		signal.Stop(signals) // who asks a second time wants it to end at once
		cancel(stoppedBy{by})
	}()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// run is main with its surroundings as arguments; it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	out := &answerWriter{Writer: stdout}
	app := &cli.App{
		Name:                  "signpost",
		Usage:                 "companion of signpostd, the milter that signs mail with DKIM",
		Version:               version,
		Reader:                &interruptible{ctx, os.Stdin},
		Writer:                out,
		ErrWriter:             stderr,
		HideHelpCommand:       true,
		OnUsageError:          wrongUse("signpost"),
		Metadata:              map[string]any{typedArgs: args},
		ExitErrHandler:        func(*cli.Context, error) {}, // the code is returned, below
		Commands:              verbs(),
		CustomAppHelpTemplate: appTemplate,
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name == "help" {
				return finding.WithHint(usageError("there is no command help"),
					"signpost --help, and of a command as signpost %s --help", cmp.Or(c.Args().Get(1), "keygen"))
			} else if name != "" {
				return exitError{exitUsage, settings.UnknownCommand(name, c.App.Commands, "signpost --help")}
			}
			return cli.ShowAppHelp(c)
		},
	}
	err := app.RunContext(ctx, flagsFirst(app, args))
	if out.err != nil {
		err = fmt.Errorf("writing the answer: %w", out.err)
	}
	if err == nil {
		return 0
	}
	var said exitCode
	if !errors.As(err, &said) {
		printError(stderr, "error", err)
	}
	if ctx.Err() != nil {
		return stopCode(ctx) // a finding would be the half of the truth
	}
	if said != 0 {
		return int(said)
	}
	var coded exitError
	if errors.As(err, &coded) {
		return coded.code
	}
	return exitFinding
}

// verbs are in the order in which a new user needs them.
func verbs() []*cli.Command {
	return prepared("signpost", []*cli.Command{
		keygenCommand(),
		rotateCommand(),
		keysCommand(),
		dnsCommand(),
		checkCommand(),
		postfixCommand(),
		sendCommand(),
		verifyCommand(),
		explainCommand(),
		reportsCommand(),
		importCommand(),
		migrateCommand(),
		healthCommand(),
		completionCommand(),
		manCommand(),
	})
}

// typedArgs is the name of the command line, as it was typed, in what the cli library
// keeps for us.
const typedArgs = "args"

// wrongUse is for flags that a command does not know, or not with that value.
func wrongUse(command string) cli.OnUsageErrorFunc {
	return func(c *cli.Context, err error, _ bool) error {
		args, _ := c.App.Metadata[typedArgs].([]string)
		return exitError{exitUsage, settings.FlagError(err, args, c.Command.Flags, command+" --help")}
	}
}

// prepared sets what the cli library does not hand down to commands.
func prepared(parent string, commands []*cli.Command) []*cli.Command {
	for _, command := range commands {
		name := parent + " " + command.Name
		command.OnUsageError = wrongUse(name)
		command.Description = description(name)
		command.HideHelpCommand = true
		command.CustomHelpTemplate = helpTemplate
		command.Flags = withKeyFlags(command.Flags)
		for _, flag := range command.Flags {
			if flag, ok := flag.(*cli.BoolFlag); ok {
				flag.DisableDefaultText = true
			}
		}
		prepared(name, command.Subcommands)
	}
	return commands
}

// exitError is an error that chooses the exit code.
type exitError struct {
	code int
	error
}

func (e exitError) Unwrap() error { return e.error }

// usageError says what is wrong with the command line.
func usageError(format string, args ...any) error {
	return exitError{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode is an error that has been told already and only ends the program.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }
