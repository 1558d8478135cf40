package logins

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What a table has for a key is what Postfix finds there.
func TestPostmap(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "main.cf"), []byte("compatibility_level = 3.6\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		kind, text string
		keys       []string
	}{
		"texthash": {"texthash", "# who\n\nanna@example.com anna\nBert@Example.ORG\tbert,  bert@example.org \r\n" +
			"@example.net\n  # between\n\n  carla\n  dora\n\"a b\"@example.com quoted\na\\ b@x.test escaped\nuser\tuser\n" +
			"%@x.test a # b\n",
			[]string{"anna@example.com", "ANNA@EXAMPLE.COM", "bert@example.org", "@example.net", `"a b"@example.com`,
				"a b@example.com", `a\ b@x.test`, "user", "USER", "nobody", "#", "%@x.test", "between"}},
		"inline": {"inline", "{ anna@example.com=anna, Bert@Example.org = bert, {@example.net = carla, dora},\n{\"a=b\"@x.test= e }}",
			nil},
		"inline in braces": {"inline", "{ anna@example.com=anna {Bert@Example.org = bert} {@example.net = carla, dora} { \"a=b\"@x.test= e }}",
			[]string{"anna@example.com", "bert@example.org", "@example.net", `"a=b"@x.test`, "dora}", "nobody"}},
		"static":           {"static", "anna", []string{"x@example.com", "@example.com"}},
		"static in braces": {"static", "{ anna, bert }", []string{"x@example.com"}},
		"regexp": {"regexp", `# rules
/^([^@+]+)(\+[^@]*)?@example\.com$/    $1
/^(.*)@(sub)\.example\.net$/ ${2}-$(1), $1x
  and, $$more
!/@/    ${no}
`, nil},
		"substrings": {"regexp", `/^([^@+]+)(\+[^@]*)?@example\.com$/    $1
/^(.*)@(sub)\.example\.net$/ ${2}-$(1),${1}x
  and, $$more $2
!/@/    local
~^a/b@~ tilde
|^a\|b@| pipe
/^case@x\.test$/i Case
/^multi@x\.test$/m multi
`, []string{"anna@example.com", "anna+b@example.com", "Anna@Example.com", "x@sub.example.net", "x@SUB.example.net", "local", "@",
			"a/b@x", "a|b@x", "case@x.test", "CASE@x.test", "multi@x.test", "x@other.test"}},
		"conditions": {"regexp", `if /@example\.com$/
/^a/ a-com
IF !/^b/
/^./ not-b
endif
ENDIF
if !/@example\.(com|net)$/
/^a/ a-other
endif
/^a/!/net$/ a-not-net
/^(.)/!/b@/ second-$1
!!/^z/ twice
/^/ rest
`, []string{"a@example.com", "b@example.com", "c@example.com", "a@example.net", "b@example.net", "c@example.net", "a@x.test",
			"b@x.test", "z@x.test", ""}},
		"expressions": {"regexp", `/^[\.]@1/ backslash-in-brackets
/^[]a]@2/ bracket-first
/^[^]a]@2/ not-bracket
/^[[:digit:]]{2,3}@3/ digits
/^a{,2}@4/ up-to-two
/^\w+\W\s?5/ word
/^(a|ab)(c|bcd)?@6$/ $2
/^a\.b\@7/ escaped
/(^|x)a@9|b@9$/ anchors
/^x*y+z?@10/ stars
/^\(\[\{\}\)@11/ parentheses
/^[a-c-]@12/ range
/^[[]@13/ open
/^a\/b@14/ slash
/^()@15/ empty
/^ä@16/ umlaut
/^[^[:space:]@]+@17/ class
/^a**@18/ stars-twice
/^a+?@19/ no-lazy
/[[:alpha:][:digit:]_.+-]+@20/ several
/^.@21$/ one
`, []string{".@1", `\@1`, "x@1", "]@2", "a@2", "b@2", "1@3", "12@3", "1234@3", "@4", "aa@4", "aaa@4", "ab@5", "ab@ 5", "abc@6",
			"abcd@6", "a.b@7", "axb@7", "xa@9", "ya@9", "b@9", "b@99", "yz@10", "xxyyz@10", "z@10", "([{})@11",
			"-@12", "b@12", "d@12", "[@13", "a/b@14", "@15", "x@15", "ä@16", "Ä@17", "a b@17", "ab@17", "aaa@18", "aa@19", "b@19", "a_1@20", "@20",
			"A@21", "ab@21"}},
		"pcre": {"pcre", `/^(\w+)(?:\+\S*)?@example\.com$/ $1
/^(?<name>a|b)@x\.test$/ named-$1
/^case@x\.test$/i case
/anchored@/A anchored
/^a.+?b(.*)@lazy/ ${1}x
/^a.+b(.*)@greedy/U ${1}x
/^\Qa.b\E@q/ quoted
if /@if\.test$/
!/^\d/ letters
endif
`, []string{"anna@example.com", "anna+x@example.com", "a-b@example.com", "A@x.test", "case@x.test", "CASE@x.test", "anchored@x", "xanchored@x",
			"axbxb@lazy", "axbxb@greedy", "a.b@q", "axb@q", "a@if.test", "1@if.test"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			argument, ours := test.kind+":"+test.text, test.kind+":"+test.text
			if test.kind != "inline" && test.kind != "static" {
				path := filepath.Join(t.TempDir(), "map")
				if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
					t.Fatal(err)
				}
				argument, ours = test.kind+":"+path, test.kind+":"+path
			}
			maps, err := Open(ours, Options{})
			if (err != nil) != (test.keys == nil) {
				t.Fatalf("it is read with the error %v", err)
			}
			if err != nil {
				return
			}
			cmd := exec.Command("postmap", "-c", dir, "-q", "-", argument)
			cmd.Stdin = strings.NewReader(strings.Join(test.keys, "\n") + "\n")
			var complaints bytes.Buffer
			cmd.Stderr = &complaints
			out, err := cmd.Output()
			if err != nil && len(out) == 0 || complaints.Len() > 0 {
				t.Fatalf("postmap: %v %s", err, &complaints)
			}
			want := make(map[string]string)
			for line := range strings.Lines(string(out)) {
				key, result, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
				want[key] = result
			}
			found := 0
			for _, key := range test.keys {
				got, known := maps.current.Load().find([]string{key}, false)
				result, theirs := want[key]
				if got != result || known != theirs {
					t.Errorf("%q is %q (%t), to postmap %q (%t)", key, got, known, result, theirs)
				}
				if known {
					found++
				}
			}
			if found == 0 {
				t.Error("no key was found")
			}
		})
	}
}
