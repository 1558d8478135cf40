package postfix

import (
	"strings"
	"testing"
)

func TestDiff(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, before, after, want string }{
		{"equal", "a b", "a b", ""},
		{"from nothing", "", "a b", "@@ -1 +1 @@|+a|+b|"},
		{"to nothing", "a b", "", "@@ -1 +1 @@|-a|-b|"},
		{"in the middle", "a b c d e f g", "a b c X e f g", "@@ -2 +2 @@| b| c|-d|+X| e| f|"},
		{"at the start", "a b c d", "X b c d", "@@ -1 +1 @@|-a|+X| b| c|"},
		{"at the end", "a b c d", "a b c", "@@ -2 +2 @@| b| c|-d|"},
		{"near each other", "a b c d e f", "X b c d e Y", "@@ -1 +1 @@|-a|+X| b| c| d| e|-f|+Y|"},
		{"far from each other", "a b c d e f g", "X b c d e f Y", "@@ -1 +1 @@|-a|+X| b| c|@@ -5 +5 @@| e| f|-g|+Y|"},
		{"inserted", "a b", "a X b", "@@ -1 +1 @@| a|+X| b|"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			lines := func(text string) []string {
				var lines []string
				for _, word := range strings.Fields(text) {
					lines = append(lines, word+"\n")
				}
				return lines
			}
			if got := strings.ReplaceAll(diff(lines(test.before), lines(test.after)), "\n", "|"); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestDiffHidesSecrets(t *testing.T) {
	t.Parallel()
	before := splitLines("smtp_sasl_password_maps = static:u:hush\n#smtp_sasl_password_maps=static:u:hush\n#signpost# x_password =\n#signpost#   hush\n" +
		"y_secret =\n# note\n  hush\n  hush\nopen = 1\n")
	got := diff(before, nil)
	if strings.Contains(got, "hush") {
		t.Errorf("it shows a secret:\n%s", got)
	}
	want := "@@ -1 +1 @@\n-smtp_sasl_password_maps = (hidden)\n-#smtp_sasl_password_maps = (hidden)\n-#signpost# x_password = (hidden)\n-#signpost#  (hidden)\n" +
		"-y_secret = (hidden)\n-# note\n- (hidden)\n- (hidden)\n-open = 1\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

func TestShown(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"static:u:hush":       "x_password_maps = (hidden)",
		"inline:{ r=u:hush }": "x_password_maps = (hidden)",
		"hush":                "x_password_maps = (hidden)",
		"texthash:/etc/postfix/x, lmdb:${config}/y": "x_password_maps = texthash:/etc/postfix/x, lmdb:${config}/y",
		"proxy:mysql:/etc/postfix/x":                "x_password_maps = proxy:mysql:/etc/postfix/x",
		"":                                          "x_password_maps =",
	} {
		if got := (Parameter{Name: "x_password_maps", Value: value}).Shown(); got != want {
			t.Errorf("%q: got %q, want %q", value, got, want)
		}
	}
	if got := (Parameter{Name: "inet_protocols", Value: "all"}).Shown(); got != "inet_protocols = all" {
		t.Errorf("got %q", got)
	}
}
