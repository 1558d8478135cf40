package logins

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func file(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "map")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Who may write as whom, in the order of postconf(5): the whole address in all tables, then
// without its extension, the local part of local domains, and the domain.
func TestAllow(t *testing.T) {
	t.Parallel()
	text := "texthash:" + file(t, `anna@example.com anna
bert@example.com anna, bert cora@realm
@example.net dora
"a b"@example.com quoted
@münchen.example eva
@XN--BCHER-KVA.example eva
dora local
anna@x.test nobody
@local.test mallory
`) + ", regexp:" + file(t, `/^(.*)@regexp\.test$/ $1
/^frieda@example\.net$/ frieda
/@zürich\.example$/ zoe
`) + " inline:{{frieda@example.net = late} @inline.test=ina}"
	for _, strict := range []bool{false, true} {
		maps, err := Open(text, Options{Local: []string{"local.test"}, Strict: strict})
		if err != nil {
			t.Fatal(err)
		}
		for _, test := range []struct {
			login, address string
			want           bool
		}{
			{"anna", "anna@example.com", true},
			{"ANNA", "Anna@example.com", true},
			{"bert", "anna@example.com", false},
			{"bert", "bert@example.com", true},
			{"anna", "bert@example.com", true},
			{"cora@realm", "bert@example.com", true},
			{"cora", "bert@example.com", false},
			{"anna", "anna+news@example.com", true},
			{"bert", "anna+news@example.com", false},
			{"dora", "x@example.net", true},
			{"anna", "x@example.net", false},
			{"frieda", "frieda@example.net", true}, // the address goes before the domain, in any table
			{"dora", "frieda@example.net", false},
			{"late", "frieda@example.net", false},
			{"dora", "frieda+x@example.net", false}, // in a table of fixed keys, without the extension
			{"late", "frieda+x@example.net", true},
			{"quoted", "a b@example.com", true},
			{"anna", "a b@example.com", false},
			{"eva", "x@xn--mnchen-3ya.example", true},
			{"anna", "x@xn--mnchen-3ya.example", false},
			{"eva", "x@xn--bcher-kva.example", true},
			{"zoe", "x@xn--zrich-kva.example", true},
			{"eva", "x@xn--zrich-kva.example", false},
			{"local", "dora@local.test", true},
			{"local", "dora+x@local.test", true},
			{"mallory", "dora@local.test", false},
			{"mallory", "emil@local.test", true},
			{"anna", "anna@x.test", false},
			{"me", "me@regexp.test", true},
			{"me", "you@regexp.test", false},
			{"ina", "@inline.test", true},
			{"anna", "+x@inline.test", false},
			{"anna", "x@unknown.test", !strict},
			{"anna", "dora@unknown.test", !strict},
			{"anna", "x@sub.example.net", !strict},
		} {
			at := strings.LastIndexByte(test.address, '@')
			if got := maps.Allow(test.login, test.address[:at], test.address[at+1:]); got != test.want {
				t.Errorf("strict %t: %s as %s is %t", strict, test.login, test.address, got)
			}
		}
	}
}

// Knows is true of the domains in keys, and of all with patterns or where all must be known.
func TestKnows(t *testing.T) {
	t.Parallel()
	const text = "inline:{a@example.com=x @münchen.example=x user=x}"
	pattern := ",regexp:" + file(t, "/a/ b\n")
	for _, test := range []struct {
		text    string
		options Options
		domain  string
		want    bool
	}{
		{text, Options{}, "example.com", true},
		{text, Options{}, "xn--mnchen-3ya.example", true},
		{text, Options{}, "sub.example.com", false},
		{text, Options{Strict: true}, "sub.example.com", true},
		{text, Options{Local: []string{"local.test"}}, "local.test", true},
		{text + pattern, Options{}, "any.test", true},
		{text + " static:x", Options{}, "any.test", true},
	} {
		maps, err := Open(test.text, test.options)
		if err != nil {
			t.Fatal(err)
		}
		if got := maps.Knows(test.domain); got != test.want {
			t.Errorf("%s %v: %s is known: %t", test.text, test.options, test.domain, got)
		}
		if got, want := maps.Unused(), map[bool]int{true: 1}[test.options.Local == nil]; got != want {
			t.Errorf("%s: %d entries are not used, want %d", test.text, got, want)
		}
	}
}

// An error names the map, and the file with its line.
func TestErrors(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ kind, content, want string }{
		{"", "", ""},
		{"/etc/logins", "", `"/etc/logins" has no type`},
		{"hash:/etc/logins", "", `a map of type "hash" cannot be read`},
		{"texthash:logins", "", `"texthash:logins" is not an absolute path`},
		{"texthash:$config_directory/logins", "", `not an absolute path`},
		{"texthash:/nowhere/at/all", "", `texthash:.*/nowhere/at/all: no such file`},
		{"texthash:/dev/zero", "", `/dev/zero`},
		{"regexp:{ {/a/ b} }", "", `regexp cannot have its rules inline`},
		{"inline:x", "", `inline: it has no braces`},
		{"inline:{}", "", `inline: it is empty`},
		{"inline:{a}", "", `inline: "a" is no ADDRESS=LOGIN`},
		{"inline:{a=b a=c}", "", `inline: "a" is there twice`},
		{"inline:{a=b", "", `an opening brace has no closing one`},
		{"inline:{a=b}}", "", `a closing brace has no opening one`},
		{"inline:{{a=b}c}", "", `text after its closing brace`},
		{"static:", "", `static: it names no login`},
		{"texthash:", "a@b.c\n", `^texthash:FILE: line 1: "a@b.c" has no login$`},
		{"texthash:", "# c\n\na@b.c x\n y\nA@B.C z\n", `^texthash:FILE: line 5: "a@b.c" is there twice$`},
		{"texthash:", "a@b.c ,\n", `line 1: "a@b.c" has no login`},
		{"texthash:", "a@b.c: x\n", `line 1: "a@b.c:" ends in a colon`},
		{"texthash:", " a@b.c x\n", `line 1: it begins with white space`},
		{"texthash:", "a@b.c x\n\"a b x\n", `line 2: a double quote has no second`},
		{"texthash:", "a@b.c x\n\xff@b.c x\n", `line 2: it is not text in UTF-8`},
		{"texthash:", "a@b.c x\x00\n", `line 1: it is not text`},
		{"regexp:", "/a/ b\nx\n", `^regexp:FILE: line 2: invalid pattern "x"$`},
		{"regexp:", "/a/\n", `line 1: it has no login`},
		{"regexp:", "/a b\n", `line 1: the pattern has no second "/"`},
		{"regexp:", `/a\/ b`, `no second "/"`},
		{"regexp:", "/a/q b\n", `line 1: pattern "a": unknown flag 'q'`},
		{"regexp:", "/a/x b\n", `basic regular expressions cannot be read`},
		{"regexp:", "/(a/ b\n", `line 1: pattern "\(a": `},
		{"regexp:", `/(a)\1/ b`, `\\1 cannot be read`},
		{"regexp:", `/\<a/ b`, `\\< cannot be read`},
		{"regexp:", `/\d/ b`, `\\d cannot be read`},
		{"regexp:", `/[[.a.]]/ b`, `a bracket`},
		{"regexp:", `/a{x}/ b`, `no repetition`},
		{"regexp:", "/a/ $1\n", `\$1 is more than`},
		{"regexp:", "!/(a)/ $1\n", `\$1 stands for nothing`},
		{"regexp:", "/(a)/ $x\n", `unknown substring \$x`},
		{"regexp:", "/(a)/ $0\n", `unknown substring \$0`},
		{"regexp:", "/(a)/ ${1\n", `unknown substring`},
		{"regexp:", "# c\nif /a/\n/b/ c\n", `line 2: the if has no endif`},
		{"regexp:", "endif\n", `line 1: an endif has no if`},
		{"regexp:", "if /a/ b\nendif\n", `text after the pattern of an if`},
		{"regexp:", "!\n", `there is no pattern`},
		{"pcre:", `/a(?=b)/ c`, `^pcre:FILE: line 1: pattern "a\(\?=b\)": invalid or unsupported Perl syntax`},
		{"pcre:", `/(a)\1/ c`, `invalid escape sequence`},
		{"pcre:", `/a/x c`, `the flag 'x' cannot be read`},
	} {
		text := test.kind
		if strings.HasSuffix(test.kind, ":") && test.kind != "static:" {
			path := file(t, test.content)
			text, test.want = test.kind+path, strings.ReplaceAll(test.want, "FILE", path)
		}
		_, err := Open(text, Options{})
		if got := fmt.Sprint(err); test.want == "" && err != nil || !regexp.MustCompile(test.want).MatchString(got) {
			t.Errorf("%s %q: %s, want %s", test.kind, test.content, got, test.want)
		}
	}
}

// Whatever a map says, it is read or is an error, and a key that it has is found in it.
func FuzzOpen(f *testing.F) {
	for _, seed := range []string{
		"a@b.c x\n y\n", "\"a b\"@c.d e,f", "/^(.*)@x$/i $1 ${1} $$", "if !/a/\n/b/!/c/ d\nendif", `|[]a\][[:alpha:]]{,2}\.\w| x`,
		"{a@b.c=d {e f = g, h}}", "/a/AU b",
	} {
		f.Add(seed, "a@b.c")
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		for name, parse := range map[string]func() (*table, error){
			"texthash": func() (*table, error) { return parseTexthash(text) },
			"inline":   func() (*table, error) { return parseInline(text) },
			"regexp":   func() (*table, error) { return parsePatterns(text, compilePOSIX) },
			"pcre":     func() (*table, error) { return parsePatterns(text, compilePCRE) },
		} {
			one, err := parse()
			if err != nil {
				continue
			}
			for entry := range one.entries {
				if result, found := one.find(entry, true); !found || len(listed(result)) == 0 {
					t.Errorf("%s: %q has %q", name, entry, result)
				}
			}
			one.find(key, false)
		}
	})
}

// A dot matches a line end, as in a regexp table of Postfix.
func TestDotAndLineEnd(t *testing.T) {
	t.Parallel()
	expression, err := compilePOSIX("^.*@x$", "")
	if err != nil || !expression.MatchString("a\n b@x") {
		t.Errorf("%v, %v", expression, err)
	}
}
