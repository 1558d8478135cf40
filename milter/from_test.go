package milter

import (
	"log/slog"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

const fromTable = "testdata/from.txt"

// nobody stands in the table where a program reads no author.
const nobody = "-"

// fromCase is a header of the table: fields that a message can come with, and what is
// read in them.
type fromCase struct {
	before []string // comments and empty lines
	fields []string // as they stand in the table
	read   readings
	ours   string
}

// header is the header as it is on the wire.
func (c fromCase) header() string {
	var b strings.Builder
	for _, field := range c.fields {
		b.WriteString(inBraces.ReplaceAllStringFunc(field, func(s string) string {
			switch name := s[1 : len(s)-1]; {
			case name == "CR":
				return "\r"
			case name == "FOLD":
				return "\r\n"
			case strings.HasPrefix(name, "U+"):
				n, _ := strconv.ParseUint(name[2:], 16, 32)
				return string(rune(n))
			default:
				n, _ := strconv.ParseUint(name, 16, 8)
				return string([]byte{byte(n)})
			}
		}) + "\r\n")
	}
	return b.String()
}

// inBraces are {CR}, {FOLD}, {U+00AD} and octets as {E4}.
var inBraces = regexp.MustCompile(`\{(CR|FOLD|U\+[0-9A-F]+|[0-9A-F]{2})\}`)

// readFromTable reads the table: fields, and below them, indented, who reads what. A
// program that reads no author has a hyphen.
func readFromTable(t testing.TB) (cases []fromCase) {
	t.Helper()
	text, err := os.ReadFile(fromTable)
	if err != nil {
		t.Fatal(err)
	}
	var c fromCase
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch said, indented := strings.CutPrefix(line, "\t"); {
		case !indented && (line == "" || line[0] == '#'):
			c.before = append(c.before, line)
		case !indented:
			c.fields = append(c.fields, line)
		default:
			what, who, found := strings.Cut(said, ": ")
			if !found {
				t.Fatalf("%s: unexpected line %q", fromTable, line)
			}
			if what == "signpost" {
				c.ours = who
				cases, c = append(cases, c), fromCase{}
				continue
			}
			domains := []string{}
			for text := range strings.FieldsSeq(what) {
				if text != nobody {
					domains = append(domains, unescaped(t, text))
				}
			}
			for reader := range strings.FieldsSeq(who) {
				if c.read == nil {
					c.read = make(readings)
				}
				c.read[reader] = domains
			}
		}
	}
	return cases
}

// text is the case as it stands in the table.
func (c fromCase) text() string {
	groups := make(map[string][]string)
	for reader, domains := range c.read {
		texts := []string{nobody}
		if len(domains) > 0 {
			texts = texts[:0]
		}
		for _, domain := range domains {
			texts = append(texts, escaped(domain))
		}
		what := strings.Join(texts, " ")
		groups[what] = append(groups[what], reader)
	}
	lines := slices.Concat(c.before, c.fields)
	for _, what := range slices.Sorted(maps.Keys(groups)) {
		slices.Sort(groups[what])
		lines = append(lines, "\t"+what+": "+strings.Join(groups[what], " "))
	}
	return strings.Join(append(lines, "\tsignpost: "+c.ours), "\n") + "\n"
}

// shown is a verdict as it stands in the table.
func shown(v Verdict) string {
	switch {
	case v.Reason == Signed:
		return "signed for " + v.Author
	case v.Action == Reject:
		return string(v.Reason) + ", refused"
	case v.Reason == NoKey:
		return "no-key for " + v.Author
	}
	return string(v.Reason) + ", sent unsigned"
}

// TestFromTable: what we make of each field of the table, and that the promise holds
// with what others read there.
func TestFromTable(t *testing.T) {
	t.Parallel()
	cases := readFromTable(t)
	if len(cases) < 170 {
		t.Errorf("the table has %d cases", len(cases))
	}
	decide, always := decider(t, tableKeys(t)), decider(t, anyKey(t))
	for _, c := range cases {
		if got := shown(decide(c.header())); got != c.ours {
			t.Errorf("%q: %s, want %s", c.fields, got, c.ours)
		}
		mustHold(t, c.header(), always(c.header()), c.read)
	}
}

// tableKeys are the keys that the table is made with.
func tableKeys(t testing.TB) KeySource {
	return keysFor(t, "example.com", "xn--mnchen-3ya.example", "xn--strae-oqa.example", "strasse.example").Signing
}

// TestFromReaders asks the readers of the table what they read, so that it is no
// invention. They are those of Debian 12; others may read otherwise. With UPDATE_FROM
// set, the table is written anew.
func TestFromReaders(t *testing.T) {
	t.Parallel()
	cases := readFromTable(t)
	readers := append(startScripts(t), goReader{}, newOpenDKIM(t))
	decide, always := decider(t, tableKeys(t)), decider(t, anyKey(t))
	var updated strings.Builder
	asked := make(readings)
	for _, c := range cases {
		now := fromCase{c.before, c.fields, make(readings), shown(decide(c.header()))}
		for _, reader := range readers {
			maps.Copy(now.read, reader.read(t, c.header()))
		}
		maps.Copy(asked, now.read)
		mustHold(t, c.header(), always(c.header()), now.read)
		for name, domains := range now.read {
			if !slices.Equal(domains, c.read[name]) {
				t.Errorf("%q: %s reads %q, the table says %q", c.fields, name, domains, c.read[name])
			}
		}
		updated.WriteString(now.text())
	}
	for name := range cases[0].read {
		if asked[name] == nil {
			t.Errorf("%s was not asked; hint: sh test/setup.sh tests", name)
		}
	}
	if os.Getenv("UPDATE_FROM") != "" {
		if err := os.WriteFile(fromTable, []byte(updated.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// escaped is a domain as it stands in the table.
func escaped(domain string) string {
	text := strconv.QuoteToASCII(domain)
	return strings.ReplaceAll(text[1:len(text)-1], " ", `\x20`)
}

func unescaped(t testing.TB, text string) string {
	domain, err := strconv.Unquote(`"` + text + `"`)
	if err != nil {
		t.Fatalf("%s: %q: %v", fromTable, text, err)
	}
	return domain
}
