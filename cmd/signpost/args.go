package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// flagsFirst moves the flags of a command line before its arguments, so that
// "signpost dns example.org --json" works: cli stops at the first argument.
// Everything after "--" is left alone, and so is a command without flags.
func flagsFirst(app *cli.App, args []string) []string {
	if len(args) == 0 {
		return args
	}
	flags, commands := app.Flags, app.Commands
	out := []string{args[0]}
	var rest []string
	for i := 1; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			rest = append(rest, args[i:]...)
			break
		}
		if strings.HasPrefix(arg, "-") && arg != "-" {
			out = append(out, arg)
			if takesValue(flags, arg) {
				if i+1 == len(args) {
					return out // an argument moved behind it would be its value
				}
				i++
				out = append(out, args[i])
			}
			continue
		}
		if command := commandNamed(commands, arg); command != nil && len(rest) == 0 {
			out = append(out, arg)
			if command.SkipFlagParsing {
				return append(out, args[i+1:]...)
			}
			flags, commands = command.Flags, command.Subcommands
			continue
		}
		if len(commands) > 0 && len(rest) == 0 {
			// An unknown command is what is wrong, not the flags behind it.
			return append(append(out, "--"), args[i:]...)
		}
		rest = append(rest, arg)
	}
	return append(out, rest...)
}

// takesValue reports whether arg is a flag that is followed by its value.
func takesValue(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	if strings.Contains(name, "=") {
		return false
	}
	for _, flag := range flags {
		for _, known := range flag.Names() {
			if known == name {
				_, isBool := flag.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
}

func commandNamed(commands []*cli.Command, name string) *cli.Command {
	for _, command := range commands {
		if command.HasName(name) {
			return command
		}
	}
	return nil
}
