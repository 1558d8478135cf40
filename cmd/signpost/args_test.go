package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestFlagsFirst(t *testing.T) {
	t.Parallel()
	app := &cli.App{
		Flags: []cli.Flag{&cli.StringFlag{Name: "top"}},
		Commands: []*cli.Command{
			{
				Name:  "dns",
				Flags: []cli.Flag{&cli.BoolFlag{Name: "json"}, &cli.StringFlag{Name: "format", Aliases: []string{"f"}}},
			},
			{
				Name:        "postfix",
				Subcommands: []*cli.Command{{Name: "write", Flags: []cli.Flag{&cli.StringFlag{Name: "dir"}}}},
			},
		},
	}
	tests := []struct{ args, want string }{
		{"", ""},
		{"signpost", "signpost"},
		{"signpost dns example.org --json", "signpost dns --json example.org"},
		{"signpost dns example.org --format json", "signpost dns --format json example.org"},
		{"signpost dns example.org -f json", "signpost dns -f json example.org"},
		{"signpost dns example.org --format=json b", "signpost dns --format=json example.org b"},
		{"signpost dns --format json example.org", "signpost dns --format json example.org"},
		{"signpost dns example.org --format", "signpost dns --format"},
		{"signpost dns a -- --json", "signpost dns a -- --json"},
		{"signpost dns - --json", "signpost dns --json -"},
		{"signpost dns a --other b", "signpost dns --other a b"},
		{"signpost --top x dns a --json", "signpost --top x dns --json a"},
		{"signpost postfix write x --dir y", "signpost postfix write --dir y x"},
		{"signpost dns dns --json", "signpost dns --json dns"},
		{"signpost nothing dns --json", "signpost -- nothing dns --json"},
		{"signpost postfix nothing --json", "signpost postfix -- nothing --json"},
	}
	for _, test := range tests {
		got := flagsFirst(app, strings.Fields(test.args))
		if !slices.Equal(got, strings.Fields(test.want)) {
			t.Errorf("%q: got %q, want %q", test.args, strings.Join(got, " "), test.want)
		}
	}
}
