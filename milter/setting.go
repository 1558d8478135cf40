package milter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Setting is a setting as a command offers it: by the flag --Name, by
// variables, and with a default. The daemon and those verbs of the companion
// that stand in for it offer the same ones.
type Setting struct {
	Name      string
	Variables []string // the first that is not empty counts
	Default   string
	Usage     string // the name of the value in backquotes
	Switch    bool   // on or off, the flag has no value
}

// Help is the usage with the variables beside it.
func (s Setting) Help() string { return s.Usage + " [$" + strings.Join(s.Variables, ", $") + "]" }

// Value returns what the setting is: the value of its flag where that is set,
// else that of the first variable that is not empty, else the default.
func (s Setting) Value(flag string, isSet bool, env map[string]string) Value {
	if isSet {
		return Value{flag, "--" + s.Name}
	}
	for _, variable := range s.Variables {
		if text := env[variable]; text != "" {
			return Value{text, variable}
		}
	}
	return Value{s.Default, "--" + s.Name}
}

// FindSetting returns the setting with the name, which must be there.
func FindSetting(settings []Setting, name string) Setting {
	return settings[slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })]
}

// Value is the text of a setting and where it came from: a flag with its
// hyphens, or a variable.
type Value struct{ Text, From string }

// Errorf is an error that names the flag or the variable.
func (v Value) Errorf(format string, args ...any) error {
	return fmt.Errorf("%s: %w", v.From, fmt.Errorf(format, args...))
}

// Reader reads settings and keeps the first error, so that the reading is a
// plain list.
type Reader struct {
	Get func(name string) Value
	Err error // names the flag or the variable
}

// Fail keeps the error if it is the first.
func (r *Reader) Fail(err error) {
	if r.Err == nil {
		r.Err = err
	}
}

// Parsed gives the text of a setting to a parser.
func Parsed[T any](r *Reader, name string, parse func(string) (T, error)) T {
	v := r.Get(name)
	result, err := parse(v.Text)
	if err != nil {
		r.Fail(v.Errorf("%w", err))
	}
	return result
}

// Number reads a number within bounds.
func (r *Reader) Number(name string, least, most int) int {
	v := r.Get(name)
	n, err := strconv.Atoi(v.Text)
	if err != nil || n < least || n > most {
		r.Fail(v.Errorf("%q is no number from %d to %d", v.Text, least, most))
	}
	return n
}

// Duration reads a duration of at least that much.
func (r *Reader) Duration(name string, least time.Duration) time.Duration {
	v := r.Get(name)
	d, err := time.ParseDuration(v.Text)
	if err != nil || d < least {
		r.Fail(v.Errorf("%q is no duration of at least %v; hint: write it like 90s or 1h30m", v.Text, least))
	}
	return d
}

// OneOf reads a word.
func (r *Reader) OneOf(name string, choices ...string) string {
	v := r.Get(name)
	if !slices.Contains(choices, v.Text) {
		r.Fail(v.Errorf("%q is none of %s", v.Text, strings.Join(choices, ", ")))
	}
	return v.Text
}

// On reads a switch.
func (r *Reader) On(name string) bool {
	v := r.Get(name)
	switch strings.ToLower(v.Text) {
	case "true", "yes", "on", "1":
		return true
	case "", "false", "no", "off", "0":
		return false
	}
	r.Fail(v.Errorf("%q is neither yes nor no; hint: set it to yes, or leave it empty", v.Text))
	return false
}

// words splits a list at commas and white space.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return strings.ContainsRune(", \t\r\n", c) })
}
