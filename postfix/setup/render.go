package setup

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"signpost/keystore/finding"
	"signpost/postfix"
)

// Formats are the forms that Render knows.
func Formats() []string { return []string{"main.cf", "postconf", "env"} }

// Render writes parameters for an administrator to paste:
//
//	main.cf   lines of that file
//	postconf  a shell command that sets them
//	env       variables of the images, as "environment:" of a compose file has them
//
// A value that holds a password is left out, with a comment that says so.
func Render(format string, settings []postfix.Parameter) (string, error) {
	switch format {
	case "main.cf":
		return renderMain(settings), nil
	case "postconf":
		return renderPostconf(settings), nil
	case "env":
		return renderEnv(settings), nil
	}
	return "", finding.WithHint(fmt.Errorf("unknown format %q", format),
		"it is one of %s", strings.Join(Formats(), ", "))
}

func renderMain(settings []postfix.Parameter) string {
	var b strings.Builder
	for _, s := range settings {
		switch {
		case s.Unset:
			fmt.Fprintf(&b, "# %s is taken out, the default of Postfix applies\n", s.Name)
		case s.Secret():
			fmt.Fprintf(&b, "# %s\n", s.Shown())
		default:
			b.WriteString(s.Line() + "\n")
		}
	}
	return b.String()
}

func renderPostconf(settings []postfix.Parameter) string {
	var b strings.Builder
	var set, unset []string
	for _, s := range settings {
		switch {
		case s.Unset:
			unset = append(unset, ShellQuote(s.Name))
		case s.Secret():
			fmt.Fprintf(&b, "# %s\n", s.Shown())
		default:
			set = append(set, ShellQuote(s.Name+"="+s.Value))
		}
	}
	for _, command := range []struct {
		option string
		words  []string
	}{{"-e", set}, {"-X", unset}} {
		if len(command.words) > 0 {
			b.WriteString("postconf " + command.option + " " + strings.Join(command.words, " \\\n    ") + "\n")
		}
	}
	b.WriteString("postfix reload\n")
	return b.String()
}

// ShellQuote makes one word of a text for sh(1). Single quotes keep all but
// themselves.
func ShellQuote(text string) string {
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// renderEnv writes a list for a compose file. There "$$" stands for one "$"
// (Compose file reference, interpolation).
func renderEnv(settings []postfix.Parameter) string {
	var b strings.Builder
	b.WriteString("# Under \"environment:\" of a service in a compose file. There $$ stands for " +
		"one $; in a file\n" +
		"# for `docker run --env-file` leave out the dash and the quotes, and write $ once.\n")
	for _, s := range settings {
		switch {
		case s.Secret():
			fmt.Fprintf(&b, "# %s%s\n", overridePrefix, s.Shown())
		case !s.Unset && s.Value == "":
			fmt.Fprintf(&b, "# %s is empty, and no variable says that: an empty one takes the "+
				"setting out\n", s.Name)
		default:
			fmt.Fprintf(&b, "- %s\n", yamlQuote(strings.ReplaceAll(overridePrefix+s.Name+"="+s.Value, "$", "$$")))
		}
	}
	return b.String()
}

// yamlQuote makes a scalar of a text for YAML. Single quotes keep all but
// themselves; what they cannot hold is escaped as in JSON.
func yamlQuote(text string) string {
	odd := func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) || r == unicode.ReplacementChar }
	if strings.ContainsFunc(text, odd) {
		if quoted, err := json.Marshal(text); err == nil {
			return string(quoted)
		}
	}
	return "'" + strings.ReplaceAll(text, "'", "''") + "'"
}
