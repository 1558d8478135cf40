package settings

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
)

// FlagError returns what the flag package says of a command line in our words: the
// flag as it stands in args, and the one of flags that was perhaps meant. help is the
// command that lists them. The value of a flag that does not exist is not shown: it may
// be a password.
func FlagError(err error, args []string, flags []cli.Flag, help string) error {
	words := []*regexp.Regexp{
		regexp.MustCompile(`(?s)^flag provided but not defined: -()(.*)$`),
		regexp.MustCompile(`(?s)^flag needs an argument: -()(.*)$`),
		regexp.MustCompile(`(?s)^invalid (?:boolean )?value (".*") for (?:flag )?-([^:]*): `),
	}
	for i, pattern := range words {
		match := pattern.FindStringSubmatch(err.Error())
		if match == nil {
			continue
		}
		value, name := match[1], match[2]
		typed := typedFlag(args, name)
		switch i {
		case 0:
			return finding.WithHint(fmt.Errorf("unknown option %s", typed), "%ssee %s",
				didYouMean("--", strings.ToLower(name), flagNames(flags)), help)
		case 1:
			return finding.WithHint(fmt.Errorf("%s needs a value", typed), "see %s", help)
		}
		return finding.WithHint(fmt.Errorf("%s: invalid value %s", typed, value), "%ssee %s",
			valueHint(name, flags), help)
	}
	return finding.WithHint(errors.New(err.Error()), "see %s", help)
}

// valueHint says what the value of a flag is, for one that is no text.
func valueHint(name string, flags []cli.Flag) string {
	for _, flag := range flags {
		if !slices.Contains(flag.Names(), name) {
			continue
		}
		switch flag.(type) {
		case *cli.IntFlag:
			return "give a whole number; "
		case *cli.DurationFlag:
			return "give a time like 30s; "
		case *cli.BoolFlag:
			return "it takes no value; "
		}
	}
	return ""
}

// UnknownCommand says that there is no such command, and which of the commands was
// perhaps meant. help is the command that lists them.
func UnknownCommand(name string, commands []*cli.Command, help string) error {
	var names []string
	for _, command := range commands {
		names = append(names, command.Names()...)
	}
	return finding.WithHint(fmt.Errorf("unknown command %q", name), "%ssee %s",
		didYouMean("", name, names), help)
}

// OneOf reads one of several words.
func OneOf[T ~string](choices ...T) func(string) (T, error) {
	return func(text string) (T, error) {
		if slices.Contains(choices, T(text)) {
			return T(text), nil
		}
		names := make([]string, len(choices))
		for i, choice := range choices {
			names[i] = string(choice)
		}
		err := fmt.Errorf("%q is not one of %s", text, strings.Join(names, ", "))
		if meant := didYouMean("", strings.ToLower(text), names); meant != "" {
			err = finding.WithHint(err, "%s", strings.TrimSpace(meant))
		}
		return "", err
	}
}

// didYouMean asks whether the one of some words that is near was meant. It is empty
// when none is, and ends with a blank.
func didYouMean(prefix, typed string, words []string) string {
	meant := finding.Meant(typed, words)
	if meant == "" {
		return ""
	}
	return "did you mean " + prefix + meant + "? "
}

// typedFlag returns a flag as it was typed, with one hyphen or two.
func typedFlag(args []string, name string) string {
	for _, arg := range args {
		if flag, _, _ := strings.Cut(arg, "="); flag == "-"+name || flag == "--"+name {
			return flag
		}
	}
	return "--" + name
}

// flagNames returns the names with their hyphens, and that of the help.
func flagNames(flags []cli.Flag) (names []string) {
	for _, flag := range append(slices.Clone(flags), cli.HelpFlag) {
		for _, name := range flag.Names() {
			if len(name) > 1 {
				names = append(names, name)
			}
		}
	}
	return names
}
