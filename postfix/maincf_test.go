package postfix

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"signpost/keystore/finding"
)

// mainCases are contents of main.cf with what Postfix makes of them, or how our
// error begins. TestParseMainAsPostfix asks Postfix itself.
var mainCases = []struct {
	name, text string
	want       map[string]string
	err        string
}{
	{name: "empty", text: ""},
	{name: "only comments", text: "# a = 1\n\n   \n\t# b = 2\n"},
	{name: "plain", text: "a=1\nb = 2\nc\t=\t3 4\t\n", want: map[string]string{"a": "1", "b": "2", "c": "3 4"}},
	{name: "no final newline", text: "a = 1", want: map[string]string{"a": "1"}},
	{name: "no value", text: "a =\nb=", want: map[string]string{"a": "", "b": ""}},
	{name: "last one wins", text: "a = 1\nb = 2\na = 3\n", want: map[string]string{"a": "3", "b": "2"}},
	{name: "continuation", text: "a = 1,\n  2,\n\t3\nb = 4\n", want: map[string]string{"a": "1,  2,\t3", "b": "4"}},
	{name: "continuation over comments", text: "a = 1,\n# no\n\n  # no\n  2\nb = 4\n", want: map[string]string{"a": "1,  2", "b": "4"}},
	{name: "continuation of nothing", text: "  a = 1\n  b = 2\nc = 3\n", want: map[string]string{"c": "3"}},
	{name: "value that starts on the next line", text: "a =\n  1\n", want: map[string]string{"a": "1"}},
	{name: "equals sign on the next line", text: "a\n  = 1\n", want: map[string]string{"a": "1"}},
	{name: "equals signs in the value", text: "a = b=c = d\n", want: map[string]string{"a": "b=c = d"}},
	{name: "names of others", text: "a = $b ${c} $(d)\n", want: map[string]string{"a": "$b ${c} $(d)"}},
	{name: "hash in the value", text: "a = 1 # no comment\n", want: map[string]string{"a": "1 # no comment"}},
	{name: "line ends of Windows", text: "a = 1\r\n\r\n# no\r\nb = 2\r\n", want: map[string]string{"a": "1", "b": "2"}},
	{name: "form feed and vertical tab", text: "a =\f1\v\n\v2\n", want: map[string]string{"a": "1\v\v2"}},
	{name: "bytes that are no UTF-8", text: "a = \xff\n", want: map[string]string{"a": "\xff"}},
	{name: "no equals sign", text: "a = 1\n\nb\n", err: "main.cf: line 3: missing '=' after the parameter name; hint: "},
	{name: "two words", text: "a b = 1\n", err: "main.cf: line 1: missing '=' after the parameter name; hint: "},
	{name: "no name", text: "= 1\n", err: "main.cf: line 1: missing parameter name before '='; hint: "},
	{name: "NUL", text: "a = 1\x002\n", err: "main.cf: line 1: there is a NUL byte in it; hint: "},
}

func TestParseMain(t *testing.T) {
	t.Parallel()
	for _, test := range mainCases {
		t.Run(test.name, func(t *testing.T) {
			file, err := ParseMain("main.cf", []byte(test.text))
			if test.err != "" {
				if err == nil || !strings.HasPrefix(finding.Text(err), test.err) {
					t.Fatalf("error is %v, want %s", err, test.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := string(file.Bytes()); got != test.text {
				t.Errorf("rendered as %q", got)
			}
			for name, want := range test.want {
				if got, ok := file.Get(name); got != want || !ok {
					t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
				}
			}
			if got := len(file.values()); got != len(test.want) {
				t.Errorf("%d settings, want %d", got, len(test.want))
			}
		})
	}
}

// values returns the settings in force.
func (f *MainCF) values() map[string]string {
	values := make(map[string]string)
	for _, s := range statements(f.lines) {
		name, value, _ := nameValue(s.text)
		values[name] = value
	}
	return values
}

// TestParseMainAsPostfix reads the same texts with postconf.
func TestParseMainAsPostfix(t *testing.T) {
	t.Parallel()
	needPostfix(t)
	for _, test := range mainCases {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if strings.Contains(test.name, "NUL") {
				return // Postfix 3.7 reads up to the NUL and says nothing
			}
			dir := t.TempDir()
			// Postfix only tells of parameters that it knows.
			known := func(text string) string {
				return regexp.MustCompile(`\b[abc]\b`).ReplaceAllStringFunc(text, func(name string) string {
					return map[string]string{"a": "mydomain", "b": "myorigin", "c": "relayhost"}[name]
				})
			}
			writeOld(t, filepath.Join(dir, "main.cf"), known(test.text))
			for name, want := range test.want {
				want = strings.Join(strings.Fields(known(want)), " ") // postconf prints single blanks
				out, err := exec.Command("postconf", "-c", dir, "-h", known(name)).Output()
				if got := strings.Join(strings.Fields(string(out)), " "); err != nil || got != want {
					t.Errorf("%s is %q to Postfix, %v, want %q", name, got, err, want)
				}
			}
			err := exec.Command("postconf", "-c", dir, "mail_name").Run()
			if (err != nil) != (test.err != "") {
				t.Errorf("Postfix says %v, we say %q", err, test.err)
			}
		})
	}
}

// needPostfix fails the test when there is no Postfix: without it nothing is
// proven.
func needPostfix(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("postfix"); err != nil {
		t.Fatal("postfix is not installed; hint: run make setup")
	}
}

// writeOld writes a file with a time in the past: Postfix waits for a fresh
// one to cool down.
func writeOld(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, old, old); err != nil {
		t.Fatal(err)
	}
}

func TestParseMainBlock(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, err string }{
		{"no end", "# signpost: begin\na = 1\n", `main.cf: line 1: "# signpost: begin" without an end; hint: `},
		{"no begin", "a = 1\n# signpost: end\n", `main.cf: line 2: "# signpost: end" without a begin; hint: `},
		{"two", "# signpost: begin\n# signpost: begin\n# signpost: end\n", `main.cf: line 2: second "# signpost: begin"; hint: `},
		{"continued", "# signpost: begin\na = 1\n# signpost: end\n\n  2\n", `main.cf: the line after "# signpost: end" starts with white space`},
		{"marked junk", "#signpost# junk\n", `main.cf: a line marked "#signpost#" is not a setting: `},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			_, err := ParseMain("main.cf", []byte(test.text))
			if err == nil || !strings.HasPrefix(finding.Text(err), test.err) {
				t.Errorf("error is %v, want %s", err, test.err)
			}
		})
	}
}

func TestWith(t *testing.T) {
	t.Parallel()
	begin := blockNote
	settings := []Parameter{{Name: "a", Value: "9"}, {Name: "b", Unset: true}, {Name: "c"}}
	tests := []struct{ name, text, want string }{
		{"empty", "", begin + "a = 9\nc =\n# signpost: end\n"},
		{"not ours", "# note\nx = 1\n  2\n", "# note\nx = 1\n  2\n\n" + begin + "a = 9\nc =\n# signpost: end\n"},
		{"no final newline", "x = 1", "x = 1\n\n" + begin + "a = 9\nc =\n# signpost: end\n"},
		{"displaced", "a = 1\nx = 1\nb = 2,\n# note\n  3\na=4\n# note\n",
			"#signpost# a = 1\nx = 1\n#signpost# b = 2,\n# note\n#signpost#   3\n#signpost# a=4\n# note\n\n" + begin + "a = 9\nc =\n# signpost: end\n"},
		{"block in the middle", "x = 1\n\n" + begin + "z = 1\n# signpost: end\ny = 1\na = 1\n",
			"x = 1\n\n" + begin + "a = 9\nc =\n# signpost: end\ny = 1\n#signpost# a = 1\n"},
		{"no longer ours", "#signpost# z = 1\n#signpost#   2\n\n" + begin + "z = 3\n# signpost: end\n",
			"z = 1\n  2\n\n" + begin + "a = 9\nc =\n# signpost: end\n"},
		{"line ends of Windows", "a = 1\r\nx = 1\r\n", "#signpost# a = 1\r\nx = 1\r\n\n" + begin + "a = 9\nc =\n# signpost: end\n"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file, err := ParseMain("main.cf", []byte(test.text))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(file.With(settings).Bytes()); got != test.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, test.want)
			}
			if got := string(file.Bytes()); got != test.text {
				t.Errorf("the file itself became:\n%s", got)
			}
		})
	}
}

func FuzzMain(f *testing.F) {
	for _, test := range mainCases {
		f.Add([]byte(test.text), "a", "9")
	}
	f.Add([]byte("x = 1\n\n"+blockNote+"z = 1\n# signpost: end\n#signpost# z = 2\n y\n"), "z", "")
	f.Fuzz(func(t *testing.T, data []byte, name, value string) {
		file, err := ParseMain("main.cf", data)
		if err != nil {
			return
		}
		if !bytes.Equal(file.Bytes(), data) {
			t.Fatalf("rendered as %q", file.Bytes())
		}
		setting := Parameter{Name: name, Value: TrimSpace(value)}
		if n, v, err := nameValue(setting.Line()); err != nil || n != name || v != setting.Value ||
			strings.Contains(setting.Line(), "\n") || name[0] == '#' {
			return // no setting that the package would write
		}
		text := file.With([]Parameter{setting}).Bytes()
		edited, err := ParseMain("main.cf", text)
		if err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if got, ok := edited.Get(name); !ok || got != setting.Value {
			t.Fatalf("set to %q, got %q, %v from %q", setting.Value, got, ok, text)
		}
		if again := edited.With([]Parameter{setting}).Bytes(); !bytes.Equal(again, text) {
			t.Fatalf("a second time:\n%q\nfirst:\n%q", again, text)
		}
		before, after := file.Base().values(), edited.values()
		delete(before, name)
		delete(after, name)
		if !maps.Equal(before, after) {
			t.Fatalf("others were %q, are %q", before, after)
		}
		unset, err := ParseMain("main.cf", edited.With([]Parameter{{Name: name, Unset: true}}).Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := unset.Get(name); ok {
			t.Fatalf("unset, but %q", got)
		}
		base := strings.TrimSuffix(string(file.Base().Bytes()), "\n")
		if got := strings.TrimSuffix(string(edited.Base().Bytes()), "\n"); got != base {
			t.Fatalf("without us it was %q, is %q", base, got)
		}
	})
}
