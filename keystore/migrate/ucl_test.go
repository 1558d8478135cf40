package migrate

import (
	"fmt"
	"strings"
	"testing"
)

// show writes a value in one line.
func show(v uclValue) string {
	switch v.kind {
	case uclSection:
		var parts []string
		for _, m := range v.object.members {
			parts = append(parts, m.name+"="+show(m.value))
		}
		return "{" + strings.Join(parts, " ") + "}"
	case uclArray:
		var parts []string
		for _, element := range v.array {
			parts = append(parts, show(element))
		}
		return "[" + strings.Join(parts, " ") + "]"
	}
	return v.text
}

func TestUCL(t *testing.T) {
	for _, test := range []struct{ name, text, want string }{
		{"empty", "", "{}"},
		{"texts", "a = \"x y\";\nb: bare text ;\nc 5", "{a=x y b=bare text c=5}"},
		{"comments", "# one\na = 1; # two\n/* three /* nested */ } */ b = 2", "{a=1 b=2}"},
		{"sections", "domain { example.org { path = \"/k\"; selector = \"s\" } }", "{domain={example.org={path=/k selector=s}}}"},
		{"named sections", "domain example.org { path = /k }\ndomain \"example.net\" { path = /n }",
			"{domain={example.org={path=/k} example.net={path=/n}}}"},
		{"array of sections", "selectors [ { path: \"/a\"; selector: \"x\" }, { path: \"/b\", selector: \"y\" } ]",
			"{selectors=[{path=/a selector=x} {path=/b selector=y}]}"},
		{"bracket on the next line", "domain\n{\n a = 1\n}\n", "{domain={a=1}}"},
		{"json", "{\"a\": [1, 2], \"b\": {\"c\": true}}", "{a=[1 2] b={c=true}}"},
		{"escapes", `a = "x\"\n\u0041\/"; b = 'it\'s \n'`, "{a=x\"\nA/ b=it's \\n}"},
		{"lines in single quotes", "a = 'x:\\\ny'; b = 'c:\\\\'", `{a=x:y b=c:\\}`},
		{"heredoc", "a = <<EOD\none\ntwo\nEOD;\nb = 1", "{a=one\ntwo b=1}"},
		{"variables", "path = ${DBDIR}/dkim/$domain.$selector.key;", "{path=${DBDIR}/dkim/$domain.$selector.key}"},
		{"macro", ".include(try=true) \"/x\"\na = 1", "{a=1}"},
		{"byte order mark", "\ufeffa = 1", "{a=1}"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := uclParser{file: "f", text: test.text}
			got, err := p.parse()
			if err != nil {
				t.Fatal(err)
			}
			if got := show(uclValue{kind: uclSection, object: got}); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestUCLErrors(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"a {\n b = 1\n", "f:3: a section has no closing bracket"},
		{"a = [1, 2", "f:1: an array has no closing bracket"},
		{"a = \"x", "f:1: a text has no closing quote"},
		{"a = 1\n}", "f:2: a closing bracket too many"},
		{"a = ;", "f:1: a value is wanted"},
		{"= 1", "f:1: a name is wanted, not '='"},
		{strings.Repeat("a{", 1000), "f:1: sections are more than 64 deep"},
		{strings.Repeat(".a {", 1000), "f:1: sections are more than 64 deep"},
		{strings.Repeat("a ", 1000) + "{}", "f:1: sections are more than 64 deep"},
		{"a = " + strings.Repeat("[", 1000), "f:1: arrays are more than 64 deep"},
		{".include(x \"/y\"", "f:1: the arguments of .include have no closing bracket"},
	} {
		p := uclParser{file: "f", text: test.text}
		if _, err := p.parse(); err == nil || err.Error() != test.want {
			t.Errorf("%.40q: %v, want %s", test.text, err, test.want)
		}
	}
}

func TestUCLLines(t *testing.T) {
	p := uclParser{file: "f", text: "a = 1\n/* x\n */\nb = <<X\n1\n2\nX\nc \"y\nz\"\n d = 1"}
	root, err := p.parse()
	if err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, m := range root.members {
		got += fmt.Sprintf("%s:%d ", m.name, m.value.at.Line)
	}
	if got != "a:1 b:4 c:8 d:10 " {
		t.Error(got)
	}
}

func FuzzUCL(f *testing.F) {
	f.Add("domain { example.org { selectors [ { path = \"/a\"; selector = s } ] } } .include(try=true) \"$X/y\"")
	f.Add("a = <<EOD\nx\nEOD\nb /* c */ : 'd\\'' # e\n\"f\" [1, {g = \"\\u0041\"}];")
	f.Fuzz(func(t *testing.T, text string) {
		p := uclParser{file: "f", text: text}
		root, err := p.parse()
		if err == nil && root == nil {
			t.Error("nothing, and no error")
		}
	})
}
