package console_test

import (
	"slices"
	"testing"

	"signpost/test/lab/console"
)

func TestParse(t *testing.T) {
	t.Parallel()
	blocks := console.Parse("text\n```console\n$ a \\\n    b\n# one\n$ c\n```\n" +
		"```text\n$ no\n```\n```console\n# d\n```\n")
	want := [][]console.Step{{{"a b", "# one\n"}, {"c", ""}}, {{"d", ""}}}
	if !slices.EqualFunc(blocks, want, slices.Equal) {
		t.Errorf("%q", blocks)
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		shown, printed string
		want           bool
	}{
		{"a\n…\nd\n", "a\nb\nc\nd\n", true},
		{"a\n…\nd\n", "a\nb\nc\n", false},
		{"(a)", "a", false},
		{"s20261129, 29 November, 2026-12-06 08:35:35", "s20270101, 1 May, 2027-01-08 00:00:00", true},
		{"s20260501 to s20261129", "s20260501 to s20270101", true},
		{"s20260501 to s20261129", "s20260501 to s20260501", false},
		{"s20261129-2", "s20270101", false},
	} {
		if got := (console.Step{Output: test.shown}).Matches(test.printed); got != test.want {
			t.Errorf("%q and %q: %t", test.shown, test.printed, got)
		}
	}
}
