package main

import (
	"embed"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"signpost/cmd/internal/settings"
)

// A verb documents itself, and --help and the man page are made of that alone:
//
//	Usage        what it does, in a few words
//	UsageText    synopsis, one line for each form
//	help/*.txt   the description of each verb: paragraphs of text; then sections
//	             that begin with a line such as "examples:" or "json:", whose
//	             lines are indented by three spaces. Examples show real output.

//go:embed help/*.txt
var helpTexts embed.FS

// description returns the help text of a command, as "signpost postfix show".
func description(command string) string {
	_, verb, _ := strings.Cut(command, " ")
	text, err := helpTexts.ReadFile("help/" + strings.ReplaceAll(verb, " ", "-") + ".txt")
	if err != nil {
		panic(fmt.Sprintf("%s has no help text: %v", command, err)) // all are read at each start
	}
	return strings.TrimSuffix(string(text), "\n")
}

// helpTemplate is the text of --help of one verb.
const helpTemplate = `{{.HelpName}} - {{.Usage}}

usage:{{nindent 3 (trim .UsageText)}}

{{trim .Description}}
{{if .VisibleCommands}}
commands:{{range .VisibleCommands}}
   {{.Name}}{{"\t"}}{{.Usage}}{{end}}
{{end}}{{if .VisibleFlags}}
options:{{range .VisibleFlags}}
   {{.}}{{end}}
{{end}}
` + exitCodes + "\n"

// appTemplate is the text of "signpost --help".
const appTemplate = `{{.Name}} - {{.Usage}}

usage:
   {{.Name}} COMMAND [options] [arguments]
   {{.Name}} COMMAND --help

commands:{{range .VisibleCommands}}
   {{.Name}}{{"\t"}}{{.Usage}}{{end}}

` + appNotes + "\n\n" + exitCodes + "\n"

const appNotes = `Options may stand before or after arguments. --json gives the answer in a form
for machines. Colour shows only on a terminal, and never with NO_COLOR set.`

const exitCodes = `exit codes:
   0  good
   1  a finding: something is wrong, or the answer is no
   2  wrong use: a flag, an argument or a variable
   3  could not find out
 130  stopped by Ctrl-C, 143 by SIGTERM`

// showHelp is the action of a command that only has subcommands.
func showHelp(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return exitError{exitUsage, settings.UnknownCommand(name, c.Command.Subcommands, c.Command.HelpName+" --help")}
	}
	return cli.ShowSubcommandHelp(c)
}
