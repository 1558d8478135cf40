package report

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"unicode"
)

// read returns what markup makes of a text: "<a" for a start, ">a" for an end, and texts without
// white space, pieces of one joined.
func read(r io.Reader) (tokens []string, odd bool, err error) {
	m := newMarkup(r)
	var pieces strings.Builder
	for {
		kind, err := m.next()
		if kind != text || err != nil {
			if s := squeeze(pieces.String()); s != "" {
				tokens = append(tokens, s)
			}
			pieces.Reset()
		}
		switch {
		case err == io.EOF:
			return tokens, m.odd || len(m.open) > 0, nil
		case err != nil:
			return tokens, m.odd, err
		case kind == text:
			pieces.Write(m.text)
		case kind == start:
			tokens = append(tokens, "<"+m.name)
		default:
			tokens = append(tokens, ">"+m.name)
		}
	}
}

// squeeze takes white space out of a text.
func squeeze(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s)
}

// TestMarkup reads what is not well-formed.
func TestMarkup(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ text, want string }{
		"elements":       {"<a>1<b/>2</a>", "<a 1 <b >b 2 >a"},
		"namespaces":     {"<n:a xmlns:n='x'><n:B></n:B></n:a>", "<a <b >b >a"},
		"attributes":     {"<a\n b='1' c=\"2\" />", "<a >a"},
		"missing end":    {"<a><b>1</a>", "<a <b 1 >b >a"},
		"end of nothing": {"<a></b>1</a>", "<a 1 >a"},
		"ends crossed":   {"<a><b></a></b>", "<a <b >b >a"},
		"value not ended": {
			"<row><count>3<source_ip>4</source_ip></row>",
			"<row <count 3 >count <source_ip 4 >source_ip >row",
		},
		"value in a value":  {"<count><count/>3</count>", "<count >count <count >count 3"},
		"address":           {"<a><x@y.z></a>", "<a <x@y.z> >a"},
		"empty brackets":    {"<a><></a>", "<a <> >a"},
		"less than":         {"<a>1 < 2<3</a>", "<a 1<2<3 >a"},
		"less than at end":  {"<a>1<", "<a 1<"},
		"tag at end":        {"<a>1<b", "<a 1<b"},
		"entities":          {"<a>&lt;&amp;amp;&#65;&#x42;&gt;&quot;&apos;</a>", `<a <&amp;AB>"' >a`},
		"unknown entities":  {"<a>&b;&&#0;&#x110000;&c &amp</a>", "<a &b;&&#0;&#x110000;&c&amp >a"},
		"comments":          {"<!-- <a> -- -><b> --><c/><!---->", "<c >c"},
		"comment not ended": {"<a/><!-- <b/>", "<a >a"},
		"CDATA":             {"<a><![CDATA[<b>&amp;]]]]><![CDATA[>]]></a>", "<a <b>&amp;]]> >a"},
		"instructions":      {"<?xml version='1.0'?><?php a ?><a/>", "<a >a"},
		"declaration":       {"<!ELEMENT a><a/>", "<a >a"},
	}
	for name, test := range tests {
		for how, r := range map[string]io.Reader{
			"": strings.NewReader(test.text), ", byte by byte": iotest.OneByteReader(strings.NewReader(test.text)),
		} {
			got, _, err := read(r)
			if s := strings.Join(got, " "); s != test.want || err != nil {
				t.Errorf("%s%s: got %q, %v, want %q", name, how, s, err, test.want)
			}
		}
	}
}

// TestMarkupLines counts lines wherever they end.
func TestMarkupLines(t *testing.T) {
	t.Parallel()
	m := newMarkup(strings.NewReader("\n<!--\n--><a\n b=''>\n<![CDATA[\n]]>1\n\n" +
		strings.Repeat("\n", 2*window) + "</a><b/>"))
	for {
		kind, err := m.next()
		if err != nil {
			t.Fatal(err)
		}
		if kind == start && m.name == "b" {
			break
		}
	}
	if want := 8 + 2*window; m.line != want {
		t.Errorf("line %d, want %d", m.line, want)
	}
}

// TestMarkupFails passes on what the reader says.
func TestMarkupFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for _, text := range []string{"<a>1", "<a", "<!--", "<![CDATA[x", ""} {
		if _, _, err := read(io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))); !errors.Is(err, broken) {
			t.Errorf("%q: got %v, want broken", text, err)
		}
	}
}

// FuzzMarkup compares with encoding/xml, where that has nothing to say against a text.
func FuzzMarkup(f *testing.F) {
	files, err := filepath.Glob("testdata/*.xml")
	if err != nil || len(files) == 0 {
		f.Fatal("no reports", err)
	}
	for _, name := range files {
		report, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(report))
	}
	f.Add("<a b='1'><!-- c --><d:e><![CDATA[f]]>&lt;&#65;</d:e><?g h?></a>")
	f.Fuzz(func(t *testing.T, text string) {
		got, odd, err := read(strings.NewReader(text))
		want, ok := readStrictly(text)
		if !ok || err != nil || odd {
			return
		}
		if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
			t.Errorf("got  %q\nwant %q", g, w)
		}
	})
}

// readStrictly does the same as read by encoding/xml. It is not ok where that says so, or the two
// are meant to differ.
func readStrictly(s string) (tokens []string, ok bool) {
	d := xml.NewDecoder(strings.NewReader(s))
	d.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	var pieces strings.Builder
	for {
		token, err := d.Token()
		switch token.(type) {
		case nil, xml.StartElement, xml.EndElement: // a comment does not end a text
			if s := squeeze(pieces.String()); s != "" {
				tokens = append(tokens, s)
			}
			if pieces.Len() > maxText {
				return nil, false
			}
			pieces.Reset()
		}
		switch token := token.(type) {
		case nil:
			return tokens, err == io.EOF
		case xml.CharData:
			pieces.Write(token)
		case xml.StartElement:
			if strings.Contains(token.Name.Local, ":") {
				return nil, false // it takes a colon at either end for a part of the name
			}
			for _, a := range token.Attr {
				if strings.ContainsAny(a.Value, "<>") {
					return nil, false
				}
			}
			tokens = append(tokens, "<"+strings.ToLower(token.Name.Local))
		case xml.EndElement:
			tokens = append(tokens, ">"+strings.ToLower(token.Name.Local))
		case xml.ProcInst:
			if strings.Contains(string(token.Inst), ">") {
				return nil, false
			}
		case xml.Directive:
			return nil, false
		}
	}
}
