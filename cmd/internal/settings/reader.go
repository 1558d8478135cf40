package settings

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
)

// reader reads settings and keeps the first error, which names the flag or the
// variable, so that the reading is a plain list.
type reader struct {
	c      *cli.Context
	others []string // flags that are not those of the settings with the name
	err    error
}

func (r *reader) value(name string) Value {
	if slices.Contains(r.others, name) {
		return Named(name).fromEnvironment()
	}
	return Named(name).Value(r.c)
}

// fail keeps the error if it is the first.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
}

// parsed gives the text of a setting to a parser.
func parsed[T any](r *reader, name string, parse func(string) (T, error)) T {
	v := r.value(name)
	result, err := parse(v.Text)
	if err != nil {
		r.fail(v.Errorf("%w", err))
	}
	return result
}

// number reads a number within bounds.
func (r *reader) number(name string, least, most int) int {
	v := r.value(name)
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < least || n > most {
		r.fail(v.Errorf("%q must be a number between %d and %d", v.Text, least, most))
	}
	return n
}

// duration reads a duration of at least that much.
func (r *reader) duration(name string, least time.Duration) time.Duration {
	v := r.value(name)
	d, err := time.ParseDuration(v.Text)
	if err != nil || d < least {
		r.fail(finding.WithHint(v.Errorf("%q must be a duration of at least %v", v.Text, least),
			"write it like 90s or 1h30m"))
	}
	return d
}

// on reads a switch.
func (r *reader) on(name string) bool { return parsed(r, name, ParseSwitch) }

// Parse gives the text of one setting to a parser. The command need not have the
// flag. The error names the flag or the variable.
func Parse[T any](c *cli.Context, name string, parse func(string) (T, error)) (T, error) {
	r := &reader{c: c}
	result := parsed(r, name, parse)
	return result, r.err
}

// ParseSwitch reads whether something is on.
func ParseSwitch(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "", "false", "no", "off", "0":
		return false, nil
	}
	return false, finding.WithHint(fmt.Errorf("%q is neither yes nor no", text),
		"set it to yes, or leave it empty")
}
