package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"signpost/keystore/finding"

	"github.com/urfave/cli/v2"
	"golang.org/x/term"
)

// answerWriter is standard output. It keeps the first error, so that verbs can
// print without looking at each, and an answer that is cut off is not success.
type answerWriter struct {
	io.Writer
	err error
}

func (w *answerWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	n, err := w.Writer.Write(p)
	w.err = err
	return n, err
}

// errStopped is what Ctrl-C or SIGTERM comes to.
var errStopped = errors.New("stopped")

// interruptible is standard input. Reading from a terminal or a pipe ends with
// the context too, not only when something comes.
type interruptible struct {
	ctx context.Context
	io.Reader
}

func (r *interruptible) Read(p []byte) (int, error) {
	if r.ctx.Err() != nil {
		return 0, errStopped
	}
	type result struct {
		n   int
		err error
	}
	buffer, read := make([]byte, len(p)), make(chan result, 1)
	go func() {
		n, err := r.Reader.Read(buffer)
		read <- result{n, err}
	}()
	select {
	case <-r.ctx.Done():
		return 0, errStopped
	case got := <-read:
		return copy(p, buffer[:got.n]), got.err
	}
}

// printJSON writes v as the machine's form of an answer.
func printJSON(c *cli.Context, v any) error {
	out := json.NewEncoder(c.App.Writer)
	out.SetEscapeHTML(false)
	out.SetIndent("", "  ")
	return out.Encode(v)
}

// warn says something on standard error that does not change the exit code, as
// printError does. An error among args goes in with %w, for its hint.
func warn(c *cli.Context, format string, args ...any) {
	printError(c.App.ErrWriter, "warning", fmt.Errorf(format, args...))
}

// printError writes an error, and its hint on a line of its own. Of joined errors
// each has its own hint.
func printError(w io.Writer, kind string, err error) {
	for _, single := range parts(err) {
		what, advice := finding.Split(single)
		for line := range strings.SplitSeq(what, "\n") {
			fmt.Fprintf(w, "signpost: %s: %s\n", kind, line)
		}
		if advice != "" {
			fmt.Fprintf(w, "signpost: hint: %s\n", advice)
		}
	}
}

// parts returns the errors that errors.Join put together, also below a type that
// adds nothing to the text.
func parts(err error) []error {
	switch e := err.(type) {
	case exitError:
		return parts(e.error)
	case interface{ Unwrap() []error }:
		var all []error
		var text []string
		for _, part := range e.Unwrap() {
			all = append(all, parts(part)...)
			text = append(text, part.Error())
		}
		// Others than errors.Join have words of their own around the parts.
		if strings.Join(text, "\n") == err.Error() {
			return all
		}
	}
	return []error{err}
}

// style colours words for a reader at a terminal.
type style struct{ on bool }

// styleOf returns no colour unless standard output is a terminal, and never
// with NO_COLOR (no-color.org).
func styleOf(c *cli.Context) style {
	out := c.App.Writer
	if answer, ok := out.(*answerWriter); ok {
		out = answer.Writer
	}
	file, ok := out.(*os.File)
	return style{ok && term.IsTerminal(int(file.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (s style) paint(code, text string) string {
	if !s.on {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s style) bold(text string) string  { return s.paint("1", text) }
func (s style) green(text string) string { return s.paint("32", text) }
func (s style) red(text string) string   { return s.paint("31", text) }

// level colours the level of a finding.
func (s style) level(level finding.Level) string {
	code := map[finding.Level]string{finding.Fault: "31", finding.Warning: "33", finding.Unknown: "35",
		finding.Note: "36"}[level]
	if code == "" {
		return string(level)
	}
	return s.paint(code, string(level))
}

// printFindings writes findings for a reader: what is wrong, what it causes,
// and what to do. A value to publish stands on a line of its own, to be copied.
func printFindings(c *cli.Context, findings []finding.Finding) {
	s := styleOf(c)
	for _, f := range findings {
		fmt.Fprintf(c.App.Writer, "%s: %s: %s\n", s.level(f.Level), s.bold(visible(f.Name)), visible(f.What))
		if f.Effect != "" {
			fmt.Fprintf(c.App.Writer, "   %s\n", visible(f.Effect))
		}
		fix, values, more := strings.Cut(f.Advice(), "\n")
		if fix != "" {
			fmt.Fprintf(c.App.Writer, "   hint: %s\n", visible(fix))
		}
		if more {
			for line := range strings.SplitSeq(values, "\n") {
				fmt.Fprintln(c.App.Writer, visible(line))
			}
		}
	}
}

// visible makes text safe for a terminal: what is found in the DNS, or in a file, is
// whatever somebody put there.
func visible(text string) string { return finding.Visible(text, len(text)) }

// levelsOf returns the levels of some findings.
func levelsOf(findings []finding.Finding) map[finding.Level]bool {
	levels := make(map[finding.Level]bool)
	for _, f := range findings {
		levels[f.Level] = true
	}
	return levels
}

// verdictOf is the exit code for findings of these levels, as an error without a text:
// they have been printed. Notes do not count.
func verdictOf(levels map[finding.Level]bool) error {
	switch {
	case levels[finding.Fault]:
		return exitCode(exitFinding)
	case levels[finding.Unknown]:
		return exitCode(exitUnknown)
	case levels[finding.Warning]:
		return exitCode(exitFinding)
	}
	return nil
}
