package reports

import (
	"slices"
	"testing"
)

func TestSplit(t *testing.T) {
	t.Parallel()
	for body, want := range map[string][]string{
		"preamble\n--b\nA\n--b\nB\n--b--\nepilogue": {"A\n", "B\n"},
		"--b\r\nA\r\n--b  \r\nB":                    {"A\r\n", "B"},
		"--b\nA\n--bc\nB\n x--b\n--b--\n":           {"A\n--bc\nB\n x--b\n"}, // others' boundaries
		"--b\n--b\n--b--":                           {"", ""},
		"--other\nA\n--other--\n":                   {"A\n"},
		"no parts\n":                                nil,
		"":                                          nil,
	} {
		var got []string
		for _, part := range split([]byte(body), "b") {
			got = append(got, string(part))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", body, got, want)
		}
	}
}
