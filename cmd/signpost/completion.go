package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/finding"
)

// completionCommand prints what a shell needs to complete command lines of
// signpost. The scripts ask "signpost completion words", so they need no
// change when the commands do.
func completionCommand() *cli.Command {
	return &cli.Command{
		Name:      "completion",
		Usage:     "print a completion script for a shell",
		UsageText: "signpost completion bash|zsh|fish",
		// The words of an unfinished line may look like flags of this command.
		SkipFlagParsing: true,
		Action:          completion,
	}
}

func completion(c *cli.Context) error {
	scripts := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}
	name := c.Args().First()
	switch script, known := scripts[name]; {
	case name == "words":
		for _, word := range completions(c, c.Args().Tail()) {
			fmt.Fprintln(c.App.Writer, word)
		}
	case name == "--help" || name == "-h":
		return cli.ShowSubcommandHelp(c)
	case name == "":
		return finding.WithHint(usageError("which shell?"), "bash, zsh or fish")
	case !known || c.NArg() != 1:
		return finding.WithHint(usageError("unknown shell %q", strings.Join(c.Args().Slice(), " ")),
			"it is one of bash, zsh and fish")
	default:
		fmt.Fprint(c.App.Writer, script)
	}
	return nil
}

// completions returns what may stand in place of the last of words, which is
// what the user has typed of it.
func completions(c *cli.Context, words []string) []string {
	if len(words) == 0 {
		words = []string{""}
	}
	typed := words[len(words)-1]
	commands, flags := c.App.Commands, c.App.Flags
	var command *cli.Command
	keys := ""
	var offered []string
	for i, word := range words[:len(words)-1] {
		if (word == "--keys" || word == "-keys") && i+1 < len(words)-1 {
			keys = words[i+1]
		}
		if next := commandNamed(commands, word); next != nil {
			command, commands, flags = next, next.Subcommands, next.Flags
		}
	}
	switch previous := words[max(0, len(words)-2)]; {
	case len(words) > 1 && strings.HasPrefix(previous, "-") && takesValue(flags, previous):
		offered = flagWords(flags, previous)
	case strings.HasPrefix(typed, "-"):
		for _, flag := range flags {
			for _, name := range flag.Names() {
				if len(name) > 1 {
					offered = append(offered, "--"+name)
				}
			}
		}
		if !slices.Contains(offered, "--help") {
			offered = append(offered, "--help")
		}
	case len(commands) > 0:
		for _, command := range commands {
			offered = append(offered, command.Name)
		}
	case command != nil && command.Name == "completion":
		offered = []string{"bash", "fish", "zsh"}
	case command != nil && command.Name == "man":
		for _, command := range c.App.Commands {
			offered = append(offered, command.Name)
		}
	case command != nil && strings.Contains(command.UsageText, "DOMAIN"):
		offered = domainsIn(c, keys)
	}
	var matching []string
	for _, word := range offered {
		if strings.HasPrefix(word, typed) {
			matching = append(matching, word)
		}
	}
	return matching
}

// flagWords returns the values of a flag whose placeholder lists them, such as
// `table|zone|line`.
func flagWords(flags []cli.Flag, arg string) []string {
	for _, flag := range flags {
		documented, ok := flag.(cli.DocGenerationFlag)
		if !ok || !takesValue([]cli.Flag{flag}, arg) {
			continue
		}
		for word := range strings.FieldsSeq(strings.ReplaceAll(documented.GetUsage(), "`", "")) {
			if words := strings.Split(word, "|"); len(words) > 1 {
				return words
			}
		}
	}
	return nil
}

// domainsIn returns the domains that there are keys for, where it is given or by default. It
// ignores errors: the user is still typing.
func domainsIn(c *cli.Context, given string) []string {
	options, err := keyDirectory(c)
	if given != "" {
		err = options.Use(given)
	}
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(c.Context, longCompletion)
	defer cancel()
	domains, err := options.Place().Domains(ctx)
	if err != nil {
		return nil
	}
	return domains
}

// longCompletion is how long a user waits who is still typing.
const longCompletion = 2 * time.Second

const bashCompletion = `# bash completion for signpost
_signpost() {
	local line words
	words=("${COMP_WORDS[@]:1:COMP_CWORD}")
	COMPREPLY=()
	while IFS= read -r line; do
		COMPREPLY+=("$line")
	done < <(signpost completion words "${words[@]}" 2>/dev/null)
}
complete -o bashdefault -o default -F _signpost signpost
`

const zshCompletion = `#compdef signpost
_signpost() {
	local -a offered
	offered=("${(@f)$(signpost completion words "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "${offered[*]}" ]]; then
		compadd -- "${offered[@]}"
	else
		_files
	fi
}
if [[ "$funcstack[1]" == _signpost ]]; then
	_signpost "$@"
else
	compdef _signpost signpost
fi
`

const fishCompletion = `# fish completion for signpost
function __signpost_words
	set -l words (commandline -opc) (commandline -ct)
	signpost completion words $words[2..-1] 2>/dev/null
end
complete -c signpost -a '(__signpost_words)'
`
