package main

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
	"signpost/keystore/atomicfile"
	"signpost/keystore/finding"
)

// manCommand prints manual pages, which are made from the text of --help.
func manCommand() *cli.Command {
	return &cli.Command{
		Name:      "man",
		Usage:     "print a manual page, or write them all",
		UsageText: "signpost man [COMMAND|signpostd]\nsignpost man --dir DIR",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "dir", Usage: "write all pages into `DIR`"},
		},
		Action: manual,
	}
}

func manual(c *cli.Context) error {
	commands := c.App.VisibleCommands()
	if dir := c.String("dir"); dir != "" {
		if c.Args().Present() {
			return usageError("man: --dir writes all pages and takes no command, not %q", c.Args().First())
		}
		return writeManual(c, dir, commands)
	}
	switch name := c.Args().First(); {
	case c.NArg() > 1:
		return finding.WithHint(usageError("man: one command at a time, not %q", strings.Join(c.Args().Slice(), " ")),
			"signpost man %s", name)
	case name == "signpostd":
		fmt.Fprint(c.App.Writer, daemonPage())
	case name == "":
		fmt.Fprint(c.App.Writer, appPage(c.App, commands))
	case commandNamed(commands, name) == nil:
		return exitError{exitUsage, settings.UnknownCommand(name, commands, "signpost --help")}
	default:
		fmt.Fprint(c.App.Writer, commandPage(commandNamed(commands, name)))
	}
	return nil
}

func writeManual(c *cli.Context, dir string, commands []*cli.Command) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("man: %w", err)
	}
	pages := map[string]string{"signpost.1": appPage(c.App, commands)}
	for _, command := range commands {
		pages["signpost-"+command.Name+".1"] = commandPage(command)
	}
	for name, page := range pages {
		if err := atomicfile.Replace(filepath.Join(dir, name), 0o644, nil,
			func(w *bufio.Writer) { w.WriteString(page) }); err != nil {
			return fmt.Errorf("man: writing %s: %w", filepath.Join(dir, name), err)
		}
	}
	fmt.Fprintf(c.App.Writer, "%d pages in %s\n", len(pages), dir)
	return nil
}

func appPage(app *cli.App, commands []*cli.Command) string {
	var r roff
	r.title("signpost", 1, app.Usage)
	r.section("synopsis")
	r.verbatim([]string{"signpost COMMAND [options] [arguments]", "signpost COMMAND --help"})
	r.section("commands")
	for _, command := range commands {
		r.item("signpost-"+command.Name+"(1)", command.Usage)
	}
	r.WriteString(".PP\n")
	r.text(appNotes + "\n\n" + exitCodes)
	return r.String()
}

func commandPage(command *cli.Command) string {
	var r roff
	r.title("signpost-"+command.Name, 1, command.Usage)
	r.section("synopsis")
	r.verbatim(strings.Split(command.UsageText, "\n"))
	r.section("description")
	r.text(command.Description)
	r.options("options", command.VisibleFlags())
	for _, sub := range command.VisibleCommands() {
		r.section(command.Name + " " + sub.Name)
		r.verbatim(strings.Split(sub.UsageText, "\n"))
		r.text(sub.Usage + "\n\n" + sub.Description)
		r.options("options of "+sub.Name, sub.VisibleFlags())
	}
	r.text(exitCodes)
	return r.String()
}

// daemonPage is that of signpostd, whose settings are at hand.
func daemonPage() string {
	var r roff
	r.title("signpostd", 8, settings.DaemonUsage)
	r.section("synopsis")
	r.verbatim([]string{"signpostd [options]"})
	r.section("description")
	r.text(settings.DaemonHelp)
	r.options("options", settings.Flags(settings.ForDaemon()))
	r.item("--check", settings.CheckUsage)
	return r.String()
}

// roff builds a manual page in the man macros, groff_man(7).
type roff struct{ strings.Builder }

func (r *roff) title(name string, section int, usage string) {
	fmt.Fprintf(r, ".TH %s %d \"\" \"signpost %s\"\n.SH NAME\n%s \\- %s\n", strings.ToUpper(name),
		section, escape(version), name, escape(usage))
}

func (r *roff) section(name string) { fmt.Fprintf(r, ".SH %s\n", strings.ToUpper(escape(name))) }

func (r *roff) verbatim(lines []string) {
	r.WriteString(".nf\n")
	for _, line := range lines {
		fmt.Fprintln(r, escape(line))
	}
	r.WriteString(".fi\n")
}

func (r *roff) item(term, text string) {
	fmt.Fprintf(r, ".TP\n\\fB%s\\fR\n%s\n", escape(term), escape(text))
}

func (r *roff) options(section string, flags []cli.Flag) {
	if len(flags) == 0 {
		return
	}
	r.section(section)
	for _, flag := range flags {
		term, text, _ := strings.Cut(flag.String(), "\t")
		r.item(term, text)
	}
}

// text takes a text in the form that help.go describes.
func (r *roff) text(text string) {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	for i := 0; i < len(lines); i++ {
		line := lines[i]
		switch {
		case line == "":
			if i+1 < len(lines) && !isHeading(lines[i+1]) {
				r.WriteString(".PP\n")
			}
		case isHeading(line):
			r.section(strings.TrimSuffix(line, ":"))
		case strings.HasPrefix(line, "   "):
			end := i
			for end < len(lines) && (strings.HasPrefix(lines[end], "   ") || lines[end] == "" &&
				end+1 < len(lines) && strings.HasPrefix(lines[end+1], "   ")) {
				end++
			}
			r.WriteString(".RS 3\n")
			block := lines[i:end]
			for j := range block {
				block[j] = strings.TrimPrefix(block[j], "   ")
			}
			r.verbatim(block)
			r.WriteString(".RE\n")
			i = end - 1
		default:
			fmt.Fprintln(r, escape(line))
		}
	}
}

// isHeading reports whether a line opens a section: words in lower case with a
// colon at the end.
func isHeading(line string) bool {
	name, found := strings.CutSuffix(line, ":")
	return found && name != "" && len(strings.Fields(name)) <= 2 && name == strings.ToLower(name) && name[0] != ' '
}

// escape hides from roff what it would take for its own, and lets it break
// lists of words.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", "\\(ga",
		"^", `\(ha`, "~", `\(ti`, "|", `|\:`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}
