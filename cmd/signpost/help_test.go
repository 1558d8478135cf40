package main

import (
	"bytes"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/urfave/cli/v2"

	"signpost/keystore/check"
	"signpost/keystore/record/render"
)

// answers are what the commands print with --json.
func answers() map[string]any {
	return map[string]any{
		"signpost keygen": keygenAnswer{},
		"signpost rotate": struct {
			Domains []*rotated `json:"domains"`
		}{},
		"signpost keys": struct { // one or the other
			Shown   keysAnswer   `json:"keys"`
			Removed removeAnswer `json:"removed"`
		}{},
		"signpost dns": struct {
			Records []render.Object `json:"records"`
			Next    []dnsStep       `json:"next"`
		}{},
		"signpost check": struct {
			Domains []*check.Report `json:"domains"`
		}{},
		"signpost postfix show":  shownSettings{},
		"signpost postfix diff":  postfixChange{},
		"signpost postfix write": postfixChange{},
		"signpost postfix check": postfixReport{},
		"signpost send":          sent{},
		"signpost verify":        verifyJSON{},
		"signpost explain":       explainJSON{},
		"signpost reports":       reportsAnswer{},
		"signpost import":        importResult{},
		"signpost health":        healthAnswer{},
	}
}

// The section "json:" of --help names the keys that are printed, all of them
// and no others.
func TestHelpShowsTheJSON(t *testing.T) {
	t.Parallel()
	documented := regexp.MustCompile(`"([a-z0-9_]+)": `)
	inWords := regexp.MustCompile(`"([a-z0-9_]+)"`)
	printed := answers()
	eachCommand("signpost", verbs(), func(name string, command *cli.Command) {
		_, section, found := strings.Cut(command.Description, "\njson:\n")
		takes := slices.ContainsFunc(command.Flags, func(flag cli.Flag) bool { return slices.Contains(flag.Names(), "json") })
		answer, known := printed[name]
		if found != takes || found != known {
			t.Errorf("%s: json section %t, flag --json %t, answer known %t", name, found, takes, known)
		}
		if !known {
			return
		}
		// Below the shape stand words on what is not in it.
		shape, words, _ := strings.Cut(section, "\n\n")
		var shown []string
		for _, match := range documented.FindAllStringSubmatch(shape, -1) {
			shown = append(shown, match[1])
		}
		for _, match := range inWords.FindAllStringSubmatch(words, -1) {
			shown = append(shown, match[1])
		}
		keys := jsonKeys(reflect.TypeOf(answer))
		for _, key := range keys {
			if !slices.Contains(shown, key) {
				t.Errorf("%s --help does not show %q, which is printed", name, key)
			}
		}
		for _, key := range shown {
			if !slices.Contains(keys, key) {
				t.Errorf("%s --help shows %q, which is not printed", name, key)
			}
		}
	})
}

// jsonKeys are the keys that a value of the type has in JSON, at any depth.
func jsonKeys(of reflect.Type) (keys []string) {
	switch of.Kind() {
	case reflect.Pointer, reflect.Slice:
		return jsonKeys(of.Elem())
	case reflect.Struct:
		if of == reflect.TypeFor[time.Time]() {
			return nil
		}
		for field := range of.Fields() {
			if field.Anonymous && field.Tag.Get("json") == "" {
				keys = append(keys, jsonKeys(field.Type)...)
			}
			if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" && name != "-" {
				keys = append(keys, name)
				keys = append(keys, jsonKeys(field.Type)...)
			}
		}
	}
	return keys
}

func eachCommand(parent string, commands []*cli.Command, do func(name string, command *cli.Command)) {
	for _, command := range commands {
		name := parent + " " + command.Name
		do(name, command)
		eachCommand(name, command.Subcommands, do)
	}
}

// The examples have commands and flags that there are.
func TestHelpHasRealExamples(t *testing.T) {
	t.Parallel()
	all := verbs()
	eachCommand("signpost", all, func(name string, command *cli.Command) {
		_, examples, _ := strings.Cut(command.Description, "\nexamples:\n")
		examples, _, _ = strings.Cut(examples, "\njson:\n")
		for line := range strings.SplitSeq(strings.ReplaceAll(examples, "\\\n", ""), "\n") {
			if typed, isTyped := strings.CutPrefix(strings.TrimSpace(line), "$ "); isTyped {
				checkTyped(t, all, name+" --help", typed)
			}
		}
	})
}

// invoked finds a command line of ours in one of the shell, up to where that goes on with
// something else.
var invoked = regexp.MustCompile(`\bsignpost( [a-z-][^|<>;&#()]*)`)

// checkTyped reports the commands and flags in a line of a page that there are not.
func checkTyped(t *testing.T, commands []*cli.Command, page, typed string) {
	for _, match := range invoked.FindAllStringSubmatch(typed, -1) {
		commands, flags := commands, []cli.Flag{cli.VersionFlag}
		for i, word := range strings.Fields(match[1]) {
			if sub := commandNamed(commands, word); sub != nil {
				commands, flags = sub.Subcommands, slices.Concat(sub.Flags, []cli.Flag{cli.HelpFlag})
			} else if i == 0 && word[0] != '-' {
				t.Errorf("%s: no command %q in: %s", page, word, typed)
				break
			}
			flag, _, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if word[0] == '-' && flag != "" && !hasFlag(flags, flag) {
				t.Errorf("%s: no flag %q in: %s", page, word, typed)
			}
		}
	}
}

// Examples that need no files and no network print what --help says.
func TestHelpPrintsTheTruth(t *testing.T) { // not parallel: the flags --help and --version of cli are global
	ran := 0
	eachCommand("signpost", verbs(), func(name string, command *cli.Command) {
		_, section, _ := strings.Cut(command.Description, "\nexamples:\n")
		section, _, _ = strings.Cut(section, "\njson:\n")
		for _, example := range strings.Split("\n"+section, "\n   $ ")[1:] {
			typed, want, _ := strings.Cut(example, "\n")
			if !strings.HasPrefix(typed, "signpost postfix show --milter-only") && !strings.HasPrefix(typed, "signpost dns --no-mail") {
				continue
			}
			ran++
			want = strings.TrimSpace(strings.ReplaceAll("\n"+want, "\n   ", "\n"))
			var stdout, stderr bytes.Buffer
			if code := run(t.Context(), strings.Fields(typed), &stdout, &stderr); code != 0 {
				t.Errorf("%s --help: %s: exit code %d: %s", name, typed, code, &stderr)
			}
			if got := strings.TrimSpace(stdout.String()); got != want {
				t.Errorf("%s --help: %s: prints\n%s\nnot\n%s", name, typed, got, want)
			}
		}
	})
	if ran < 4 {
		t.Errorf("ran only %d examples", ran)
	}
}
