// Package settings has the settings of signpostd and its companion: the flag,
// the environment variables, the default and the help of each, and how its value
// is read. Both programs take them from here, so they mean the same in both.
package settings

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/milter"
)

// Setting is one setting: the flag --Name, its variables, and its default.
type Setting struct {
	Name      string
	Variables []string // the first that is not empty counts
	Default   string
	Usage     string // the name of the value in backquotes
	Switch    bool   // on or off, the flag has no value
}

// Help is the usage with the variables beside it.
func (s Setting) Help() string { return s.Usage + " [$" + strings.Join(s.Variables, ", $") + "]" }

// Flag returns the setting as a flag of the cli library. Its value is that of the
// environment or the default unless the flag is given; IsSet is for the flag alone.
// The library does not get the variables: it would use an empty one, and compose
// files leave them empty.
func (s Setting) Flag() cli.Flag {
	if s.Switch {
		return &cli.BoolFlag{Name: s.Name, Usage: s.Help(), DisableDefaultText: true}
	}
	flag := &cli.StringFlag{Name: s.Name, Value: s.fromEnvironment().Text, Usage: s.Help()}
	switch s.Default {
	case "":
	case milter.PrivateNetworks:
		flag.DefaultText = "loopback and private networks"
	default:
		flag.DefaultText = strconv.Quote(s.Default)
	}
	return flag
}

// Flags returns several settings as flags.
func Flags(list []Setting) (flags []cli.Flag) {
	for _, s := range list {
		flags = append(flags, s.Flag())
	}
	return flags
}

// Value returns the value of the setting: that of its flag if given, else that of
// the first variable that is not empty, else the default. The command need not
// have the flag.
func (s Setting) Value(c *cli.Context) Value {
	if c.IsSet(s.Name) {
		return Value{fmt.Sprint(c.Value(s.Name)), "--" + s.Name}
	}
	return s.fromEnvironment()
}

func (s Setting) fromEnvironment() Value {
	for _, variable := range s.Variables {
		if text := os.Getenv(variable); text != "" {
			return Value{text, variable}
		}
	}
	return Value{s.Default, "--" + s.Name}
}

// Value is the text of a setting and where it came from: a flag with its
// hyphens, or a variable.
type Value struct{ Text, From string }

// Errorf is an error that names the flag or the variable.
func (v Value) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", v.From, fmt.Errorf(format, args...))
}

// Named returns the setting with the name, which must be there.
func Named(name string) Setting {
	all := slices.Concat(ForDaemon(), companion())
	return all[slices.IndexFunc(all, func(s Setting) bool { return s.Name == name })]
}
